//! The weights' gradient on tensor cores: a sum over all positions, in parts that are added up in a
//! fixed order.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::Sizes;
use super::cores::{AREA, EDGE, Factor, PLANE, Patch, multiply, spread, zeros};

/// Taps at most: there is a plane for each, and what it needs of the shared memory.
const MOST_TAPS: usize = 10;
/// Input channels of a plane.
const CHANNELS: u32 = 2 * EDGE;

/// What a cube computes: output channels by input channels, with a plane for each tap and each of
/// `groups` of input channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Tile {
    taps: u32,
    groups: u32,
    patch: Patch,
}

impl Tile {
    /// Whether there is one for a kernel of this size.
    pub(super) fn takes(kernel: [usize; 2]) -> bool {
        kernel[0] * kernel[1] <= MOST_TAPS
    }

    /// The one for so many output channels and taps.
    pub(super) fn of(output: usize, taps: u32, factor: Factor) -> Self {
        let patch = Patch {
            down: if output > 32 { 4 } else { 2 },
            along: 2,
            depth: factor.depth,
            inner: factor.inner,
            left_pitch: factor.depth + factor.pad,
            right_pitch: factor.depth + factor.pad,
            transposed: true,
        };
        Self { taps, groups: (9 / taps).max(1), patch }
    }

    /// Output channels.
    pub(super) fn rows(&self) -> u32 {
        self.patch.down * EDGE
    }

    /// Input channels.
    pub(super) fn channels(&self) -> u32 {
        self.groups * CHANNELS
    }

    /// Planes of a cube.
    pub(super) fn planes(&self) -> u32 {
        self.taps * self.groups
    }
}

/// One product for each part of the positions: output gradients `[output, positions]` times the
/// values `[positions, input]` that a tap reads there. A cube computes a [`Tile`]; its z position
/// is the part, of `chunk` positions. A plane gathers what it multiplies itself, and all use the
/// same output gradients.
#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel takes its buffers one by one")]
pub(super) fn cores_weight_kernel<F: Float, L: Numeric>(
    x: &[F],
    dy: &[F],
    parts: &mut [f32],
    sizes: Sizes,
    chunk: u32,
    #[comptime] tile: Tile,
    #[comptime] kernel_mels: u32,
    #[comptime] kernel_frames: u32,
    #[define(F)] _dtype: ElemType,
    #[define(L)] _factor: ElemType,
) {
    let taps = comptime![kernel_mels * kernel_frames];
    let rows = comptime![tile.rows()];
    let planes = comptime![tile.planes()];
    let depth = comptime![tile.patch.depth];
    let pitch = comptime![tile.patch.left_pitch];
    // Lanes of a plane lie along positions; those that are left take another line.
    let lines = comptime![PLANE / depth];
    let passes = comptime![rows.div_ceil(planes * lines)];
    let mut left = Shared::<[L]>::new_aligned_slice(comptime![(rows * pitch) as usize], 128usize);
    let mut right =
        Shared::<[L]>::new_aligned_slice(comptime![(planes * CHANNELS * pitch) as usize], 128usize);
    let mut scratch =
        Shared::<[f32]>::new_aligned_slice(comptime![(planes * AREA) as usize], 128usize);

    let write_plane = sizes.write_mels * sizes.write_frames;
    let read_plane = sizes.read_mels * sizes.read_frames;
    let positions = sizes.batch * write_plane;
    let row = CUBE_POS_Y * rows;
    let own_plane = UNIT_POS_X / PLANE;
    let lane = UNIT_POS_X % PLANE;
    let own_position = lane % depth;
    let own_line = lane / depth;
    let tap = own_plane % taps;
    let channel = (CUBE_POS_X * comptime![tile.groups] + own_plane / taps) * CHANNELS;
    let down = (tap / kernel_frames * sizes.dilation_mels) as i32 - sizes.pad_mels as i32;
    let along = (tap % kernel_frames * sizes.dilation_frames) as i32 - sizes.pad_frames as i32;

    let sums = zeros(comptime![tile.patch]);
    let mut values = Array::<F>::new(comptime![(CHANNELS / lines) as usize]);
    let mut slopes = Array::<F>::new(comptime![passes as usize]);
    let mut start = CUBE_POS_Z * chunk;
    let end = u32::min(start + chunk, positions);
    let mut loaded = false;
    while start < end + depth {
        if loaded {
            #[unroll]
            for i in 0..comptime![CHANNELS / lines] {
                let line = own_plane * CHANNELS + own_line + i * lines;
                right[(line * pitch + own_position) as usize] = L::cast_from(values[i as usize]);
            }
            #[unroll]
            for i in 0..passes {
                let m = (own_plane + i * planes) * lines + own_line;
                if m < rows {
                    left[(m * pitch + own_position) as usize] = L::cast_from(slopes[i as usize]);
                }
            }
            sync_cube();
        }
        if start < end {
            let at = start + own_position;
            let batch = at / write_plane;
            let rest = at % write_plane;
            let mel = (rest / sizes.write_frames * sizes.stride_mels) as i32 + down;
            let frame = (rest % sizes.write_frames * sizes.stride_frames) as i32 + along;
            let inside = at < end
                && mel >= 0
                && frame >= 0
                && mel < sizes.read_mels as i32
                && frame < sizes.read_frames as i32;
            let mut from = (batch * sizes.read_channels + channel + own_line) * read_plane
                + (mel * sizes.read_frames as i32 + frame) as u32;
            #[unroll]
            for i in 0..comptime![CHANNELS / lines] {
                let mut value = F::from_int(0);
                if inside && channel + own_line + i * lines < sizes.read_channels {
                    value = x[from as usize];
                }
                values[i as usize] = value;
                from += lines * read_plane;
            }
            #[unroll]
            for i in 0..passes {
                let m = (own_plane + i * planes) * lines + own_line;
                let mut value = F::from_int(0);
                if at < end && m < rows && row + m < sizes.write_channels {
                    let from = (batch * sizes.write_channels + row + m) * write_plane + rest;
                    value = dy[from as usize];
                }
                slopes[i as usize] = value;
            }
        }
        if loaded {
            multiply::<L>(&left, &right, &sums, 0u32, own_plane * CHANNELS, comptime![tile.patch]);
            sync_cube();
        }
        loaded = true;
        start += depth;
    }

    let width = sizes.read_channels * taps;
    #[unroll]
    for i in 0..comptime![tile.patch.down] {
        #[unroll]
        for j in 0..comptime![tile.patch.along] {
            let sum = sums.index(comptime![(i * tile.patch.along + j) as usize]);
            spread(sum, &mut scratch, own_plane);
            #[unroll]
            for pass in 0..comptime![AREA / PLANE] {
                let local = lane / EDGE + comptime![pass * PLANE / EDGE];
                let m = row + i * EDGE + local;
                let c = channel + j * EDGE + lane % EDGE;
                if m < sizes.write_channels && c < sizes.read_channels {
                    let to = (CUBE_POS_Z * sizes.write_channels + m) * width + c * taps + tap;
                    let from = own_plane * AREA + local * EDGE + lane % EDGE;
                    parts[to as usize] = scratch[from as usize];
                }
            }
            sync_plane();
        }
    }
}
