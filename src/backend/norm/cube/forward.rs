//! The kernels of a training pass. They compute in f32, whatever type the values are stored in.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::reduce::{join, joined};
use super::walk::{Walk, inverse_of, normalized, passed, rows_of, span_of};
use crate::backend::gpu::UNITS;

/// Count, mean and sum of squared deviations of each part of each channel (Welford's algorithm),
/// `[channels, parts, 3]`.
#[cube(launch)]
pub(super) fn moments_kernel<F: Float, N: Size>(
    x: &[Vector<F, N>],
    partials: &mut [f32],
    walk: Walk,
    #[define(F)] _dtype: ElemType,
) {
    let mut counts = Shared::<[f32]>::new_slice(comptime![UNITS as usize]);
    let mut means = Shared::<[f32]>::new_slice(comptime![UNITS as usize]);
    let mut squares = Shared::<[f32]>::new_slice(comptime![UNITS as usize]);
    let unit = UNIT_POS_X;
    let channel = CUBE_POS_Y;
    let (first, end) = rows_of(&walk);
    let (left, right) = span_of(&walk);
    let step = UNITS / walk.lanes;
    let mut seen = 0.0f32;
    let mut mean = Vector::<f32, N>::new(0.0f32);
    let mut square = Vector::<f32, N>::new(0.0f32);
    let mut row = first;
    while row < end {
        let start = (row * walk.channels + channel) * walk.inner;
        let mut i = left;
        while i < right {
            let value = Vector::<f32, N>::cast_from(x[(start + i) as usize]);
            seen += 1.0f32;
            let off = value - mean;
            mean += off * Vector::<f32, N>::new(1.0f32 / seen);
            square += off * (value - mean);
            i += walk.lanes;
        }
        row += step;
    }
    let (center, deviation) = joined::<N>(mean, square, seen);
    let width = N::value();
    counts[unit as usize] = seen * comptime![width as f32];
    means[unit as usize] = center;
    squares[unit as usize] = deviation;
    join(&mut counts, &mut means, &mut squares);
    if unit == 0 {
        let at = ((channel * CUBE_COUNT_X + CUBE_POS_X) * 3) as usize;
        partials[at] = counts[0];
        partials[at + 1] = means[0];
        partials[at + 2] = squares[0];
    }
}

/// The output from the partial moments. The first cube of a channel writes the moments `[2,
/// channels]` and, with `track`, the running statistics.
#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel takes its buffers one by one")]
pub(super) fn apply_kernel<F: Float, P: Float, N: Size>(
    x: &[Vector<F, N>],
    gamma: &[P],
    beta: &[P],
    partials: &[f32],
    moments: &mut [f32],
    other: &[Vector<F, N>],
    y: &mut [Vector<F, N>],
    old_mean: &[P],
    old_var: &[P],
    new_mean: &mut [P],
    new_var: &mut [P],
    walk: Walk,
    parts: u32,
    epsilon: f32,
    momentum: f32,
    unbiased: f32,
    #[comptime] add: bool,
    #[comptime] rectify: bool,
    #[comptime] track: bool,
    #[define(F, P)] _dtypes: [ElemType; 2],
) {
    let mut counts = Shared::<[f32]>::new_slice(comptime![UNITS as usize]);
    let mut means = Shared::<[f32]>::new_slice(comptime![UNITS as usize]);
    let mut squares = Shared::<[f32]>::new_slice(comptime![UNITS as usize]);
    let unit = UNIT_POS_X;
    let channel = CUBE_POS_Y;
    let mut part_count = 0.0f32;
    let mut part_mean = 0.0f32;
    let mut part_square = 0.0f32;
    if unit < parts {
        let at = ((channel * parts + unit) * 3) as usize;
        part_count = partials[at];
        part_mean = partials[at + 1];
        part_square = partials[at + 2];
    }
    counts[unit as usize] = part_count;
    means[unit as usize] = part_mean;
    squares[unit as usize] = part_square;
    join(&mut counts, &mut means, &mut squares);
    let mean = means[0];
    let variance = squares[0] / counts[0];
    if CUBE_POS_X == 0 && unit == 0 {
        moments[channel as usize] = mean;
        moments[(walk.channels + channel) as usize] = variance;
        if comptime![track] {
            let at = channel as usize;
            let kept = 1.0f32 - momentum;
            let moved_mean = f32::cast_from(old_mean[at]) * kept + mean * momentum;
            let moved_var = f32::cast_from(old_var[at]) * kept + variance * unbiased * momentum;
            new_mean[at] = P::cast_from(moved_mean);
            new_var[at] = P::cast_from(moved_var);
        }
    }
    let scale = f32::cast_from(gamma[channel as usize]) * inverse_of(variance, epsilon);
    let shift = f32::cast_from(beta[channel as usize]);
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
            let mut out = normalized::<N>(value, mean, scale, shift);
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
