//! The kernels. A unit works on a column of [`ROWS`] places of one plane. So it reads every input
//! once for all the outputs above and below it. Its neighbours work on the neighbouring frames, so
//! that reads are coalesced. All sums are f32.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use crate::backend::gpu::{UNITS, total};

/// Outputs of a unit, one below the other.
pub(super) const ROWS: u32 = 4;

/// The planes that a kernel goes through.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct Planes {
    channels: u32,
    mels: u32,
    frames: u32,
}

/// The convolution of each plane of `x` with its channel's kernel, or with that kernel mirrored.
/// There are `count` columns.
#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel takes its buffers one by one")]
pub(super) fn convolve_kernel<F: Float>(
    x: &[F],
    weight: &[F],
    y: &mut [F],
    planes: Planes,
    count: u32,
    #[comptime] kernel: u32,
    #[comptime] mirrored: bool,
    #[define(F)] _dtype: ElemType,
) {
    let rows = comptime![ROWS];
    let pad = comptime![kernel / 2];
    let taps = comptime![kernel * kernel];
    let window = comptime![ROWS + kernel - 1];
    let mels = planes.mels;
    let frames = planes.frames;
    let columns = (mels + comptime![ROWS - 1]) / comptime![ROWS];
    let mut weights = Array::<f32>::new(comptime![taps as usize]);
    let mut sums = Array::<f32>::new(comptime![ROWS as usize]);
    let stride = UNITS * CUBE_COUNT_X;
    let mut i = ABSOLUTE_POS as u32;
    while i < count {
        let frame = i % frames;
        let line = i / frames;
        let top = (line % columns) * comptime![ROWS];
        let plane = line / columns;
        let first = (plane % planes.channels) * taps;
        let start = plane * mels * frames;
        #[unroll]
        for tap in 0..taps {
            let from = comptime![if mirrored { taps - 1 - tap } else { tap }];
            weights[comptime![tap as usize]] = f32::cast_from(weight[(first + from) as usize]);
        }
        #[unroll]
        for row in 0..rows {
            sums[comptime![row as usize]] = 0.0f32;
        }
        #[unroll]
        for row in 0..window {
            // Both are larger by `pad` than the place they stand for.
            let mel = top + row;
            let there = mel >= pad && mel < mels + pad;
            #[unroll]
            for column in 0..kernel {
                let place = frame + column;
                let inside = there && place >= pad && place < frames + pad;
                let at = select(inside, start + (mel - pad) * frames + place - pad, 0u32);
                let value = f32::cast_from(x[at as usize]);
                let value = select(inside, value, 0.0f32);
                #[unroll]
                for output in 0..rows {
                    if comptime![row >= output && row - output < kernel] {
                        let tap = comptime![((row - output) * kernel + column) as usize];
                        sums[comptime![output as usize]] += weights[tap] * value;
                    }
                }
            }
        }
        #[unroll]
        for row in 0..rows {
            let mel = top + row;
            if mel < mels {
                let sum = sums[comptime![row as usize]];
                y[(start + mel * frames + frame) as usize] = F::cast_from(sum);
            }
        }
        i += stride;
    }
}

/// For each tap the sum of `dy` times the input shifted by the tap: `[parts, channels, taps]`. A
/// cube sums one part of one channel, which has `count` columns in all.
#[cube(launch)]
pub(super) fn correlate_kernel<F: Float, G: Float>(
    x: &[F],
    dy: &[F],
    gradient: &mut [G],
    planes: Planes,
    count: u32,
    #[comptime] kernel: u32,
    #[define(F, G)] _dtypes: [ElemType; 2],
) {
    let rows = comptime![ROWS];
    let pad = comptime![kernel / 2];
    let taps = comptime![kernel * kernel];
    let window = comptime![ROWS + kernel - 1];
    let mels = planes.mels;
    let frames = planes.frames;
    let channels = planes.channels;
    let channel = CUBE_POS_X;
    let part = CUBE_POS_Y;
    let columns = (mels + comptime![ROWS - 1]) / comptime![ROWS];
    let mut scratch = Shared::<[f32]>::new_slice(comptime![UNITS as usize]);
    let mut sums = Array::<f32>::new(comptime![taps as usize]);
    let mut slopes = Array::<f32>::new(comptime![ROWS as usize]);
    #[unroll]
    for tap in 0..taps {
        sums[comptime![tap as usize]] = 0.0f32;
    }
    let stride = UNITS * CUBE_COUNT_Y;
    let mut i = UNITS * part + UNIT_POS_X;
    while i < count {
        let frame = i % frames;
        let line = i / frames;
        let top = (line % columns) * comptime![ROWS];
        let start = ((line / columns) * channels + channel) * mels * frames;
        #[unroll]
        for row in 0..rows {
            let mel = top + row;
            let inside = mel < mels;
            let at = select(inside, start + mel * frames + frame, 0u32);
            let slope = f32::cast_from(dy[at as usize]);
            slopes[comptime![row as usize]] = select(inside, slope, 0.0f32);
        }
        #[unroll]
        for row in 0..window {
            // Both are larger by `pad` than the place they stand for.
            let mel = top + row;
            let there = mel >= pad && mel < mels + pad;
            #[unroll]
            for column in 0..kernel {
                let place = frame + column;
                let inside = there && place >= pad && place < frames + pad;
                let at = select(inside, start + (mel - pad) * frames + place - pad, 0u32);
                let value = f32::cast_from(x[at as usize]);
                let value = select(inside, value, 0.0f32);
                #[unroll]
                for output in 0..rows {
                    if comptime![row >= output && row - output < kernel] {
                        let tap = comptime![((row - output) * kernel + column) as usize];
                        sums[tap] += slopes[comptime![output as usize]] * value;
                    }
                }
            }
        }
        i += stride;
    }
    let first = (part * channels + channel) * taps;
    #[unroll]
    for tap in 0..taps {
        let own = sums[comptime![tap as usize]];
        let sum = total::<f32>(own, &mut scratch, UNITS);
        if UNIT_POS_X == 0 {
            gradient[(first + tap) as usize] = G::cast_from(sum);
        }
    }
}

/// `[parts, count]` -> `[count]`: the sums of the parts.
#[cube(launch)]
pub(super) fn merge_kernel<F: Float>(
    sums: &[f32],
    gradient: &mut [F],
    parts: u32,
    count: u32,
    #[define(F)] _dtype: ElemType,
) {
    let stride = UNITS * CUBE_COUNT_X;
    let mut i = ABSOLUTE_POS as u32;
    while i < count {
        let mut sum = 0.0f32;
        for part in 0..parts {
            sum += sums[(part * count + i) as usize];
        }
        gradient[i as usize] = F::cast_from(sum);
        i += stride;
    }
}
