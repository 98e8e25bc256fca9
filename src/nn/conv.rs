//! Convolutions without bias over `[batch, channels, mels, frames]`, and the pointwise convolution
//! over time of ASTP.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;

use super::Init;
use crate::backend::convolution::{Window, convolve};
use crate::backend::depthwise::depthwise;

/// A 2-D convolution's shape. Padding keeps the size at stride 1: `kernel / 2` on every side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2dConfig {
    /// Input channels.
    pub input: usize,
    /// Output channels.
    pub output: usize,
    /// Kernel edge: 1 or 3.
    pub kernel: usize,
    /// Stride over mels and frames.
    pub stride: [usize; 2],
    /// Groups; `input` for depthwise.
    pub groups: usize,
}

impl Conv2dConfig {
    /// A dense convolution of stride 1.
    pub fn new(input: usize, output: usize, kernel: usize) -> Self {
        Self { input, output, kernel, stride: [1, 1], groups: 1 }
    }

    /// With another stride.
    pub fn stride(self, stride: [usize; 2]) -> Self {
        Self { stride, ..self }
    }

    /// One filter a channel.
    pub fn depthwise(self) -> Self {
        Self { groups: self.input, ..self }
    }

    /// Weight shape, `[output, input / groups, kernel, kernel]`.
    pub fn weight_shape(&self) -> [usize; 4] {
        [self.output, self.input / self.groups, self.kernel, self.kernel]
    }

    /// Output size for an input of `[mels, frames]`.
    pub fn output_size(&self, size: [usize; 2]) -> [usize; 2] {
        let one = |n: usize, stride: usize| (n + 2 * (self.kernel / 2) - self.kernel) / stride + 1;
        [one(size[0], self.stride[0]), one(size[1], self.stride[1])]
    }

    /// The layer, initialised as PyTorch does: uniform within 1 / sqrt(fan in).
    pub fn init(self, init: Init) -> Conv2d {
        let shape = self.weight_shape();
        let fan_in: usize = shape[1..].iter().product();
        Conv2d { weight: init.uniform("weight", shape, 1.0 / (fan_in as f64).sqrt()), config: self }
    }
}

/// See [`Conv2dConfig`].
#[derive(Module, Debug)]
pub struct Conv2d {
    /// `[output, input / groups, kernel, kernel]`.
    pub weight: Param<Tensor<4>>,
    #[module(skip)]
    config: Conv2dConfig,
}

impl Conv2d {
    /// `[batch, input, mels, frames]` -> `[batch, output, mels', frames']`, computed in the type of
    /// the weights (see [`super::Precision`]).
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let (weight, given) = (self.weight.val(), x.dtype());
        match weight.dtype() {
            own if own == given => self.apply(x, weight),
            own => self.apply(x.cast(own), weight).cast(given),
        }
    }

    fn apply(&self, x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
        let Conv2dConfig { input, output, kernel, stride, groups } = self.config;
        if groups > 1 && groups == input && groups == output && stride == [1, 1] {
            return depthwise(x, weight);
        }
        if groups == 1 {
            return convolve(x, weight, Window { stride });
        }
        conv2d(x, weight, None, ConvOptions::new(stride, [kernel / 2; 2], [1, 1], groups))
    }
}

/// A pointwise convolution over time with bias; PyTorch's `Conv1d(input, output, 1)`.
#[derive(Module, Debug)]
pub struct Conv1x1 {
    /// `[output, input, 1]`.
    pub weight: Param<Tensor<3>>,
    /// `[output]`.
    pub bias: Param<Tensor<1>>,
}

impl Conv1x1 {
    /// The layer, initialised as PyTorch does.
    pub fn new(init: Init, input: usize, output: usize) -> Self {
        let bound = 1.0 / (input as f64).sqrt();
        Self {
            weight: init.uniform("weight", [output, input, 1], bound),
            bias: init.uniform("bias", [output], bound),
        }
    }

    /// `[batch, input, frames]` -> `[batch, output, frames]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let weight = self.weight.val();
        let [output, input, _] = weight.dims();
        weight.reshape([1, output, input]).matmul(x) + self.bias.val().reshape([1, output, 1])
    }
}
