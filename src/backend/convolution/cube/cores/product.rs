//! The product of two tiles in shared memory, by planes of 32 units.

use burn_cubecl::cubecl;
use cubecl::cmma::{self, Matrix, MatrixIdent, MatrixLayout};
use cubecl::prelude::*;

/// Rows and columns of a matrix that a plane multiplies.
pub(super) const EDGE: u32 = 16;
/// Units of a plane on NVIDIA's GPUs.
pub(super) const PLANE: u32 = 32;
/// Values of such a matrix.
pub(super) const AREA: u32 = EDGE * EDGE;

/// Sizes of one plane's product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Patch {
    /// Matrices of a plane downwards.
    pub down: u32,
    /// And along.
    pub along: u32,
    /// Steps of the inner axis in shared memory.
    pub depth: u32,
    /// In one instruction.
    pub inner: u32,
    /// Values from one line of the left tile to the next.
    pub left_pitch: u32,
    /// And of the right one.
    pub right_pitch: u32,
    /// Whether the right tile's lines run along the inner axis.
    pub transposed: bool,
}

/// The matrices of a plane, all zero.
#[cube]
pub(super) fn zeros(#[comptime] patch: Patch) -> Sequence<Matrix<f32>> {
    let mut sums = Sequence::<Matrix<f32>>::new();
    #[unroll]
    for _ in 0..comptime![patch.down * patch.along] {
        sums.push(Matrix::<f32>::from_value(
            MatrixIdent::Accumulator,
            comptime![EDGE as usize],
            comptime![EDGE as usize],
            comptime![patch.inner as usize],
            MatrixLayout::Undefined,
            0.0f32,
        ));
    }
    sums
}

/// Adds the product of the tiles' parts that begin at `row` of the left one and at `column` of the
/// right one.
#[cube]
pub(super) fn multiply<L: Numeric>(
    left: &[L],
    right: &[L],
    sums: &Sequence<Matrix<f32>>,
    row: u32,
    column: u32,
    #[comptime] patch: Patch,
) {
    #[unroll]
    for step in 0..comptime![patch.depth / patch.inner] {
        let inner = comptime![step * patch.inner];
        let mut rows = Sequence::<Matrix<L>>::new();
        #[unroll]
        for i in 0..patch.down {
            let from = (row + i * EDGE) * patch.left_pitch + inner;
            rows.push(Matrix::<L>::from_slice(
                MatrixIdent::A,
                comptime![EDGE as usize],
                comptime![EDGE as usize],
                comptime![patch.inner as usize],
                MatrixLayout::RowMajor,
                &left[from as usize..left.len()],
                patch.left_pitch,
            ));
        }
        #[unroll]
        for j in 0..patch.along {
            let column = column + j * EDGE;
            let mut from = inner * patch.right_pitch + column;
            if comptime![patch.transposed] {
                from = column * patch.right_pitch + inner;
            }
            let columns = Matrix::<L>::from_slice(
                MatrixIdent::B,
                comptime![EDGE as usize],
                comptime![EDGE as usize],
                comptime![patch.inner as usize],
                comptime![match patch.transposed {
                    true => MatrixLayout::ColMajor,
                    false => MatrixLayout::RowMajor,
                }],
                &right[from as usize..right.len()],
                patch.right_pitch,
            );
            #[unroll]
            for i in 0..patch.down {
                let sum = sums.index(comptime![(i * patch.along + j) as usize]);
                cmma::execute(rows.index(comptime![i as usize]), &columns, sum, sum);
            }
        }
    }
}

/// Writes one matrix into a plane's own part of shared memory, by rows.
#[cube]
pub(super) fn spread(sum: &Matrix<f32>, scratch: &mut [f32], plane: u32) {
    let from = (plane * AREA) as usize;
    let to = from + comptime![AREA as usize];
    cmma::store(&mut scratch[from..to], sum, EDGE, MatrixLayout::RowMajor);
    sync_plane();
}
