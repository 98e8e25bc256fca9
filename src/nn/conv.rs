//! Convolutions over frames, and over mels and frames.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::module::{conv1d, conv2d};
use burn::tensor::ops::ConvOptions;

use super::Init;
use crate::backend::convolution::{Window, convolve};
use crate::backend::depthwise::depthwise;
use crate::backend::products;

/// The shape of a convolution of values of `D` axes over the last `N`. Padding keeps the size at
/// stride 1: `dilation * (kernel / 2)` on every side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvConfig<const D: usize, const N: usize> {
    /// Input channels.
    pub input: usize,
    /// Output channels.
    pub output: usize,
    /// Kernel edge, odd.
    pub kernel: usize,
    /// Stride over each axis.
    pub stride: [usize; N],
    /// Groups; `input` for depthwise.
    pub groups: usize,
    /// Distance between the kernel's taps, on every axis.
    pub dilation: usize,
    /// Whether a value is added to each output channel.
    pub bias: bool,
}

/// A convolution over frames.
pub type Conv1dConfig = ConvConfig<3, 1>;
/// A convolution over mels and frames.
pub type Conv2dConfig = ConvConfig<4, 2>;

impl<const D: usize, const N: usize> ConvConfig<D, N> {
    /// A dense convolution of stride 1, without bias.
    pub fn new(input: usize, output: usize, kernel: usize) -> Self {
        Self { input, output, kernel, stride: [1; N], groups: 1, dilation: 1, bias: false }
    }

    /// With another stride.
    pub fn stride(self, stride: [usize; N]) -> Self {
        Self { stride, ..self }
    }

    /// One filter a channel.
    pub fn depthwise(self) -> Self {
        Self { groups: self.input, ..self }
    }

    /// With a bias.
    pub fn biased(self) -> Self {
        Self { bias: true, ..self }
    }

    /// Weight shape, `[output, input / groups, kernel, ...]`.
    pub fn weight_shape(&self) -> [usize; D] {
        let mut shape = [self.kernel; D];
        (shape[0], shape[1]) = (self.output, self.input / self.groups);
        shape
    }

    /// Output size for an input of this size, channels left out.
    pub fn output_size(&self, size: [usize; N]) -> [usize; N] {
        let taken = self.dilation * (self.kernel - 1) + 1;
        let padded = |i: usize| size[i] + 2 * self.dilation * (self.kernel / 2);
        std::array::from_fn(|i| (padded(i) - taken) / self.stride[i] + 1)
    }

    /// The layer, initialised as PyTorch does: uniform within 1 / sqrt(fan in).
    pub fn init(self, init: Init) -> Conv<D, N> {
        let shape = self.weight_shape();
        let bound = 1.0 / (shape[1..].iter().product::<usize>() as f64).sqrt();
        Conv {
            weight: init.uniform("weight", shape, bound),
            bias: self.bias.then(|| init.uniform("bias", [self.output], bound)),
            config: self,
        }
    }

    /// As Burn's own convolutions take it.
    fn options(&self) -> ConvOptions<N> {
        let padding = [self.dilation * (self.kernel / 2); N];
        ConvOptions::new(self.stride, padding, [self.dilation; N], self.groups)
    }
}

/// See [`ConvConfig`].
#[derive(Module, Debug)]
pub struct Conv<const D: usize, const N: usize> {
    /// `[output, input / groups, kernel, ...]`.
    pub weight: Param<Tensor<D>>,
    /// `[output]`.
    pub bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    config: ConvConfig<D, N>,
}

/// See [`Conv1dConfig`].
pub type Conv1d = Conv<3, 1>;
/// See [`Conv2dConfig`].
pub type Conv2d = Conv<4, 2>;

impl<const D: usize, const N: usize> Conv<D, N> {
    /// The layer's shape.
    pub fn config(&self) -> &ConvConfig<D, N> {
        &self.config
    }

    fn add_bias(&self, y: Tensor<D>) -> Tensor<D> {
        let Some(bias) = &self.bias else { return y };
        let mut shape = [1; D];
        shape[1] = self.config.output;
        y + bias.val().reshape(shape)
    }
}

impl Conv1d {
    /// `[batch, input, frames]` -> `[batch, output, frames']`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let (weight, config) = (self.weight.val(), &self.config);
        self.add_bias(match (config.kernel, config.stride, config.groups) {
            // One matrix product for each utterance.
            (1, [1], 1) => products(weight, x),
            _ => conv1d(x, weight, None, config.options()),
        })
    }
}

impl Conv2d {
    /// `[batch, input, mels, frames]` -> `[batch, output, mels', frames']`, computed in the type of
    /// the weights (see [`super::Precision`]); the bias is added in the type of the input.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let (weight, given) = (self.weight.val(), x.dtype());
        self.add_bias(match weight.dtype() {
            own if own == given => self.apply(x, weight),
            own => self.apply(x.cast(own), weight).cast(given),
        })
    }

    fn apply(&self, x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
        let Conv2dConfig { input, output, stride, groups, dilation, .. } = self.config;
        if dilation == 1 && groups == 1 {
            return convolve(x, weight, Window { stride });
        }
        if dilation == 1 && groups == input && groups == output && stride == [1, 1] {
            return depthwise(x, weight);
        }
        conv2d(x, weight, None, self.config.options())
    }
}
