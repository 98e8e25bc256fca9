//! ResNet for speakers (arXiv 1512.03385 with a 3x3 stem and no max-pooling; WeSpeaker
//! `wespeaker/models/resnet.py`).
//!
//! | stage | channels | mels x frames |
//! |---|---|---|
//! | stem, 1 | width | 1 |
//! | 2 | 2 width | 1/2 |
//! | 3 | 4 width | 1/4 |
//! | 4 | 8 width | 1/8 |
//!
//! Bottleneck blocks put out four times as many channels. Pooling over time and a linear layer
//! follow.

use burn::module::Module;

use super::network::Backbone;
use super::registry::Member;
use super::reversible::Base;
use super::{Architecture, segments, without_asp};
use crate::error::Result;
use crate::nn::{
    BatchNorm, Block, BranchKind, Conv2d, Conv2dConfig, Exec, Init, Pooling, Segments, Stage,
};

/// Strides over `[mels, frames]` of the first block of each stage; none where resolution stays.
const STRIDES: [Option<[usize; 2]>; 4] = [None, Some([2, 2]), Some([2, 2]), Some([2, 2])];

/// A ResNet with so many blocks in each stage.
pub(super) struct Blocks(pub BranchKind, pub [usize; 4]);

impl Member for Blocks {
    fn init(&self, init: &Init, arch: &Architecture) -> Backbone {
        let Self(kind, blocks) = *self;
        let mut channels = arch.width;
        let mut stage = |s: usize| {
            let width = arch.width << s;
            let block = |b: usize| {
                let stride = STRIDES[s].filter(|_| b == 0).unwrap_or([1, 1]);
                let init = init.at(format!("layer{}", s + 1)).at(b);
                let input = std::mem::replace(&mut channels, kind.channels(width).1);
                Block::new(init, kind, input, width, stride)
            };
            (0..blocks[s]).map(block).collect()
        };
        let (layer1, layer2, layer3, layer4) = (stage(0), stage(1), stage(2), stage(3));
        let pooled =
            channels * arch.mels.div_ceil(STRIDES.iter().flatten().map(|s| s[0]).product());
        let conv1 = Conv2dConfig::new(1, arch.width, 3).init(init.at("conv1"));
        let bn1 = BatchNorm::new(init.at("bn1"), arch.width);
        let pool = Pooling::new(init.at("pool"), arch.pooling, pooled);
        let unnamed = segments(init, arch, pooled);
        let network = ResNet { conv1, bn1, layer1, layer2, layer3, layer4, pool, unnamed };
        Backbone::ResNet(network)
    }

    fn check(&self, arch: &Architecture) -> Result<()> {
        without_asp(arch)
    }

    fn base(&self) -> Option<Base> {
        Some(Base { blocks: self.1, strides: STRIDES, kind: self.0 })
    }
}

/// The network; field names are WeSpeaker's.
#[derive(Module, Debug)]
pub(super) struct ResNet {
    conv1: Conv2d,
    bn1: BatchNorm,
    layer1: Vec<Block>,
    layer2: Vec<Block>,
    layer3: Vec<Block>,
    layer4: Vec<Block>,
    pool: Pooling,
    unnamed: Segments,
}

impl ResNet {
    /// `[batch, 1, mels, frames]` -> embeddings `[batch, embedding_dim]`.
    pub fn forward<E: Exec>(&self, e: &mut E, image: E::Value<4>) -> E::Value<2> {
        let mut x = e.conv_norm_relu(&self.conv1, &self.bn1, image);
        let stages = [&self.layer1, &self.layer2, &self.layer3, &self.layer4];
        for (s, stage) in stages.into_iter().enumerate() {
            e.stage(Stage::numbered("stage", s + 1));
            x = stage.iter().fold(x, |x, block| block.forward(e, x));
        }
        e.stage(Stage::POOLING);
        let pooled = self.pool.forward(e, x);
        self.unnamed.forward(e, pooled)
    }
}
