//! Convolution + BatchNorm pairs: the projection shortcut of a residual block and the downsampling
//! layers of DF-ResNet.

use super::{BatchNorm, Conv2d, Conv2dConfig, Exec, Init};

/// conv + BatchNorm. A tuple, so that its parts are named `0` and `1` as in a PyTorch `Sequential`.
pub type Downsample = (Conv2d, BatchNorm);

/// What the pair can do.
pub trait ConvNorm: Sized {
    /// The pair.
    fn build(init: Init, conv: Conv2dConfig) -> Self;

    /// The 1x1 shortcut (at `shortcut`) of a block that changes shape, or none.
    fn shortcut(init: Init, input: usize, output: usize, stride: [usize; 2]) -> Option<Self> {
        (input != output || stride != [1, 1]).then(|| {
            Self::build(init.at("shortcut"), Conv2dConfig::new(input, output, 1).stride(stride))
        })
    }

    /// `[batch, input, mels, frames]` -> `[batch, output, mels', frames']`.
    fn forward<E: Exec>(&self, e: &mut E, x: E::Value<4>) -> E::Value<4>;

    /// [`ConvNorm::forward`] and ReLU.
    fn rectified<E: Exec>(&self, e: &mut E, x: E::Value<4>) -> E::Value<4>;
}

impl ConvNorm for Downsample {
    fn build(init: Init, conv: Conv2dConfig) -> Self {
        (conv.init(init.at(0)), BatchNorm::new(init.at(1), conv.output))
    }

    fn forward<E: Exec>(&self, e: &mut E, x: E::Value<4>) -> E::Value<4> {
        let y = e.conv2d(&self.0, x);
        e.norm(&self.1, y)
    }

    fn rectified<E: Exec>(&self, e: &mut E, x: E::Value<4>) -> E::Value<4> {
        let y = e.conv2d(&self.0, x);
        e.norm_relu(&self.1, y)
    }
}
