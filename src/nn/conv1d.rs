//! Convolutions over time.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::module::conv1d;
use burn::tensor::ops::ConvOptions;

use super::Init;
use super::conv::output_size;

/// A 1-D convolution's shape. Padding keeps the size at stride 1: `dilation * (kernel / 2)` on both
/// sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv1dConfig {
    /// Input channels.
    pub input: usize,
    /// Output channels.
    pub output: usize,
    /// Taps, an odd number.
    pub kernel: usize,
    /// Frames from one output to the next.
    pub stride: usize,
    /// Groups of channels.
    pub groups: usize,
    /// Frames from tap to tap.
    pub dilation: usize,
    /// Whether a value is added to each output channel.
    pub bias: bool,
}

impl Conv1dConfig {
    /// A dense convolution of stride 1, with bias as PyTorch's.
    pub fn new(input: usize, output: usize, kernel: usize) -> Self {
        Self { input, output, kernel, stride: 1, groups: 1, dilation: 1, bias: true }
    }

    /// Weight shape, `[output, input / groups, kernel]`.
    pub fn weight_shape(&self) -> [usize; 3] {
        [self.output, self.input / self.groups, self.kernel]
    }

    /// Output frames for so many input frames.
    pub fn output_size(&self, frames: usize) -> usize {
        output_size(frames, self.kernel, self.stride, self.dilation)
    }

    /// The layer, initialised as PyTorch does: uniform within 1 / sqrt(fan in).
    pub fn init(self, init: Init) -> Conv1d {
        let shape = self.weight_shape();
        let bound = 1.0 / (shape[1..].iter().product::<usize>() as f64).sqrt();
        Conv1d {
            weight: init.uniform("weight", shape, bound),
            bias: self.bias.then(|| init.uniform("bias", [self.output], bound)),
            config: self,
        }
    }
}

/// See [`Conv1dConfig`].
#[derive(Module, Debug)]
pub struct Conv1d {
    /// `[output, input / groups, kernel]`.
    pub weight: Param<Tensor<3>>,
    /// `[output]`.
    pub bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    config: Conv1dConfig,
}

impl Conv1d {
    /// The layer's shape.
    pub fn config(&self) -> &Conv1dConfig {
        &self.config
    }

    /// `[batch, input, frames]` -> `[batch, output, frames']`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let Conv1dConfig { input, output, kernel, stride, groups, dilation, bias: _ } = self.config;
        let weight = self.weight.val();
        let y = match (kernel, stride, groups) {
            // One matrix product for each utterance.
            (1, 1, 1) => weight.reshape([1, output, input]).matmul(x),
            _ => {
                let padding = [dilation * (kernel / 2)];
                conv1d(x, weight, None, ConvOptions::new([stride], padding, [dilation], groups))
            }
        };
        match &self.bias {
            None => y,
            Some(bias) => y + bias.val().reshape([1, output, 1]),
        }
    }
}
