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
//! (bottleneck blocks put out four times as many channels), then pooling over time and a linear
//! layer.

use burn::module::Module;
use burn::tensor::Tensor;

use super::sketch::{Function, Sketch};
use super::{Architecture, BlockKind, embedding};
use crate::nn::{
    BasicBlock, BatchNorm, Bottleneck, Conv2d, Conv2dConfig, Init, Linear, Mode, Pooling,
};

/// Stride of each stage's first block, mels and frames alike.
pub(super) const STRIDES: [usize; 4] = [1, 2, 2, 2];

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
    pub(super) fn forward(&self, x: Tensor<4>, mode: Mode) -> Tensor<4> {
        match self {
            Self::Basic(b) => b.forward(x, mode),
            Self::Bottleneck(b) => b.forward(x, mode),
        }
    }
}

/// The convolutions of a block.
pub(super) fn convolutions(
    kind: BlockKind,
    input: usize,
    width: usize,
    stride: [usize; 2],
) -> Vec<Conv2dConfig> {
    let conv = Conv2dConfig::new;
    match kind {
        BlockKind::Basic => vec![conv(input, width, 3).stride(stride), conv(width, width, 3)],
        BlockKind::Bottleneck => {
            vec![
                conv(input, width, 1),
                conv(width, width, 3).stride(stride),
                conv(width, kind.output(width), 1),
            ]
        }
    }
}

/// The network as arithmetic sees it, for utterances of `frames` frames.
pub(super) fn sketch(
    arch: &Architecture,
    kind: BlockKind,
    blocks: [usize; 4],
    frames: usize,
) -> Sketch {
    let mut f = Function::of(&[[1, arch.mels, frames]]);
    let x = f.conv_norm("conv1", "bn1", Conv2dConfig::new(1, arch.width, 3), 0);
    let mut x = f.relu(x);
    for (s, &count) in blocks.iter().enumerate() {
        for b in 0..count {
            let stride = if b == 0 { [STRIDES[s]; 2] } else { [1, 1] };
            let convs = convolutions(kind, f.size(x)[0], arch.width << s, stride);
            x = f.residual_block(&format!("layer{}.{b}", s + 1), &convs, stride, x);
        }
    }
    x = f.pool(arch.pooling, "pool", x);
    f.outputs = vec![x];
    Sketch::plain(f, arch.embedding_dim, arch.two_embedding_layers)
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

impl BlockKind {
    /// Output channels of a block of `width`.
    pub(super) fn output(self, width: usize) -> usize {
        width
            * match self {
                BlockKind::Basic => BasicBlock::EXPANSION,
                BlockKind::Bottleneck => Bottleneck::EXPANSION,
            }
    }
}

impl ResNet {
    pub(super) fn new(
        init: Init,
        arch: &Architecture,
        kind: BlockKind,
        blocks: [usize; 4],
    ) -> Self {
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
        let pooled = channels * arch.mels.div_ceil(8);
        let (dim, two) = (arch.embedding_dim, arch.two_embedding_layers);
        Self {
            conv1: Conv2dConfig::new(1, arch.width, 3).init(init.at("conv1")),
            bn1: BatchNorm::new(init.at("bn1"), arch.width),
            layer1,
            layer2,
            layer3,
            layer4,
            pool: Pooling::new(init.at("pool"), arch.pooling, pooled),
            seg_1: Linear::new(init.at("seg_1"), pooled * arch.pooling.statistics(), dim),
            seg_bn_1: two.then(|| BatchNorm::without_affine(init.at("seg_bn_1"), dim)),
            seg_2: two.then(|| Linear::new(init.at("seg_2"), dim, dim)),
        }
    }

    /// `[batch, 1, mels, frames]` -> `[batch, embedding_dim]`.
    pub fn forward(&self, x: Tensor<4>, mode: Mode) -> Tensor<2> {
        let mut x = self.bn1.rectified(self.conv1.forward(x), mode);
        for block in [&self.layer1, &self.layer2, &self.layer3, &self.layer4].into_iter().flatten()
        {
            x = block.forward(x, mode);
        }
        embedding(
            self.pool.forward(x),
            &self.seg_1,
            self.seg_bn_1.as_ref().zip(self.seg_2.as_ref()),
            mode,
        )
    }
}
