//! The rearrangements as kernels for GPUs: one launch each, from rows to rows.

use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, cubecl};
use cubecl::prelude::*;

use super::{RearrangeOps, plain};
use crate::backend::gpu::{self, UNITS, cubes, elem};

/// A unit moves the `rows * columns` values of one place of an unsqueezed channel. Sizes are those
/// of that channel after squeezing; there are `count` such places.
#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel takes its buffers one by one")]
fn squeeze_kernel<F: Float>(
    from: &[F],
    to: &mut [F],
    channels: u32,
    mels: u32,
    frames: u32,
    count: u32,
    #[comptime] rows: u32,
    #[comptime] columns: u32,
    #[comptime] back: bool,
    #[define(F)] _dtype: ElemType,
) {
    let stride = UNITS * CUBE_COUNT_X;
    let image = mels * frames;
    let mut i = ABSOLUTE_POS as u32;
    while i < count {
        let frame = i % frames;
        let line = i / frames;
        let mel = line % mels;
        let plane = line / mels;
        let channel = plane % channels;
        let sample = plane / channels;
        let first = sample * channels * comptime![rows * columns] + channel;
        let place = first * image + mel * frames + frame;
        #[unroll]
        for row in 0..rows {
            #[unroll]
            for column in 0..columns {
                let wide = ((line * rows + row) * frames + frame) * columns + column;
                let deep = place + channels * image * comptime![row * columns + column];
                if comptime![back] {
                    to[wide as usize] = from[deep as usize];
                } else {
                    to[deep as usize] = from[wide as usize];
                }
            }
        }
        i += stride;
    }
}

/// `whole` and `first` are the values of a sample, and those of its first channels.
#[cube(launch)]
fn split_kernel<F: Float>(
    from: &[F],
    to: &mut [F],
    other: &mut [F],
    whole: u32,
    first: u32,
    count: u32,
    #[define(F)] _dtype: ElemType,
) {
    let stride = UNITS * CUBE_COUNT_X;
    let second = whole - first;
    let mut i = ABSOLUTE_POS as u32;
    while i < count {
        let sample = i / whole;
        let at = i % whole;
        if at < first {
            to[(sample * first + at) as usize] = from[i as usize];
        } else {
            other[(sample * second + at - first) as usize] = from[i as usize];
        }
        i += stride;
    }
}

/// See [`split_kernel`].
#[cube(launch)]
fn join_kernel<F: Float>(
    from: &[F],
    other: &[F],
    to: &mut [F],
    whole: u32,
    first: u32,
    count: u32,
    #[define(F)] _dtype: ElemType,
) {
    let stride = UNITS * CUBE_COUNT_X;
    let second = whole - first;
    let mut i = ABSOLUTE_POS as u32;
    while i < count {
        let sample = i / whole;
        let at = i % whole;
        if at < first {
            to[i as usize] = from[(sample * first + at) as usize];
        } else {
            to[i as usize] = other[(sample * second + at - first) as usize];
        }
        i += stride;
    }
}

/// From images `[mels, frames]` to images `[to_mels, to_frames]`.
#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel takes its buffers one by one")]
fn fit_kernel<F: Float>(
    from: &[F],
    to: &mut [F],
    mels: u32,
    frames: u32,
    to_mels: u32,
    to_frames: u32,
    count: u32,
    #[define(F)] _dtype: ElemType,
) {
    let stride = UNITS * CUBE_COUNT_X;
    let mut i = ABSOLUTE_POS as u32;
    while i < count {
        let frame = i % to_frames;
        let line = i / to_frames;
        let mel = line % to_mels;
        let plane = line / to_mels;
        let inside = mel < mels && frame < frames;
        let at = select(inside, (plane * mels + mel) * frames + frame, 0u32);
        let value = from[at as usize];
        to[i as usize] = select(inside, value, F::new(0.0f32));
        i += stride;
    }
}

