//! Convolutions over frames, and over mels and frames.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::{Conv2dConfig, ConvConfig, Init};
use crate::backend::convolution::{Window, convolve, seed_convolution};
use crate::backend::depthwise::{depthwise, seed_depthwise};
use crate::backend::products;
use crate::backend::reversible::seeds;

impl<const D: usize, const N: usize> ConvConfig<D, N> {
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
}

impl Conv2dConfig {
    /// How the kernel moves.
    pub fn window(&self) -> Window {
        let Self { stride, padding, dilation, groups, .. } = *self;
        Window { stride, padding, dilation: [dilation; 2], groups }
    }

    /// Whether it is one 3x3 filter a channel of stride 1, which has an operation of its own.
    pub fn is_depthwise(&self) -> bool {
        let simple = Self::new(self.input, self.output, 3).depthwise();
        self.input == self.output && Self { bias: false, ..*self } == simple
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

/// See [`Conv1dConfig`](super::Conv1dConfig).
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

impl<const D: usize, const N: usize> Conv<D, N> {
    /// In the type of the weights (see [`super::Precision`]); the bias is added in the type of the
    /// input.
    fn in_own_type(
        &self,
        x: Tensor<D>,
        apply: impl FnOnce(Tensor<D>, Tensor<D>) -> Tensor<D>,
    ) -> Tensor<D> {
        let (weight, given) = (self.weight.val(), x.dtype());
        self.add_bias(match weight.dtype() {
            own if own == given => apply(x, weight),
            own => apply(x.cast(own), weight).cast(given),
        })
    }
}

impl Conv1d {
    /// `[batch, input, frames]` -> `[batch, output, frames']`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.in_own_type(x, |x, weight| {
            if self.config.is_pointwise() && self.config.groups == 1 {
                // One matrix product for each utterance.
                return products(weight, x);
            }
            let config = self.config.flat();
            let ([batch, input, frames], [output, inner, kernel]) = (x.dims(), weight.dims());
            let image = x.reshape([batch, input, 1, frames]);
            let y = apply(&config, image, weight.reshape([output, inner, 1, kernel]));
            let frames = y.dims()[3];
            y.reshape([batch, output, frames])
        })
    }
}

impl Conv2d {
    /// `[batch, input, mels, frames]` -> `[batch, output, mels', frames']`, computed in the type of
    /// the weights (see [`super::Precision`]); the bias is added in the type of the input.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.in_own_type(x, |x, weight| apply(&self.config, x, weight))
    }

    /// A scalar on the tape whose derivative by the layer's output is `dy`; none if nothing is
    /// tracked. The output is made only where a bias or another type stands behind the convolution.
    pub(super) fn seeded(&self, x: Tensor<4>, dy: Tensor<4>) -> Option<Tensor<1>> {
        let weight = self.weight.val();
        if self.bias.is_some() || weight.dtype() != x.dtype() {
            return seeds(vec![self.forward(x)], vec![dy]);
        }
        let root = match self.config.is_depthwise() {
            true => seed_depthwise(x, weight, dy),
            false => seed_convolution(x, weight, dy, self.config.window()),
        };
        root.is_tracked().then_some(root)
    }
}

fn apply(config: &Conv2dConfig, x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
    match config.is_depthwise() {
        true => depthwise(x, weight),
        false => convolve(x, weight, config.window()),
    }
}
