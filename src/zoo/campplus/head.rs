//! The head of CAM++: residual blocks that see mels and frames, and lose resolution in mels alone.

use burn::module::Module;

use crate::nn::{BatchNorm, Block, BranchKind, Conv2d, Conv2dConfig, Exec, Init};

/// Mels of the image for each mel that the head puts out.
pub(super) const MELS: usize = 8;
/// Channels, whatever the network's width.
const CHANNELS: usize = 32;
/// Stride over `[mels, frames]` of the first block of each layer, and of the last convolution.
const STRIDE: [usize; 2] = [2, 1];

/// Channels times mels of the head's output.
pub(super) fn outputs(mels: usize) -> usize {
    CHANNELS * (mels / MELS)
}

/// Two layers of two blocks between two convolutions; field names are WeSpeaker's.
#[derive(Module, Debug)]
pub(super) struct Head {
    conv1: Conv2d,
    bn1: BatchNorm,
    layer1: Vec<Block>,
    layer2: Vec<Block>,
    conv2: Conv2d,
    bn2: BatchNorm,
}

impl Head {
    /// The head at a place.
    pub fn new(init: &Init) -> Self {
        let block = |init: &Init, b: usize, stride: [usize; 2]| {
            Block::new(init.at(b), BranchKind::Basic, CHANNELS, CHANNELS, stride)
        };
        let layer = |name: &str| {
            let init = init.at(name);
            vec![block(&init, 0, STRIDE), block(&init, 1, [1, 1])]
        };
        let last = Conv2dConfig::new(CHANNELS, CHANNELS, 3).stride(STRIDE);
        Self {
            conv1: Conv2dConfig::new(1, CHANNELS, 3).init(init.at("conv1")),
            bn1: BatchNorm::new(init.at("bn1"), CHANNELS),
            layer1: layer("layer1"),
            layer2: layer("layer2"),
            conv2: last.init(init.at("conv2")),
            bn2: BatchNorm::new(init.at("bn2"), CHANNELS),
        }
    }

    /// `[batch, 1, mels, frames]` -> `[batch, 32, mels / 8, frames]`.
    pub fn forward<E: Exec>(&self, e: &mut E, image: E::Value<4>) -> E::Value<4> {
        let x = e.conv_norm_relu(&self.conv1, &self.bn1, image);
        let blocks = self.layer1.iter().chain(&self.layer2);
        let x = blocks.fold(x, |x, block| block.forward(e, x));
        e.conv_norm_relu(&self.conv2, &self.bn2, x)
    }
}
