//! Convolutions whose groups have few channels: each unit sums one value, and each cube one weight.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::Sizes;
use crate::backend::gpu::{UNITS, total};

/// Channels that a group reads and writes, and the kernel's size.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct Group {
    read: u32,
    write: u32,
    mels: u32,
    frames: u32,
}

/// The place that a tap reads for a place that is written, along one axis. Without one it is
/// `size`, or larger. `tap` is the distance from the first tap.
#[cube]
#[allow(clippy::manual_is_multiple_of, reason = "kernels have no such method")]
fn place(own: u32, tap: u32, stride: u32, pad: u32, size: u32, #[comptime] backward: bool) -> u32 {
    let mut place = size;
    if comptime![backward] {
        let padded = own + pad;
        if padded >= tap && (padded - tap) % stride == 0 {
            place = (padded - tap) / stride;
        }
    } else {
        let padded = own * stride + tap;
        if padded >= pad {
            place = padded - pad;
        }
    }
    place
}

/// The output, or (`backward`) the input's gradient: `count` values.
#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel takes its buffers one by one")]
pub(super) fn direct_kernel<F: Float>(
    read: &[F],
    weight: &[F],
    write: &mut [F],
    sizes: Sizes,
    group: Group,
    count: u32,
    #[comptime] backward: bool,
    #[define(F)] _dtype: ElemType,
) {
    let taps = group.mels * group.frames;
    let plane = sizes.read_mels * sizes.read_frames;
    let step = UNITS * CUBE_COUNT_X;
    let mut i = ABSOLUTE_POS as u32;
    while i < count {
        let own_frame = i % sizes.write_frames;
        let line = i / sizes.write_frames;
        let own_mel = line % sizes.write_mels;
        let channel = line / sizes.write_mels % sizes.write_channels;
        let batch = line / sizes.write_mels / sizes.write_channels;
        let first = channel / group.write * group.read;
        let source = (batch * sizes.read_channels + first) * plane;
        // Where the weights of the first channel that is read begin, and how far those of the next
        // one are away.
        let mut start = channel * group.read * taps;
        let mut pitch = taps;
        if comptime![backward] {
            start = (first * group.write + channel % group.write) * taps;
            pitch = group.write * taps;
        }
        let mut sum = 0.0f32;
        for p in 0..group.mels {
            let tap = p * sizes.dilation_mels;
            let mel =
                place(own_mel, tap, sizes.stride_mels, sizes.pad_mels, sizes.read_mels, backward);
            if mel < sizes.read_mels {
                for q in 0..group.frames {
                    let tap = q * sizes.dilation_frames;
                    let frame = place(
                        own_frame,
                        tap,
                        sizes.stride_frames,
                        sizes.pad_frames,
                        sizes.read_frames,
                        backward,
                    );
                    if frame < sizes.read_frames {
                        let mut from = source + mel * sizes.read_frames + frame;
                        let mut at = start + p * group.frames + q;
                        for _ in 0..group.read {
                            sum += f32::cast_from(weight[at as usize])
                                * f32::cast_from(read[from as usize]);
                            from += plane;
                            at += pitch;
                        }
                    }
                }
            }
        }
        write[i as usize] = F::cast_from(sum);
        i += step;
    }
}

/// The gradient of `count` weights: a cube sums one over all positions.
#[cube(launch)]
pub(super) fn direct_weight_kernel<F: Float>(
    x: &[F],
    dy: &[F],
    gradient: &mut [F],
    sizes: Sizes,
    group: Group,
    count: u32,
    #[define(F)] _dtype: ElemType,
) {
    let mut scratch = Shared::<[f32]>::new_slice(comptime![UNITS as usize]);
    let taps = group.mels * group.frames;
    let plane = sizes.write_mels * sizes.write_frames;
    let positions = sizes.batch * plane;
    let mut weight = CUBE_POS_X;
    while weight < count {
        let tap_mel = weight % taps / group.frames * sizes.dilation_mels;
        let tap_frame = weight % group.frames * sizes.dilation_frames;
        let channel = weight / taps / group.read;
        let source = channel / group.write * group.read + weight / taps % group.read;
        let mut sum = 0.0f32;
        let mut i = UNIT_POS_X;
        while i < positions {
            let batch = i / plane;
            let rest = i % plane;
            let own_mel = rest / sizes.write_frames;
            let own_frame = rest % sizes.write_frames;
            let mel =
                place(own_mel, tap_mel, sizes.stride_mels, sizes.pad_mels, sizes.read_mels, false);
            let frame = place(
                own_frame,
                tap_frame,
                sizes.stride_frames,
                sizes.pad_frames,
                sizes.read_frames,
                false,
            );
            if mel < sizes.read_mels && frame < sizes.read_frames {
                let from = ((batch * sizes.read_channels + source) * sizes.read_mels + mel)
                    * sizes.read_frames
                    + frame;
                let slope = (batch * sizes.write_channels + channel) * plane + rest;
                sum += f32::cast_from(x[from as usize]) * f32::cast_from(dy[slope as usize]);
            }
            i += UNITS;
        }
        let whole = total::<f32>(sum, &mut scratch, UNITS);
        if UNIT_POS_X == 0 {
            gradient[weight as usize] = F::cast_from(whole);
        }
        weight += CUBE_COUNT_X;
    }
}
