//! The kernels of the gradients. They compute in f32, whatever type the values are stored in.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::reduce::{add_up, total};
use super::walk::{Walk, inverse_of, normalized, passed, rows_of, span_of};
use crate::backend::gpu::UNITS;

/// Sums of `g` and of `g * (x - mean) / deviation` over each part of each channel, `[channels,
/// parts, 2]`. Here `g` is the output's gradient where the rectifier passes it. With `add` the mask
/// comes from the output `y`, and `g` is written.
#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel takes its buffers one by one")]
pub(super) fn sums_kernel<F: Float, P: Float, N: Size>(
    x: &[Vector<F, N>],
    dy: &[Vector<F, N>],
    gamma: &[P],
    beta: &[P],
    moments: &[f32],
    partials: &mut [f32],
    y: &[Vector<F, N>],
    g: &mut [Vector<F, N>],
    walk: Walk,
    epsilon: f32,
    #[comptime] add: bool,
    #[comptime] rectify: bool,
    #[define(F, P)] _dtypes: [ElemType; 2],
) {
    let mut sums = Shared::<[f32]>::new_slice(comptime![UNITS as usize]);
    let mut products = Shared::<[f32]>::new_slice(comptime![UNITS as usize]);
    let unit = UNIT_POS_X;
    let channel = CUBE_POS_Y;
    let mean = moments[channel as usize];
    let inverse = inverse_of(moments[(walk.channels + channel) as usize], epsilon);
    let scale = f32::cast_from(gamma[channel as usize]) * inverse;
    let shift = f32::cast_from(beta[channel as usize]);
    let (first, end) = rows_of(&walk);
    let (left, right) = span_of(&walk);
    let step = UNITS / walk.lanes;
    let mut sum = Vector::<f32, N>::new(0.0f32);
    let mut product = Vector::<f32, N>::new(0.0f32);
    let mut row = first;
    while row < end {
        let start = (row * walk.channels + channel) * walk.inner;
        let mut i = left;
        while i < right {
            let at = (start + i) as usize;
            let value = Vector::<f32, N>::cast_from(x[at]);
            let mut d = Vector::<f32, N>::cast_from(dy[at]);
            if comptime![rectify && !add] {
                d = passed::<N>(normalized::<N>(value, mean, scale, shift), d);
            }
            if comptime![rectify && add] {
                d = passed::<N>(Vector::<f32, N>::cast_from(y[at]), d);
                g[at] = Vector::<F, N>::cast_from(d);
            }
            sum += d;
            product += d * (value - Vector::<f32, N>::new(mean));
            i += walk.lanes;
        }
        row += step;
    }
    sums[unit as usize] = total::<N>(sum);
    products[unit as usize] = total::<N>(product) * inverse;
    add_up(&mut sums, &mut products);
    if unit == 0 {
        let at = ((channel * CUBE_COUNT_X + CUBE_POS_X) * 2) as usize;
        partials[at] = sums[0];
        partials[at + 1] = products[0];
    }
}

/// The input's gradient from the partial sums. The first cube of a channel writes those of gamma
/// and beta. `count` is the number of a channel's values.
#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel takes its buffers one by one")]
pub(super) fn gradient_kernel<F: Float, P: Float, N: Size>(
    x: &[Vector<F, N>],
    dy: &[Vector<F, N>],
    gamma: &[P],
    beta: &[P],
    moments: &[f32],
    partials: &[f32],
    dgamma: &mut [P],
    dbeta: &mut [P],
    dx: &mut [Vector<F, N>],
    walk: Walk,
    parts: u32,
    count: f32,
    epsilon: f32,
    #[comptime] rectify: bool,
    #[define(F, P)] _dtypes: [ElemType; 2],
) {
    let mut sums = Shared::<[f32]>::new_slice(comptime![UNITS as usize]);
    let mut products = Shared::<[f32]>::new_slice(comptime![UNITS as usize]);
    let unit = UNIT_POS_X;
    let channel = CUBE_POS_Y;
    let mut part_sum = 0.0f32;
    let mut part_product = 0.0f32;
    if unit < parts {
        let at = ((channel * parts + unit) * 2) as usize;
        part_sum = partials[at];
        part_product = partials[at + 1];
    }
    sums[unit as usize] = part_sum;
    products[unit as usize] = part_product;
    add_up(&mut sums, &mut products);
    let sum = sums[0];
    let product = products[0];
    if CUBE_POS_X == 0 && unit == 0 {
        dgamma[channel as usize] = P::cast_from(product);
        dbeta[channel as usize] = P::cast_from(sum);
    }
    let mean = moments[channel as usize];
    let inverse = inverse_of(moments[(walk.channels + channel) as usize], epsilon);
    let scale = f32::cast_from(gamma[channel as usize]) * inverse;
    let shift = f32::cast_from(beta[channel as usize]);
    let offset = Vector::<f32, N>::new(sum / count);
    let slope = Vector::<f32, N>::new(product / count * inverse);
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
            let mut d = Vector::<f32, N>::cast_from(dy[at]);
            if comptime![rectify] {
                d = passed::<N>(normalized::<N>(value, mean, scale, shift), d);
            }
            let off = value - Vector::<f32, N>::new(mean);
            let gradient = Vector::<f32, N>::new(scale) * (d - offset - off * slope);
            dx[at] = Vector::<F, N>::cast_from(gradient);
            i += walk.lanes;
        }
        row += step;
    }
}
