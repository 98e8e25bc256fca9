//! ResNet's basic block (arXiv 1512.03385; layout of WeSpeaker's `resnet.py`).

use burn::module::Module;

use super::{BatchNorm, Conv2d, Conv2dConfig, ConvNorm, Downsample, Exec, Init};

/// conv3x3 - BN - ReLU - conv3x3 - BN, plus shortcut, ReLU.
#[derive(Module, Debug)]
pub struct BasicBlock {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    shortcut: Option<Downsample>,
}

impl BasicBlock {
    /// Output channels for each channel of width.
    pub const EXPANSION: usize = 1;

    /// The block from `input` channels to `width`, its first convolution striding.
    pub fn new(init: Init, input: usize, width: usize, stride: [usize; 2]) -> Self {
        Self {
            conv1: Conv2dConfig::new(input, width, 3).stride(stride).init(init.at("conv1")),
            bn1: BatchNorm::new(init.at("bn1"), width),
            conv2: Conv2dConfig::new(width, width, 3).init(init.at("conv2")),
            bn2: BatchNorm::new(init.at("bn2"), width),
            shortcut: Downsample::shortcut(init, input, width, stride),
        }
    }

    /// `[batch, input, mels, frames]` -> `[batch, width, mels', frames']`.
    pub fn forward<E: Exec>(&self, e: &mut E, x: E::Value<4>) -> E::Value<4> {
        let y = e.conv2d(&self.conv1, x.clone());
        let y = e.norm_relu(&self.bn1, y);
        let y = e.conv2d(&self.conv2, y);
        let y = e.norm(&self.bn2, y);
        let x = shortcut(e, self.shortcut.as_ref(), x);
        let y = e.add(y, x);
        e.relu(y)
    }
}

/// What a residual block adds to its output: its input, or the projection of it.
pub(super) fn shortcut<E: Exec>(
    e: &mut E,
    projection: Option<&Downsample>,
    x: E::Value<4>,
) -> E::Value<4> {
    match projection {
        None => x,
        Some(projection) => projection.forward(e, x),
    }
}
