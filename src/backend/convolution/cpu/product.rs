//! Matrix products with patches of a few rows at a time, multiplied while they are in the cache.
//!
//! With a group's patches as a matrix `[input channels * taps, positions]`, its output is `weights
//! x patches`, and its weights' gradient `dy x patches^T`. A 1x1 kernel needs no patches: they are
//! the input.

#![allow(unsafe_code, reason = "matrix products take pointers, and threads write into one buffer")]

use gemm::Parallelism;
use rayon::prelude::*;

use super::sizes::{Sizes, Tile};

/// The start of a buffer into which threads write at disjoint places. It is only an address; each
/// write justifies itself in an `unsafe` block.
#[derive(Clone, Copy)]
struct Start(*mut f32);
// SAFETY: an address alone gives no access.
unsafe impl Send for Start {}
// SAFETY: as above.
unsafe impl Sync for Start {}

impl Start {
    /// The address of value `offset`. It may be written to if the value lies in the buffer.
    fn at(self, offset: usize) -> *mut f32 {
        self.0.wrapping_add(offset)
    }
}

/// The output for inputs `x` and weights `w`, which lie side by side.
pub(super) fn forward(s: &Sizes, x: &[f32], w: &[f32]) -> Vec<f32> {
    let (plane, depth, width) = (s.after[0] * s.after[1], s.depth(), s.after[1]);
    let ([_, size], weights) = (s.lot_sizes(), s.output * depth);
    assert_eq!(w.len(), s.groups * weights, "weights that do not fit the input's channels");
    let mut out = vec![0.0f32; s.lots() * size];
    let start = Start(out.as_mut_ptr());
    s.tiles(0..s.lots()).into_par_iter().for_each_init(Vec::new, |patches, tile| {
        let (right, stride, n) = s.right(x, tile, patches);
        let Tile { lot, row, column } = tile;
        let first = start.at(lot * size + row * width + column);
        let w = &w[lot % s.groups * weights..][..weights];
        // SAFETY: a tile is n values from its first one on in each of its lot's `output` planes.
        // They lie inside `out`, which lives until all tiles are done, and tiles do not overlap.
        // `w` holds output x depth values, `right` depth rows of n values, `stride` apart.
        unsafe {
            multiply(
                [s.output, depth, n],
                (first, plane),
                (w.as_ptr(), depth, 1),
                (right.as_ptr(), stride, 1),
                false,
            );
        }
    });
    out
}

/// `out [m, n] = left [m, k] x right [k, n]`, added to `out` or replacing it. A matrix is a pointer
/// and the strides of its rows and columns; `out`'s columns lie side by side.
///
/// # Safety
/// The pointers must be valid for these sizes and strides, and nobody else may access `out`.
unsafe fn multiply(
    [m, k, n]: [usize; 3],
    out: (*mut f32, usize),
    left: (*const f32, usize, usize),
    right: (*const f32, usize, usize),
    add: bool,
) {
    let s = |stride: usize| stride as isize;
    // SAFETY: what `gemm` asks for is what this function's caller promises.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.0,
            1,
            s(out.1),
            add,
            left.0,
            s(left.2),
            s(left.1),
            right.0,
            s(right.2),
            s(right.1),
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// The gradient of the weights, group by group.
pub(super) fn weight_gradient(s: &Sizes, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let [_, size] = s.lot_sizes();
    assert_eq!(dy.len(), s.lots() * size, "an output's gradient of another shape");
    let groups = (0..s.groups).map(|group| group_gradient(s, group, x, dy));
    let all = groups.reduce(|mut all, group| {
        all.extend(group);
        all
    });
    all.expect("there is a group")
}

fn group_gradient(s: &Sizes, group: usize, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let (plane, depth, width) = (s.after[0] * s.after[1], s.depth(), s.after[1]);
    let [_, size] = s.lot_sizes();
    let tiles = s.tiles((group..s.lots()).step_by(s.groups));
    if tiles.is_empty() {
        return vec![0.0; s.output * depth];
    }
    let parts = s.parts(tiles.len());
    let partial = |tiles: &[Tile]| {
        let mut sum = vec![0.0f32; s.output * depth];
        let mut patches = Vec::new();
        for (t, &tile) in tiles.iter().enumerate() {
            let (right, stride, n) = s.right(x, tile, &mut patches);
            let left = &dy[tile.lot * size + tile.row * width + tile.column..];
            // SAFETY: `left` begins `output` rows of n values, `plane` apart, in the tile's lot of
            // `dy` (whose length was checked). `right` is as in `forward`, read transposed. `sum`
            // holds output x depth values and is this thread's own.
            unsafe {
                let (left, right) = ((left.as_ptr(), plane, 1), (right.as_ptr(), 1, stride));
                multiply([s.output, n, depth], (sum.as_mut_ptr(), depth), left, right, t > 0);
            }
        }
        sum
    };
    let sums: Vec<Vec<f32>> = tiles.par_chunks(tiles.len().div_ceil(parts)).map(partial).collect();
    let sum = sums.into_iter().reduce(|mut a, b| {
        a.iter_mut().zip(&b).for_each(|(a, b)| *a += b);
        a
    });
    sum.expect("there are tiles")
}
