//! Output and input gradient: both gather, for each position that they write, the values that the
//! window covers.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::Sizes;
use super::cores::{self, AREA, EDGE, PLANE, spread};
use super::tile::{self, ALONG, Tile, of_plane, of_unit};
use crate::backend::gpu::UNITS;

/// One product for each tap: packed weights `[channels written, channels read]` times the values
/// gathered for each position. A cube computes tiles of channels by positions.
///
/// Forwards, output position p reads `p * stride + tap * dilation - padding`. Backwards, input
/// position p reads the outputs q with `q * stride + tap * dilation - padding = p`. With a stride
/// (and dilation 1) only taps of one remainder reach such a p; the cube's z position chooses the
/// remainders of mels and frames.
///
/// While a cube multiplies one slice of channels, the next one is on its way into registers.
#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel takes its buffers one by one")]
pub(super) fn gather_kernel<F: Float, L: Numeric>(
    read: &[F],
    weight: &[F],
    write: &mut [F],
    sizes: Sizes,
    #[comptime] tile: Tile,
    #[comptime] kernel_mels: u32,
    #[comptime] kernel_frames: u32,
    #[comptime] backward: bool,
    #[comptime] strided: bool,
    #[comptime] dilated: bool,
    #[define(F)] _dtype: ElemType,
    #[define(L)] _factor: ElemType,
) {
    let rows = comptime![tile.rows];
    let columns = comptime![tile.columns];
    let depth = comptime![tile.depth];
    let mut left = Shared::<[L]>::new_aligned_slice(comptime![tile.left()], 128usize);
    let mut right = Shared::<[L]>::new_aligned_slice(comptime![tile.right()], 128usize);

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
    let slices = (sizes.read_channels + comptime![depth - 1]) / depth;
    let count = taps_mels * taps_frames * slices;
    let plane = mels * frames;
    let positions = sizes.batch * plane;
    let tiles = (positions + comptime![columns - 1]) / columns;
    let row = CUBE_POS_Y * rows;
    let read_plane = sizes.read_mels * sizes.read_frames;
    let write_plane = sizes.write_mels * sizes.write_frames;

    // A unit gathers for one position, and loads weights from one channel that is read.
    let own_column = UNIT_POS_X % columns;
    let own_depth = UNIT_POS_X / columns;
    let depth_step = comptime![UNITS / columns];
    let own_channel = UNIT_POS_X % depth;
    let own_row = UNIT_POS_X / depth;
    let row_step = comptime![UNITS / depth];

    let mut index = CUBE_POS_X;
    while index < tiles {
        let own = index * columns + own_column;
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

        let mut sums = tile::zeros(tile);
        let matrices = cores::zeros(comptime![tile.patch]);
        let mut values = Array::<F>::new(comptime![(depth * columns / UNITS) as usize]);
        let mut weights = Array::<F>::new(comptime![(depth * rows / UNITS) as usize]);
        let mut slice = 0u32;
        while slice <= count {
            if slice > 0 {
                #[unroll]
                for i in 0..comptime![depth * columns / UNITS] {
                    let k = own_depth + i * depth_step;
                    right[(k * tile.right_pitch + own_column) as usize] =
                        L::cast_from(values[i as usize]);
                }
                #[unroll]
                for i in 0..comptime![depth * rows / UNITS] {
                    let m = own_row + i * row_step;
                    let mut at = m * tile.left_pitch + own_channel;
                    if comptime![tile.is_by_units()] {
                        at = own_channel * tile.left_pitch + m;
                    }
                    left[at as usize] = L::cast_from(weights[i as usize]);
                }
                sync_cube();
            }
            if slice < count {
                let tap = slice / slices;
                let channel = (slice - tap * slices) * depth;
                let tap_mel = tap / taps_frames;
                let tap_frame = tap % taps_frames;
                let mut mel = base_mel;
                let mut frame = base_frame;
                if comptime![backward] {
                    mel -= (tap_mel * step(sizes.dilation_mels, dilated)) as i32;
                    frame -= (tap_frame * step(sizes.dilation_frames, dilated)) as i32;
                } else {
                    mel += (tap_mel * step(sizes.dilation_mels, dilated)) as i32;
                    frame += (tap_frame * step(sizes.dilation_frames, dilated)) as i32;
                }
                let inside = own < positions
                    && mel >= 0
                    && frame >= 0
                    && mel < sizes.read_mels as i32
                    && frame < sizes.read_frames as i32;
                let mut at = (source + channel + own_depth) * read_plane
                    + (mel * sizes.read_frames as i32 + frame) as u32;
                #[unroll]
                for i in 0..comptime![depth * columns / UNITS] {
                    let mut value = F::from_int(0);
                    if inside && channel + own_depth + i * depth_step < sizes.read_channels {
                        value = read[at as usize];
                    }
                    values[i as usize] = value;
                    at += depth_step * read_plane;
                }
                let mut own_tap = tap;
                if comptime![strided] {
                    own_tap = (first_mels + tap_mel * sizes.stride_mels) * kernel_frames
                        + first_frames
                        + tap_frame * sizes.stride_frames;
                }
                let line = own_tap * sizes.write_channels + row + own_row;
                let mut at = line * sizes.read_channels + channel + own_channel;
                #[unroll]
                for i in 0..comptime![depth * rows / UNITS] {
                    let mut value = F::from_int(0);
                    if row + own_row + i * row_step < sizes.write_channels
                        && channel + own_channel < sizes.read_channels
                    {
                        value = weight[at as usize];
                    }
                    weights[i as usize] = value;
                    at += row_step * sizes.read_channels;
                }
            }
            if slice > 0 {
                if comptime![tile.is_by_units()] {
                    // Few channels leave most of a slice empty.
                    let channel = (slice - 1) % slices * depth;
                    let steps = u32::min(sizes.read_channels - channel, depth);
                    tile::multiply::<L>(&left, &right, &mut sums, steps, tile);
                } else {
                    let (down, along) = of_plane(tile);
                    cores::multiply::<L>(&left, &right, &matrices, down, along, tile.patch);
                }
                sync_cube();
            }
            slice += 1;
        }

        if comptime![tile.is_by_units()] {
            let (down, along) = of_unit(tile);
            #[unroll]
            for j in 0..ALONG {
                let at = index * columns + along + j * comptime![tile.across()];
                let place = place(at, plane, frames, class_mels, class_frames, &sizes, strided);
                #[unroll]
                for i in 0..comptime![tile.down()] {
                    let channel = row + down + i;
                    if at < positions && channel < sizes.write_channels {
                        let to = place + channel * write_plane;
                        write[to as usize] =
                            F::cast_from(sums[comptime![(i * ALONG + j) as usize]]);
                    }
                }
            }
        } else {
            let mut scratch = Shared::<[f32]>::new_aligned_slice(
                comptime![(UNITS / PLANE * AREA) as usize],
                128usize,
            );
            let own_plane = UNIT_POS_X / PLANE;
            let lane = UNIT_POS_X % PLANE;
            let (down, along) = of_plane(tile);
            #[unroll]
            for j in 0..comptime![tile.patch.along] {
                let at = index * columns + along + j * EDGE + lane % EDGE;
                let place = place(at, plane, frames, class_mels, class_frames, &sizes, strided);
                #[unroll]
                for i in 0..comptime![tile.patch.down] {
                    let sum = matrices.index(comptime![(i * tile.patch.along + j) as usize]);
                    spread(sum, &mut scratch, own_plane);
                    #[unroll]
                    for pass in 0..comptime![AREA / PLANE] {
                        let local = lane / EDGE + comptime![pass * PLANE / EDGE];
                        let channel = row + down + i * EDGE + local;
                        if at < positions && channel < sizes.write_channels {
                            let to = place + channel * write_plane;
                            let from = own_plane * AREA + local * EDGE + lane % EDGE;
                            write[to as usize] = F::cast_from(scratch[from as usize]);
                        }
                    }
                    sync_plane();
                }
            }
        }
        index += CUBE_COUNT_X;
    }
}

/// Where the first channel of a position is written. Those of a class lie a stride apart.
#[cube]
fn place(
    at: u32,
    plane: u32,
    frames: u32,
    class_mels: u32,
    class_frames: u32,
    sizes: &Sizes,
    #[comptime] strided: bool,
) -> u32 {
    let rest = at % plane;
    let mut mel = rest / frames;
    let mut frame = rest % frames;
    if comptime![strided] {
        mel = mel * sizes.stride_mels + class_mels;
        frame = frame * sizes.stride_frames + class_frames;
    }
    (at / plane * sizes.write_channels * sizes.write_mels + mel) * sizes.write_frames + frame
}

/// A distance that is 1 in most networks: then the compiler knows it.
#[cube]
fn step(distance: u32, #[comptime] other: bool) -> u32 {
    let mut step = 1u32;
    if comptime![other] {
        step = distance;
    }
    step
}
