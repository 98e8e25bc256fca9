//! The weights' gradient: a sum over all positions, in parts that are added up in a fixed order.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::Sizes;

/// Positions that are in shared memory at a time.
const DEPTH: u32 = 16;
/// Units of a cube, in rows and columns of `EDGE`.
const UNITS: u32 = 256;
const EDGE: u32 = 16;

/// One product for each part of the positions: output gradients `[output, positions]` times the
/// values `[positions, input * taps]` that the window covers there. A cube computes a tile of
/// `rows` by `columns`; its z position is the part, of `chunk` positions.
#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel takes its buffers one by one")]
pub(super) fn weight_kernel<F: Float>(
    x: &[F],
    dy: &[F],
    parts: &mut [f32],
    sizes: Sizes,
    chunk: u32,
    #[comptime] rows: u32,
    #[comptime] columns: u32,
    #[comptime] kernel_mels: u32,
    #[comptime] kernel_frames: u32,
    #[define(F)] _dtype: ElemType,
) {
    let taps = comptime![kernel_mels * kernel_frames];
    let per_row = comptime![rows / EDGE];
    let per_column = comptime![columns / EDGE];
    // Lines begin at multiples of 4 values, and a unit reads 4 at once.
    let left_pitch = comptime![rows + 4];
    let right_pitch = comptime![columns + 1];
    let mut left =
        Shared::<[f32]>::new_aligned_slice(comptime![(DEPTH * left_pitch) as usize], 128usize);
    let mut right = Shared::<[f32]>::new_slice(comptime![(DEPTH * right_pitch) as usize]);

    let width = sizes.read_channels * taps;
    let plane = sizes.write_mels * sizes.write_frames;
    let positions = sizes.batch * plane;
    let row = CUBE_POS_Y * rows;
    let column = CUBE_POS_X * columns;
    // A unit loads one position of every EDGE-th row and column.
    let local = UNIT_POS_X % DEPTH;
    let lane = UNIT_POS_X / DEPTH;

    // Which channel and tap a column is does not depend on the position.
    let mut channels = Array::<u32>::new(comptime![per_column as usize]);
    let mut mels = Array::<i32>::new(comptime![per_column as usize]);
    let mut frames = Array::<i32>::new(comptime![per_column as usize]);
    #[unroll]
    for j in 0..per_column {
        let at = column + lane + j * EDGE;
        let tap = at % taps;
        channels[j as usize] = at / taps;
        let down = tap / kernel_frames * sizes.dilation_mels;
        let along = tap % kernel_frames * sizes.dilation_frames;
        mels[j as usize] = down as i32 - sizes.pad_mels as i32;
        frames[j as usize] = along as i32 - sizes.pad_frames as i32;
    }

    let mut sums = Array::<f32>::new(comptime![(per_row * per_column) as usize]);
    #[unroll]
    for i in 0..comptime![per_row * per_column] {
        sums[i as usize] = 0.0f32;
    }

    let mut start = CUBE_POS_Z * chunk;
    let end = u32::min(start + chunk, positions);
    while start < end {
        let at = start + local;
        let batch = at / plane;
        let rest = at % plane;
        let mel = (rest / sizes.write_frames * sizes.stride_mels) as i32;
        let frame = (rest % sizes.write_frames * sizes.stride_frames) as i32;
        #[unroll]
        for i in 0..per_row {
            let m = lane + i * EDGE;
            let mut value = 0.0f32;
            if at < end && row + m < sizes.write_channels {
                let from = (batch * sizes.write_channels + row + m) * plane + rest;
                value = f32::cast_from(dy[from as usize]);
            }
            left[(local * left_pitch + m) as usize] = value;
        }
        #[unroll]
        for j in 0..per_column {
            let n = lane + j * EDGE;
            let mel = mel + mels[j as usize];
            let frame = frame + frames[j as usize];
            let mut value = 0.0f32;
            if at < end
                && column + n < width
                && mel >= 0
                && frame >= 0
                && mel < sizes.read_mels as i32
                && frame < sizes.read_frames as i32
            {
                let from = ((batch * sizes.read_channels + channels[j as usize]) * sizes.read_mels
                    + mel as u32)
                    * sizes.read_frames
                    + frame as u32;
                value = f32::cast_from(x[from as usize]);
            }
            right[(local * right_pitch + n) as usize] = value;
        }
        sync_cube();
        for k in 0..DEPTH {
            let mut a = Array::<f32>::new(comptime![per_row as usize]);
            let mut b = Array::<f32>::new(comptime![per_column as usize]);
            #[unroll]
            for i in 0..per_row {
                a[i as usize] = left[(k * left_pitch + UNIT_POS_X / EDGE * per_row + i) as usize];
            }
            #[unroll]
            for j in 0..per_column {
                b[j as usize] = right[(k * right_pitch + UNIT_POS_X % EDGE + j * EDGE) as usize];
            }
            #[unroll]
            for i in 0..per_row {
                #[unroll]
                for j in 0..per_column {
                    let at = comptime![(i * per_column + j) as usize];
                    sums[at] += a[i as usize] * b[j as usize];
                }
            }
        }
        sync_cube();
        start += DEPTH;
    }

    #[unroll]
    for i in 0..per_row {
        #[unroll]
        for j in 0..per_column {
            let m = row + UNIT_POS_X / EDGE * per_row + i;
            let n = column + UNIT_POS_X % EDGE + j * EDGE;
            if m < sizes.write_channels && n < width {
                let to = (CUBE_POS_Z * sizes.write_channels + m) * width + n;
                parts[to as usize] = sums[comptime![(i * per_column + j) as usize]];
            }
        }
    }
}

/// Adds up the parts of each of `count` weights.
#[cube(launch)]
pub(super) fn sum_kernel<F: Float>(
    parts: &[f32],
    sum: &mut [F],
    count: u32,
    splits: u32,
    #[define(F)] _dtype: ElemType,
) {
    let step = UNITS * CUBE_COUNT_X;
    let mut i = ABSOLUTE_POS as u32;
    while i < count {
        let mut total = 0.0f32;
        let mut at = i;
        for _ in 0..splits {
            total += parts[at as usize];
            at += count;
        }
        sum[i as usize] = F::cast_from(total);
        i += step;
    }
}
