//! Depthwise convolution on GPUs, on rows as they lie: no copy into another layout.

mod kernels;

use burn::backend::ops::ConvOptions;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, cubecl};
use cubecl::prelude::*;

use self::kernels::{PlanesLaunch, ROWS, convolve_kernel, correlate_kernel, merge_kernel};
use super::{DepthwiseOps, plain};
use crate::backend::gpu::{self, MOST_CUBES, UNITS, cubes, elem};

/// The largest kernel whose sums fit into a unit's registers.
const LARGEST: usize = 7;
/// As many cubes keep any GPU busy.
const BUSY: usize = 1024;

/// Whether the kernels take them.
fn fits(x: &CubeTensor, other: &CubeTensor, kernel: usize) -> bool {
    gpu::floats([x, other])
        && kernel % 2 == 1
        && kernel <= LARGEST
        && x.shape().num_elements() > 0
        && x.shape()[1] <= MOST_CUBES
}

/// Columns of so many planes `[mels, frames]`.
fn columns(planes: usize, mels: usize, frames: usize) -> usize {
    planes * mels.div_ceil(ROWS as usize) * frames
}

fn convolve(x: CubeTensor, weight: CubeTensor, mirrored: bool) -> CubeTensor {
    let [batch, channels, mels, frames] = x.shape().dims();
    let [filters, _, kernel, _] = weight.shape().dims();
    assert_eq!(filters, channels, "a depthwise convolution has a filter for each channel");
    let (x, weight) = (gpu::contiguous(x), gpu::contiguous(weight));
    let (client, dtype) = (x.client.clone(), x.dtype);
    let count = columns(batch * channels, mels, frames);
    let y = gpu::empty(&x, x.shape(), dtype);
    convolve_kernel::launch(
        &client,
        cubes(count),
        CubeDim::new_1d(UNITS),
        x.into_buffer_arg(),
        weight.into_buffer_arg(),
        y.clone().into_buffer_arg(),
        PlanesLaunch::new(channels as u32, mels as u32, frames as u32),
        count as u32,
        kernel as u32,
        mirrored,
        elem(dtype),
    );
    y
}

fn weight_gradient(x: CubeTensor, dy: CubeTensor, kernel: usize) -> CubeTensor {
    let [batch, channels, mels, frames] = x.shape().dims();
    assert_eq!(x.shape(), dy.shape(), "a depthwise convolution keeps the size");
    let (x, dy) = (gpu::contiguous(x), gpu::contiguous(dy));
    let (client, dtype) = (x.client.clone(), x.dtype);
    let count = columns(batch, mels, frames);
    // One cube a channel leaves most of a GPU idle where channels are few.
    let parts = BUSY.div_ceil(channels).min(count.div_ceil(UNITS as usize));
    let shape = [channels, 1, kernel, kernel];
    let weights = channels * kernel * kernel;
    let gradient = gpu::lasting(&x, shape, dtype);
    let sums = match parts {
        1 => gradient.clone(),
        _ => gpu::empty(&x, [parts, weights], DType::F32),
    };
    correlate_kernel::launch(
        &client,
        CubeCount::Static(channels as u32, parts as u32, 1),
        CubeDim::new_1d(UNITS),
        x.into_buffer_arg(),
        dy.into_buffer_arg(),
        sums.clone().into_buffer_arg(),
        PlanesLaunch::new(channels as u32, mels as u32, frames as u32),
        count as u32,
        kernel as u32,
        [elem(dtype), elem(sums.dtype)],
    );
    if parts > 1 {
        merge_kernel::launch(
            &client,
            cubes(weights),
            CubeDim::new_1d(UNITS),
            sums.into_buffer_arg(),
            gradient.clone().into_buffer_arg(),
            parts as u32,
            weights as u32,
            elem(dtype),
        );
    }
    gradient
}

/// The kernel's gradient for the sizes and types that the kernels above do not take.
fn other_weight_gradient<B: Backend>(
    x: FloatTensor<B>,
    dy: FloatTensor<B>,
    kernel: usize,
) -> FloatTensor<B> {
    let channels = x.shape()[1];
    let weight =
        B::float_zeros([channels, 1, kernel, kernel].into(), &x.device(), x.dtype().into());
    let options = ConvOptions::new([1, 1], [kernel / 2; 2], [1, 1], channels);
    B::conv2d_weight_backward(x, weight, dy, options)
}

impl DepthwiseOps for CubeBackend {
    fn depthwise(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        match fits(&x, &weight, weight.shape()[3]) {
            true => convolve(x, weight, false),
            false => plain::depthwise::<Self>(x, weight),
        }
    }

    fn depthwise_input_gradient(
        dy: FloatTensor<Self>,
        weight: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        match fits(&dy, &weight, weight.shape()[3]) {
            true => convolve(dy, weight, true),
            false => plain::input_gradient::<Self>(dy, weight),
        }
    }

    fn depthwise_weight_gradient(
        x: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        kernel: usize,
    ) -> FloatTensor<Self> {
        match fits(&x, &dy, kernel) {
            true => weight_gradient(x, dy, kernel),
            false => other_weight_gradient::<Self>(x, dy, kernel),
        }
    }
}
