//! ResNet's bottleneck block (arXiv 1512.03385; layout of WeSpeaker's `resnet.py`: the 3x3
//! convolution strides).

use burn::module::Module;

use super::basic_block::shortcut;
use super::{BatchNorm, Conv2d, Conv2dConfig, ConvNorm, Downsample, Exec, Init};

/// conv1x1 - BN - ReLU - conv3x3 - BN - ReLU - conv1x1 - BN, plus shortcut, ReLU.
#[derive(Module, Debug)]
pub struct Bottleneck {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    conv3: Conv2d,
    bn3: BatchNorm,
    shortcut: Option<Downsample>,
}

impl Bottleneck {
    /// Output channels for each channel of width.
    pub const EXPANSION: usize = 4;

    /// The block from `input` channels to `4 * width`.
    pub fn new(init: Init, input: usize, width: usize, stride: [usize; 2]) -> Self {
        let output = Self::EXPANSION * width;
        Self {
            conv1: Conv2dConfig::new(input, width, 1).init(init.at("conv1")),
            bn1: BatchNorm::new(init.at("bn1"), width),
            conv2: Conv2dConfig::new(width, width, 3).stride(stride).init(init.at("conv2")),
            bn2: BatchNorm::new(init.at("bn2"), width),
            conv3: Conv2dConfig::new(width, output, 1).init(init.at("conv3")),
            bn3: BatchNorm::new(init.at("bn3"), output),
            shortcut: Downsample::shortcut(init, input, output, stride),
        }
    }

    /// `[batch, input, mels, frames]` -> `[batch, 4 * width, mels', frames']`.
    pub fn forward<E: Exec>(&self, e: &mut E, x: E::Value<4>) -> E::Value<4> {
        let y = e.conv2d(&self.conv1, x.clone());
        let y = e.norm_relu(&self.bn1, y);
        let y = e.conv2d(&self.conv2, y);
        let y = e.norm_relu(&self.bn2, y);
        let y = e.conv2d(&self.conv3, y);
        let y = e.norm(&self.bn3, y);
        let x = shortcut(e, self.shortcut.as_ref(), x);
        let y = e.add(y, x);
        e.relu(y)
    }
}