/// Squeezes, or undoes it if `back`.
fn squeezed(x: CubeTensor, [h, w]: [usize; 2], back: bool) -> CubeTensor {
    let x = gpu::contiguous(x);
    let [batch, channels, mels, frames] = x.shape().dims();
    // The plane of one unsqueezed channel, in steps of the factors.
    let [channels, mels, frames] = match back {
        true => {
            assert_eq!(channels % (h * w), 0, "{channels} channels are not squeezed by {h} x {w}");
            [channels / (h * w), mels, frames]
        }
        false => {
            assert!(
                mels % h == 0 && frames % w == 0,
                "{mels} x {frames} values cannot be squeezed by {h} x {w}"
            );
            [channels, mels / h, frames / w]
        }
    };
    let shape = match back {
        true => [batch, channels, mels * h, frames * w],
        false => [batch, channels * h * w, mels, frames],
    };
    let (client, dtype, count) = (x.client.clone(), x.dtype, batch * channels * mels * frames);
    let y = gpu::empty(&x, shape, dtype);
    squeeze_kernel::launch(
        &client,
        cubes(count),
        CubeDim::new_1d(UNITS),
        x.into_buffer_arg(),
        y.clone().into_buffer_arg(),
        channels as u32,
        mels as u32,
        frames as u32,
        count as u32,
        h as u32,
        w as u32,
        back,
        elem(dtype),
    );
    y
}

impl RearrangeOps for CubeBackend {
    fn squeeze(x: FloatTensor<Self>, by: [usize; 2]) -> FloatTensor<Self> {
        match gpu::floats([&x]) {
            true => squeezed(x, by, false),
            false => plain::squeeze::<Self>(x, by),
        }
    }

    fn unsqueeze(x: FloatTensor<Self>, by: [usize; 2]) -> FloatTensor<Self> {
        match gpu::floats([&x]) {
            true => squeezed(x, by, true),
            false => plain::unsqueeze::<Self>(x, by),
        }
    }

    fn split(x: FloatTensor<Self>, first: usize) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [batch, channels, mels, frames] = x.shape().dims();
        // A buffer without values cannot be bound.
        if !gpu::floats([&x]) || first == 0 || first >= channels {
            return plain::split::<Self>(x, first);
        }
        let x = gpu::contiguous(x);
        let (client, dtype, count) = (x.client.clone(), x.dtype, x.shape().num_elements());
        let part = |channels| gpu::empty(&x, [batch, channels, mels, frames], dtype);
        let parts = (part(first), part(channels - first));
        split_kernel::launch(
            &client,
            cubes(count),
            CubeDim::new_1d(UNITS),
            x.into_buffer_arg(),
            parts.0.clone().into_buffer_arg(),
            parts.1.clone().into_buffer_arg(),
            (channels * mels * frames) as u32,
            (first * mels * frames) as u32,
            count as u32,
            elem(dtype),
        );
        parts
    }

    fn join(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self> {
        let [batch, first, mels, frames] = x.shape().dims();
        let second = y.shape()[1];
        let channels = first + second;
        if !gpu::floats([&x, &y]) || first == 0 || second == 0 {
            return plain::join::<Self>(x, y);
        }
        assert_eq!(
            y.shape().dims::<4>(),
            [batch, second, mels, frames],
            "tensors that are joined differ in their channels only"
        );
        let (x, y) = (gpu::contiguous(x), gpu::contiguous(y));
        let (client, dtype, count) = (x.client.clone(), x.dtype, batch * channels * mels * frames);
        let joined = gpu::empty(&x, [batch, channels, mels, frames], dtype);
        join_kernel::launch(
            &client,
            cubes(count),
            CubeDim::new_1d(UNITS),
            x.into_buffer_arg(),
            y.into_buffer_arg(),
            joined.clone().into_buffer_arg(),
            (channels * mels * frames) as u32,
            (first * mels * frames) as u32,
            count as u32,
            elem(dtype),
        );
        joined
    }

    fn fit(x: FloatTensor<Self>, size: [usize; 2]) -> FloatTensor<Self> {
        if !gpu::floats([&x]) {
            return plain::fit::<Self>(x, size);
        }
        let x = gpu::contiguous(x);
        let [batch, channels, mels, frames] = x.shape().dims();
        let (client, dtype, count) =
            (x.client.clone(), x.dtype, batch * channels * size[0] * size[1]);
        let y = gpu::empty(&x, [batch, channels, size[0], size[1]], dtype);
        fit_kernel::launch(
            &client,
            cubes(count),
            CubeDim::new_1d(UNITS),
            x.into_buffer_arg(),
            y.clone().into_buffer_arg(),
            mels as u32,
            frames as u32,
            size[0] as u32,
            size[1] as u32,
            count as u32,
            elem(dtype),
        );
        y
    }
}
