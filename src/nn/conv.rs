//! Convolutions over frames, and over mels and frames.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::Init;
use crate::backend::convolution::{Window, convolve};
use crate::backend::depthwise::depthwise;
use crate::backend::products;

/// The shape of a convolution of values of `D` axes over the last `N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvConfig<const D: usize, const N: usize> {
    /// Input channels.
    pub input: usize,
    /// Output channels.
    pub output: usize,
    /// Kernel size.
    pub kernel: [usize; N],
    /// Stride over each axis.
    pub stride: [usize; N],
    /// Zeros on either side of each axis.
    pub padding: [usize; N],
    /// Distance between the kernel's taps, on every axis.
    pub dilation: usize,
    /// Groups; `input` for depthwise.
    pub groups: usize,
    /// Whether a value is added to each output channel.
    pub bias: bool,
}

/// A convolution over frames.
pub type Conv1dConfig = ConvConfig<3, 1>;
/// A convolution over mels and frames.
pub type Conv2dConfig = ConvConfig<4, 2>;

impl<const D: usize, const N: usize> ConvConfig<D, N> {
    /// A dense convolution with a kernel of this edge, stride 1, without bias. Its padding keeps
    /// the size if the edge is odd.
    pub fn new(input: usize, output: usize, edge: usize) -> Self {
        let (kernel, padding) = ([edge; N], [edge / 2; N]);
        let (stride, dilation, groups, bias) = ([1; N], 1, 1, false);
        Self { input, output, kernel, stride, padding, dilation, groups, bias }
    }

    /// With another stride.
    pub fn stride(self, stride: [usize; N]) -> Self {
        Self { stride, ..self }
    }

    /// With another kernel, and padding that keeps the size at stride 1.
    pub fn kernel(self, kernel: [usize; N]) -> Self {
        Self { kernel, ..self }.same()
    }

    /// With taps so far apart, and padding that keeps the size at stride 1.
    pub fn dilated(self, dilation: usize) -> Self {
        Self { dilation, ..self }.same()
    }

    fn same(self) -> Self {
        Self { padding: self.kernel.map(|edge| self.dilation * (edge / 2)), ..self }
    }

    /// Without padding.
    pub fn unpadded(self) -> Self {
        Self { padding: [0; N], ..self }
    }

    /// In so many groups.
    pub fn grouped(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// One filter a channel.
    pub fn depthwise(self) -> Self {
        self.grouped(self.input)
    }

    /// With a bias.
    pub fn biased(self) -> Self {
        Self { bias: true, ..self }
    }

    /// Weight shape, `[output, input / groups, kernel...]`.
    pub fn weight_shape(&self) -> [usize; D] {
        let mut shape = [self.output; D];
        shape[1] = self.input / self.groups;
        shape[2..].copy_from_slice(&self.kernel);
        shape
    }

    /// Output size for an input of this size, channels left out. 0 where the kernel is longer than
    /// the padded input.
    pub fn output_size(&self, size: [usize; N]) -> [usize; N] {
        std::array::from_fn(|i| {
            let taken = self.dilation * (self.kernel[i] - 1) + 1;
            let padded = size[i] + 2 * self.padding[i];
            (padded + self.stride[i]).saturating_sub(taken) / self.stride[i]
        })
    }

    /// Whether an output sees one input of every channel, where it stands.
    pub fn is_pointwise(&self) -> bool {
        self.kernel == [1; N] && self.stride == [1; N] && self.padding == [0; N]
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
}

impl Conv1dConfig {
    /// The same as a convolution of images of one mel.
    pub fn flat(&self) -> Conv2dConfig {
        let Self { input, output, kernel, stride, padding, dilation, groups, bias } = *self;
        let both = |first, [second]: [usize; 1]| [first, second];
        let (kernel, stride, padding) = (both(1, kernel), both(1, stride), both(0, padding));
        ConvConfig { input, output, kernel, stride, padding, dilation, groups, bias }
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
}

fn apply(config: &Conv2dConfig, x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
    match config.is_depthwise() {
        true => depthwise(x, weight),
        false => convolve(x, weight, config.window()),
    }
}
