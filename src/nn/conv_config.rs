//! The shapes of convolutions over frames, and over mels and frames.

use serde::{Deserialize, Serialize};

/// The shape of a convolution of values of `D` axes over the last `N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "[usize; N]: Serialize", deserialize = "[usize; N]: Deserialize<'de>"))]
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
