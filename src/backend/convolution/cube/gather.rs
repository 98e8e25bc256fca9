//! Output and input gradient: both gather, for each position that they write, the values that the
//! window covers.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::Sizes;

/// Rows of the product's inner axis that are in shared memory at a time.
const DEPTH: u32 = 16;
/// Units of a cube.
const UNITS: u32 = 256;
/// Columns of a tile that a unit computes.
const PER_UNIT: u32 = 4;

/// One product: weights `[channels written, channels read * taps]` times the values gathered for
/// each position. A cube computes tiles of `rows` channels by `columns` positions.
///
/// Forwards, output position p reads `p * stride + tap * dilation - padding`. Backwards, input
/// position p reads the outputs q with `q * stride + tap * dilation - padding = p`. With a stride
/// (and dilation 1) only taps of one remainder reach such a p; the cube's z position chooses the
/// remainders of mels and frames.
#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel takes its buffers one by one")]
pub(super) fn gather_kernel<F: Float>(
    read: &[F],
    weight: &[F],
    write: &mut [F],
    sizes: Sizes,
    #[comptime] rows: u32,
    #[comptime] columns: u32,
    #[comptime] kernel_mels: u32,
    #[comptime] kernel_frames: u32,
    #[comptime] backward: bool,
    #[comptime] strided: bool,
    #[comptime] dilated: bool,
    #[define(F)] _dtype: ElemType,
) {
    let across = comptime![columns / PER_UNIT];
    let per_row = comptime![rows * columns / UNITS / PER_UNIT];
    let pitch = comptime![rows + 1];
    let mut left = Shared::<[f32]>::new_slice(comptime![(DEPTH * pitch) as usize]);
    let mut right = Shared::<[f32]>::new_slice(comptime![(DEPTH * columns) as usize]);

    let mut class_mels = 0u32;
    let mut class_frames = 0u32;
    let mut first_mels = 0u32;
    let mut first_frames = 0u32;
    let mut taps_mels = kernel_mels.runtime();
    let mut taps_frames = kernel_frames.runtime();
    let mut mels = sizes.write_mels;
    let mut frames = sizes.write_frames;
    if comptime![strided] {
        class_mels = CUBE_POS_Z / sizes.stride_frames;
        class_frames = CUBE_POS_Z % sizes.stride_frames;
        first_mels = (class_mels + sizes.pad_mels) % sizes.stride_mels;
        first_frames = (class_frames + sizes.pad_frames) % sizes.stride_frames;
        taps_mels = (kernel_mels + sizes.stride_mels - 1 - first_mels) / sizes.stride_mels;
        taps_frames =
            (kernel_frames + sizes.stride_frames - 1 - first_frames) / sizes.stride_frames;
        mels = (mels + sizes.stride_mels - 1 - class_mels) / sizes.stride_mels;
        frames = (frames + sizes.stride_frames - 1 - class_frames) / sizes.stride_frames;
    }
    let taps = taps_mels * taps_frames;
    let depth = sizes.read_channels * taps;
    let plane = mels * frames;
    let positions = sizes.batch * plane;
    let tiles = (positions + comptime![columns - 1]) / columns;
    let row = CUBE_POS_Y * rows;

    let mut tile = CUBE_POS_X;
    while tile < tiles {
        // Each unit gathers for one position.
        let own = tile * columns + UNIT_POS_X % columns;
        let batch = own / plane;
        let rest = own % plane;
        let own_mel = rest / frames;
        let own_frame = rest % frames;
        let mut base_mel = (own_mel + sizes.pad_mels) as i32;
        let mut base_frame = (own_frame + sizes.pad_frames) as i32;
        if comptime![strided] {
            let mel = (class_mels + sizes.pad_mels - first_mels) / sizes.stride_mels;
            let frame = (class_frames + sizes.pad_frames - first_frames) / sizes.stride_frames;
            base_mel = own_mel as i32 + mel as i32;
            base_frame = own_frame as i32 + frame as i32;
        }
        if comptime![!backward] {
            base_mel = (own_mel * sizes.stride_mels) as i32 - sizes.pad_mels as i32;
            base_frame = (own_frame * sizes.stride_frames) as i32 - sizes.pad_frames as i32;
        }
        let source = batch * sizes.read_channels;

        let mut sums = Array::<f32>::new(comptime![(per_row * PER_UNIT) as usize]);
        #[unroll]
        for i in 0..comptime![per_row * PER_UNIT] {
            sums[i as usize] = 0.0f32;
        }

        let mut start = 0u32;
        while start < depth {
            #[unroll]
            for pass in 0..comptime![rows * DEPTH / UNITS] {
                let k = start + UNIT_POS_X % DEPTH;
                let m = UNIT_POS_X / DEPTH + comptime![pass * UNITS / DEPTH];
                let mut value = 0.0f32;
                if k < depth && row + m < sizes.write_channels {
                    let mut at = (row + m) * depth + k;
                    if comptime![backward] {
                        let tap = k % taps;
                        let mel = first_mels + tap / taps_frames * step(sizes.stride_mels, strided);
                        let frame =
                            first_frames + tap % taps_frames * step(sizes.stride_frames, strided);
                        at = ((k / taps * sizes.write_channels + row + m) * kernel_mels + mel)
                            * kernel_frames
                            + frame;
                    }
                    value = f32::cast_from(weight[at as usize]);
                }
                left[(UNIT_POS_X % DEPTH * pitch + m) as usize] = value;
            }
            #[unroll]
            for pass in 0..comptime![columns * DEPTH / UNITS] {
                let local = UNIT_POS_X / columns + comptime![pass * UNITS / columns];
                let k = start + local;
                let channel = k / taps;
                let tap = k % taps;
                let mut mel = base_mel;
                let mut frame = base_frame;
                let down = tap / taps_frames * step(sizes.dilation_mels, dilated);
                let along = tap % taps_frames * step(sizes.dilation_frames, dilated);
                if comptime![backward] {
                    mel -= down as i32;
                    frame -= along as i32;
                } else {
                    mel += down as i32;
                    frame += along as i32;
                }
                let mut value = 0.0f32;
                if k < depth
                    && own < positions
                    && mel >= 0
                    && frame >= 0
                    && mel < sizes.read_mels as i32
                    && frame < sizes.read_frames as i32
                {
                    let at = ((source + channel) * sizes.read_mels + mel as u32)
                        * sizes.read_frames
                        + frame as u32;
                    value = f32::cast_from(read[at as usize]);
                }
                right[(local * columns + UNIT_POS_X % columns) as usize] = value;
            }
            sync_cube();
            for k in 0..DEPTH {
                let mut a = Array::<f32>::new(comptime![per_row as usize]);
                let mut b = Array::<f32>::new(comptime![PER_UNIT as usize]);
                #[unroll]
                for i in 0..per_row {
                    a[i as usize] = left[(k * pitch + UNIT_POS_X / across * per_row + i) as usize];
                }
                #[unroll]
                for j in 0..PER_UNIT {
                    b[j as usize] =
                        right[(k * columns + UNIT_POS_X % across + j * across) as usize];
                }
                #[unroll]
                for i in 0..per_row {
                    #[unroll]
                    for j in 0..PER_UNIT {
                        let at = comptime![(i * PER_UNIT + j) as usize];
                        sums[at] += a[i as usize] * b[j as usize];
                    }
                }
            }
            sync_cube();
            start += DEPTH;
        }

        #[unroll]
        for j in 0..PER_UNIT {
            let at = tile * columns + UNIT_POS_X % across + j * across;
            if at < positions {
                let rest = at % plane;
                let mut mel = rest / frames;
                let mut frame = rest % frames;
                if comptime![strided] {
                    mel = mel * sizes.stride_mels + class_mels;
                    frame = frame * sizes.stride_frames + class_frames;
                }
                #[unroll]
                for i in 0..per_row {
                    let channel = row + UNIT_POS_X / across * per_row + i;
                    if channel < sizes.write_channels {
                        let to = ((at / plane * sizes.write_channels + channel) * sizes.write_mels
                            + mel)
                            * sizes.write_frames
                            + frame;
                        write[to as usize] =
                            F::cast_from(sums[comptime![(i * PER_UNIT + j) as usize]]);
                    }
                }
            }
        }
        tile += CUBE_COUNT_X;
    }
}

/// A distance that is 1 in most networks: then the compiler knows it.
#[cube]
pub(super) fn step(distance: u32, #[comptime] other: bool) -> u32 {
    let mut step = 1u32;
    if comptime![other] {
        step = distance;
    }
    step
}
