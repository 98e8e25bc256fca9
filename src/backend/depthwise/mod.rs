//! Depthwise convolution with a backward pass of its own: on CPU backends Burn differentiates it
//! channel by channel.
//!
//! One filter a channel, stride 1, odd kernel, padded to keep the size. The input's gradient is the
//! depthwise convolution of the output's gradient with the mirrored kernel. The kernel's gradient
//! is, for each of its taps, the product of the output's gradient with the input shifted by the
//! tap, summed over batch, mels and frames.

mod autodiff;
#[cfg(feature = "flex")]
mod cpu;
#[cfg(feature = "cube")]
mod cube;
mod plain;
mod seed;

pub use seed::{DepthwiseSeedOps, seed_depthwise};

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;

/// Depthwise convolution of an input `[batch, channels, mels, frames]` with a kernel `[channels, 1,
/// k, k]`, k odd.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Fusion: cfg(all(feature = "cube", feature = "fusion")),
    Autodiff
)]
pub trait DepthwiseOps: Backend {
    /// The output, of the input's shape.
    #[fusion(dtype = x, shape = x)]
    fn depthwise(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        plain::depthwise::<Self>(x, weight)
    }

    /// The gradient of the input from the output's gradient.
    #[fusion(dtype = dy, shape = dy)]
    fn depthwise_input_gradient(
        dy: FloatTensor<Self>,
        weight: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        plain::input_gradient::<Self>(dy, weight)
    }

    /// The gradient of the kernel, `[channels, 1, k, k]`, from the input and the output's gradient.
    #[fusion(dtype = x, shape = [x[1], 1, *kernel, *kernel].into())]
    fn depthwise_weight_gradient(
        x: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        kernel: usize,
    ) -> FloatTensor<Self> {
        plain::weight_gradient::<Self>(x, dy, kernel)
    }
}

#[cfg(feature = "flex")]
impl DepthwiseOps for burn::backend::Flex {
    fn depthwise_weight_gradient(
        x: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        kernel: usize,
    ) -> FloatTensor<Self> {
        match super::flex::is_f32([&x, &dy]) {
            true => cpu::weight_gradient(x, dy, kernel),
            false => plain::weight_gradient::<Self>(x, dy, kernel),
        }
    }
}

#[cfg(feature = "ndarray")]
impl DepthwiseOps for burn::backend::NdArray {}

/// Depthwise convolution: `[batch, channels, mels, frames]` with a kernel `[channels, 1, k, k]`, k
/// odd -> the input's shape.
pub fn depthwise(x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as DepthwiseOps>::depthwise(
        x.into_dispatch(),
        weight.into_dispatch(),
    ))
}

#[cfg(test)]
mod tests;
