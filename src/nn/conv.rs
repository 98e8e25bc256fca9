//! Convolutions over mels and frames.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;

use super::Init;
use crate::backend::convolution::{Window, convolve};
use crate::backend::depthwise::depthwise;

/// A 2-D convolution's shape. Padding keeps the size at stride 1: `dilation * (kernel / 2)` on every
/// side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2dConfig {
    /// Input channels.
    pub input: usize,
    /// Output channels.
    pub output: usize,
    /// Kernel edge, odd.
    pub kernel: usize,
    /// Stride over mels and frames.
    pub stride: [usize; 2],
    /// Groups; `input` for depthwise.
    pub groups: usize,
    /// Distance between the kernel's taps, in mels and frames alike.
    pub dilation: usize,
    /// Whether a value is added to each output channel.
    pub bias: bool,
}

impl Conv2dConfig {
    /// A dense convolution of stride 1, without bias.
    pub fn new(input: usize, output: usize, kernel: usize) -> Self {
        Self { input, output, kernel, stride: [1, 1], groups: 1, dilation: 1, bias: false }
    }

    /// With another stride.
    pub fn stride(self, stride: [usize; 2]) -> Self {
        Self { stride, ..self }
    }

    /// In so many groups.
    pub fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// One filter a channel.
    pub fn depthwise(self) -> Self {
        self.groups(self.input)
    }

    /// With so many values from tap to tap.
    pub fn dilation(self, dilation: usize) -> Self {
        Self { dilation, ..self }
    }

    /// With a bias.
    pub fn biased(self) -> Self {
        Self { bias: true, ..self }
    }

    /// Weight shape, `[output, input / groups, kernel, kernel]`.
    pub fn weight_shape(&self) -> [usize; 4] {
        [self.output, self.input / self.groups, self.kernel, self.kernel]
    }

    /// Output size for an input of `[mels, frames]`.
    pub fn output_size(&self, size: [usize; 2]) -> [usize; 2] {
        let one = |n: usize, stride: usize| output_size(n, self.kernel, stride, self.dilation);
        [one(size[0], self.stride[0]), one(size[1], self.stride[1])]
    }

    /// The layer, initialised as PyTorch does: uniform within 1 / sqrt(fan in).
    pub fn init(self, init: Init) -> Conv2d {
        let shape = self.weight_shape();
        let bound = 1.0 / (shape[1..].iter().product::<usize>() as f64).sqrt();
        Conv2d {
            weight: init.uniform("weight", shape, bound),
            bias: self.bias.then(|| init.uniform("bias", [self.output], bound)),
            config: self,
        }
    }
}

/// Values behind a convolution over `n` values, padded by `dilation * (kernel / 2)` on both sides.
pub(super) fn output_size(n: usize, kernel: usize, stride: usize, dilation: usize) -> usize {
    (n + 2 * dilation * (kernel / 2) - dilation * (kernel - 1) - 1) / stride + 1
}

/// See [`Conv2dConfig`].
#[derive(Module, Debug)]
pub struct Conv2d {
    /// `[output, input / groups, kernel, kernel]`.
    pub weight: Param<Tensor<4>>,
    /// `[output]`.
    pub bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    config: Conv2dConfig,
}

impl Conv2d {
    /// The layer's shape.
    pub fn config(&self) -> &Conv2dConfig {
        &self.config
    }

    /// `[batch, input, mels, frames]` -> `[batch, output, mels', frames']`, computed in the type of
    /// the weights (see [`super::Precision`]); the bias is added in the type of the input.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let (weight, given) = (self.weight.val(), x.dtype());
        let y = match weight.dtype() {
            own if own == given => self.apply(x, weight),
            own => self.apply(x.cast(own), weight).cast(given),
        };
        match &self.bias {
            None => y,
            Some(bias) => y + bias.val().reshape([1, self.config.output, 1, 1]),
        }
    }

    fn apply(&self, x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
        let Conv2dConfig { input, output, kernel, stride, groups, dilation, bias: _ } = self.config;
        if dilation == 1 && groups == 1 {
            return convolve(x, weight, Window { stride });
        }
        if dilation == 1 && groups == input && groups == output && stride == [1, 1] {
            return depthwise(x, weight);
        }
        let padding = [dilation * (kernel / 2); 2];
        conv2d(x, weight, None, ConvOptions::new(stride, padding, [dilation; 2], groups))
    }
}
