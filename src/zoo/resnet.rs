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

use super::registry::Member;
use super::reversible::Base;
use super::{Architecture, Network, Tail};
use crate::nn::{
    BasicBlock, BatchNorm, Bottleneck, BranchKind, Conv2d, Conv2dConfig, Exec, Init, Linear, Net,
    Part, Pooling, Stage,
};

/// Stride of each stage's first block, mels and frames alike.
const STRIDES: [usize; 4] = [1, 2, 2, 2];

/// The residual block of a ResNet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlockKind {
    /// Two 3x3 convolutions.
    Basic,
    /// 1x1, 3x3, 1x1 with four times as many output channels.
    Bottleneck,
}

impl BlockKind {
    /// Output channels of a block of `width`.
    pub fn output(self, width: usize) -> usize {
        width
            * match self {
                Self::Basic => BasicBlock::EXPANSION,
                Self::Bottleneck => Bottleneck::EXPANSION,
            }
    }

    /// The reversible counterpart.
    fn branch(self) -> BranchKind {
        match self {
            Self::Basic => BranchKind::Basic,
            Self::Bottleneck => BranchKind::Bottleneck,
        }
    }
}

/// A ResNet with so many blocks in each stage.
pub(super) struct Blocks(pub BlockKind, pub [usize; 4]);

impl Member for Blocks {
    fn init(&self, init: Init, arch: &Architecture) -> Network {
        ResNet::new(init, arch, self.0, self.1).into()
    }

    fn base(&self) -> Option<Base> {
        let strides = STRIDES.map(|s| (s > 1).then_some([s, s]));
        Some(Base { blocks: self.1, strides, branch: self.0.branch(), block: Some(self.0) })
    }
}

/// A block of either kind.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "all blocks of a network are of one kind")]
pub enum Block {
    /// See [`BasicBlock`].
    Basic(BasicBlock),
    /// See [`Bottleneck`].
    Bottleneck(Bottleneck),
}

impl Block {
    /// The block from `input` channels, striding in its first 3x3 convolution.
    pub(super) fn new(
        init: Init,
        kind: BlockKind,
        input: usize,
        width: usize,
        stride: [usize; 2],
    ) -> Self {
        match kind {
            BlockKind::Basic => Self::Basic(BasicBlock::new(init, input, width, stride)),
            BlockKind::Bottleneck => Self::Bottleneck(Bottleneck::new(init, input, width, stride)),
        }
    }

    /// `[batch, input, mels, frames]` -> `[batch, output, mels', frames']`.
    fn forward<E: Exec>(&self, e: &mut E, x: E::Value<4>) -> E::Value<4> {
        match self {
            Self::Basic(block) => block.forward(e, x),
            Self::Bottleneck(block) => block.forward(e, x),
        }
    }
}

impl Part for Block {
    fn forward<E: Exec>(&self, e: &mut E, x: Vec<E::Value<4>>) -> Vec<E::Value<4>> {
        x.into_iter().map(|x| self.forward(e, x)).collect()
    }
}

/// The network; field names are WeSpeaker's.
#[derive(Module, Debug)]
pub struct ResNet {
    conv1: Conv2d,
    bn1: BatchNorm,
    layer1: Vec<Block>,
    layer2: Vec<Block>,
    layer3: Vec<Block>,
    layer4: Vec<Block>,
    pool: Pooling,
    seg_1: Linear,
    seg_bn_1: Option<BatchNorm>,
    seg_2: Option<Linear>,
}

impl ResNet {
    fn new(init: Init, arch: &Architecture, kind: BlockKind, blocks: [usize; 4]) -> Self {
        let mut channels = arch.width;
        let mut stage = |s: usize| -> Vec<Block> {
            let width = arch.width << s;
            (0..blocks[s])
                .map(|b| {
                    let stride = if b == 0 { [STRIDES[s]; 2] } else { [1, 1] };
                    let init = init.at(format!("layer{}", s + 1)).at(b);
                    let input = std::mem::replace(&mut channels, kind.output(width));
                    Block::new(init, kind, input, width, stride)
                })
                .collect()
        };
        let (layer1, layer2, layer3, layer4) = (stage(0), stage(1), stage(2), stage(3));
        let pooled = channels * arch.mels.div_ceil(STRIDES.iter().product());
        let Tail { seg_1, seg_bn_1, seg_2 } = Tail::new(&init, arch, pooled);
        Self {
            conv1: Conv2dConfig::new(1, arch.width, 3).init(init.at("conv1")),
            bn1: BatchNorm::new(init.at("bn1"), arch.width),
            layer1,
            layer2,
            layer3,
            layer4,
            pool: Pooling::new(init.at("pool"), arch.pooling, pooled),
            seg_1,
            seg_bn_1,
            seg_2,
        }
    }
}

impl Net for ResNet {
    fn forward<E: Exec>(&self, e: &mut E, image: E::Value<4>) -> E::Value<2> {
        e.stage(Stage::STEM);
        let x = e.conv2d(&self.conv1, image);
        let mut x = e.norm_relu(&self.bn1, x);
        let stages = [&self.layer1, &self.layer2, &self.layer3, &self.layer4];
        for (s, stage) in stages.into_iter().enumerate() {
            e.stage(Stage::numbered("stage", s + 1));
            for block in stage {
                x = block.forward(e, x);
            }
        }
        e.stage(Stage::POOLING);
        let pooled = self.pool.forward(e, x);
        super::embedding(e, pooled, &self.seg_1, self.seg_bn_1.as_ref(), self.seg_2.as_ref())
    }
}
