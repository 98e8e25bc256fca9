//! DF-ResNet's block: an inverted bottleneck with a depthwise convolution (layout of WeSpeaker's
//! `gemini_dfresnet.py`).

use burn::module::Module;

use super::{BatchNorm, Conv2d, Conv2dConfig, Exec, Init};

/// conv1x1 C -> 4C - BN - ReLU - depthwise conv3x3 - BN - ReLU - conv1x1 4C -> C - BN, plus input,
/// ReLU.
#[derive(Module, Debug)]
pub struct InvertedBottleneck {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    conv3: Conv2d,
    bn3: BatchNorm,
}

impl InvertedBottleneck {
    /// Inner channels for each outer channel.
    pub const EXPANSION: usize = 4;

    /// The block on `width` channels; it never strides.
    pub fn new(init: Init, width: usize) -> Self {
        let inner = Self::EXPANSION * width;
        Self {
            conv1: Conv2dConfig::new(width, inner, 1).init(init.at("conv1")),
            bn1: BatchNorm::new(init.at("bn1"), inner),
            conv2: Conv2dConfig::new(inner, inner, 3).depthwise().init(init.at("conv2")),
            bn2: BatchNorm::new(init.at("bn2"), inner),
            conv3: Conv2dConfig::new(inner, width, 1).init(init.at("conv3")),
            bn3: BatchNorm::new(init.at("bn3"), width),
        }
    }

    /// `[batch, width, mels, frames]` -> the same shape.
    pub fn forward<E: Exec>(&self, e: &mut E, x: E::Value<4>) -> E::Value<4> {
        let y = e.conv2d(&self.conv1, x.clone());
        let y = e.norm_relu(&self.bn1, y);
        let y = e.conv2d(&self.conv2, y);
        let y = e.norm_relu(&self.bn2, y);
        let y = e.conv2d(&self.conv3, y);
        let y = e.norm(&self.bn3, y);
        let y = e.add(y, x);
        e.relu(y)
    }
}
