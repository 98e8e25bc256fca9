//! ResNet's basic block (arXiv 1512.03385; layout of WeSpeaker's `resnet.py`).

use burn::module::Module;
use burn::tensor::Tensor;

use super::{BatchNorm, Conv2d, Conv2dConfig, ConvNorm, Downsample, Init, Mode};
use crate::backend::norm::rectify;

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
    pub fn forward(&self, x: Tensor<4>, mode: Mode) -> Tensor<4> {
        let y = self.bn1.rectified(self.conv1.forward(x.clone()), mode);
        let y = self.bn2.forward(self.conv2.forward(y), mode);
        let x = self.shortcut.as_ref().map_or_else(|| x.clone(), |s| s.forward(x.clone(), mode));
        rectify(y + x)
    }
}
