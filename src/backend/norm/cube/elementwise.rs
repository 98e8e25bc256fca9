//! Evaluation with running statistics, and the rectifier alone.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::walk::{Walk, normalized, passed, rows_of, span_of};
use crate::backend::gpu::UNITS;

/// `x * scale + shift` of each channel, plus `other` with `add`.
#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel takes its buffers one by one")]
pub(super) fn affine_kernel<F: Float, P: Float, N: Size>(
    x: &[Vector<F, N>],
    scale: &[P],
    shift: &[P],
    other: &[Vector<F, N>],
    y: &mut [Vector<F, N>],
    walk: Walk,
    #[comptime] add: bool,
    #[comptime] rectify: bool,
    #[define(F, P)] _dtypes: [ElemType; 2],
) {
    let channel = CUBE_POS_Y;
    let scale = f32::cast_from(scale[channel as usize]);
    let shift = f32::cast_from(shift[channel as usize]);
    let (first, end) = rows_of(&walk);
    let (left, right) = span_of(&walk);
    let step = UNITS / walk.lanes;
    let mut row = first;
    while row < end {
        let start = (row * walk.channels + channel) * walk.inner;
        let mut i = left;
        while i < right {
            let at = (start + i) as usize;
            let value = Vector::<f32, N>::cast_from(x[at]);
            let mut out = normalized::<N>(value, 0.0f32, scale, shift);
            if comptime![add] {
                out += Vector::<f32, N>::cast_from(other[at]);
            }
            if comptime![rectify] {
                out = passed::<N>(out, out);
            }
            y[at] = Vector::<F, N>::cast_from(out);
            i += walk.lanes;
        }
        row += step;
    }
}

/// max(x, 0).
#[cube(launch)]
pub(super) fn rectify_kernel<F: Float, N: Size>(
    x: &[Vector<F, N>],
    y: &mut [Vector<F, N>],
    count: u32,
    #[define(F)] _dtype: ElemType,
) {
    let step = UNITS * CUBE_COUNT_X;
    let mut i = ABSOLUTE_POS as u32;
    while i < count {
        let value = Vector::<f32, N>::cast_from(x[i as usize]);
        y[i as usize] = Vector::<F, N>::cast_from(passed::<N>(value, value));
        i += step;
    }
}

/// The gradient of [`rectify_kernel`] from its output.
#[cube(launch)]
pub(super) fn rectify_gradient_kernel<F: Float, N: Size>(
    y: &[Vector<F, N>],
    dy: &[Vector<F, N>],
    dx: &mut [Vector<F, N>],
    count: u32,
    #[define(F)] _dtype: ElemType,
) {
    let step = UNITS * CUBE_COUNT_X;
    let mut i = ABSOLUTE_POS as u32;
    while i < count {
        let value = Vector::<f32, N>::cast_from(y[i as usize]);
        let d = Vector::<f32, N>::cast_from(dy[i as usize]);
        dx[i as usize] = Vector::<F, N>::cast_from(passed::<N>(value, d));
        i += step;
    }
}
