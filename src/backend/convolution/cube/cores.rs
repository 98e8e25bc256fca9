//! Products of tiles on tensor cores, in f16, bf16 or TF32, summed in f32: planes of 32 units
//! multiply matrices in shared memory.

use burn::tensor::DType;
use burn_cubecl::CubeDevice;
use burn_cubecl::cubecl;
use burn_cubecl::tensor::CubeTensor;
use cubecl::cmma::{self, Matrix, MatrixIdent, MatrixLayout};
use cubecl::ir::FloatKind;
use cubecl::prelude::*;

use crate::backend::convolution::tf32_allowed;

/// Rows and columns of a matrix that a plane multiplies.
pub(super) const EDGE: u32 = 16;
/// Units of a plane on NVIDIA's GPUs.
pub(super) const PLANE: u32 = 32;
/// Values of such a matrix.
pub(super) const AREA: u32 = EDGE * EDGE;

/// A type that tensor cores multiply.
#[derive(Debug, Clone, Copy)]
pub(super) struct Factor {
    pub elem: ElemType,
    /// Steps of the inner axis in one instruction.
    pub inner: u32,
    /// Values in 16 bytes: what is added to lines of shared memory.
    pub pad: u32,
    /// Steps of the inner axis in shared memory.
    pub depth: u32,
}

/// The type in which tensor cores multiply tensors like this one, on CUDA: its own 16 bits, or TF32
/// for f32 where that is allowed. Turing has f16 alone.
pub(super) fn factor(x: &CubeTensor) -> Option<Factor> {
    let (kind, inner, pad, depth) = match x.dtype {
        DType::F16 => (FloatKind::F16, 16, 8, 32),
        DType::BF16 => (FloatKind::BF16, 16, 8, 32),
        DType::F32 if tf32_allowed() => (FloatKind::TF32, 8, 4, 16),
        _ => return None,
    };
    let elem = ElemType::Float(kind);
    let sums = ElemType::Float(FloatKind::F32);
    let has = x.client.properties().features.matmul.cmma.iter().any(|c| {
        let types = [c.a_type, c.b_type, c.cd_type] == [elem, elem, sums];
        types && [c.m, c.n, c.k] == [EDGE, EDGE, inner]
    });
    let here = matches!(x.device, CubeDevice::Cuda(_)) && has;
    here.then_some(Factor { elem, inner, pad, depth })
}

/// Sizes of one plane's product.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash)]
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
