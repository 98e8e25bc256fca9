//! DF-ResNet: depth before width (doi 10.1109/TASLP.2023.3273417), original layout and Gemini's
//! (arXiv 2312.03620; WeSpeaker `wespeaker/models/gemini_dfresnet.py`).
//!
//! Stages of inverted bottlenecks at 1, 2, 4, 8 times the width, with separate convolution +
//! BatchNorm layers for the downsampling between them.

use burn::module::Module;

use super::registry::Member;
use super::reversible::Base;
use super::{Architecture, Network, Tail};
use crate::nn::{
    BatchNorm, BranchKind, Conv2dConfig, ConvNorm, Downsample, Exec, Init, InvertedBottleneck,
    Linear, Net, Pooling, Stage,
};

/// Where a DF-ResNet loses resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Three downsampling layers before stages 2 to 4, halving mels and frames. A reconstruction:
    /// the family's depths are published, this layout is not. Its parameter counts agree with the
    /// published ones where those are known to 3 digits, except for DF-ResNet56.
    Original,
    /// Four downsampling layers, one before each stage: mels halve four times, frames once (Golden
    /// Gemini; WeSpeaker).
    Gemini,
}

impl Layout {
    /// Strides over `[mels, frames]` of the downsampling layer in front of each stage; none where
    /// there is no such layer.
    fn strides(self) -> [Option<[usize; 2]>; 4] {
        match self {
            Self::Original => [None, Some([2, 2]), Some([2, 2]), Some([2, 2])],
            Self::Gemini => [Some([2, 1]), Some([2, 2]), Some([2, 1]), Some([2, 1])],
        }
    }
}

/// A DF-ResNet with so many blocks in each stage.
pub(super) struct Depths(pub Layout, pub [usize; 4]);

impl Member for Depths {
    fn init(&self, init: Init, arch: &Architecture) -> Network {
        DfResNet::new(init, arch, self.0, self.1).into()
    }

    fn base(&self) -> Option<Base> {
        let strides = self.0.strides();
        Some(Base { blocks: self.1, strides, branch: BranchKind::Inverted, block: None })
    }
}

/// The network; field names are WeSpeaker's. `downsample_layers.0` is the stem.
#[derive(Module, Debug)]
pub struct DfResNet {
    downsample_layers: Vec<Downsample>,
    stages: Vec<Vec<InvertedBottleneck>>,
    pool: Pooling,
    seg_1: Linear,
    seg_bn_1: Option<BatchNorm>,
    seg_2: Option<Linear>,
}

impl DfResNet {
    fn new(init: Init, arch: &Architecture, layout: Layout, depths: [usize; 4]) -> Self {
        let at = |i: usize| init.at("downsample_layers").at(i);
        let mut downsample_layers =
            vec![Downsample::build(at(0), Conv2dConfig::new(1, arch.width, 3))];
        let (mut channels, mut mels) = (arch.width, arch.mels);
        for (stage, stride) in layout.strides().into_iter().enumerate() {
            let Some(stride) = stride else { continue };
            let conv = Conv2dConfig::new(channels, arch.width << stage, 3).stride(stride);
            downsample_layers.push(Downsample::build(at(downsample_layers.len()), conv));
            (channels, mels) = (conv.output, conv.output_size([mels, 1])[0]);
        }
        let block = |s: usize, b: usize| {
            InvertedBottleneck::new(init.at("stages").at(s).at(b), arch.width << s)
        };
        let stages = (0..4).map(|s| (0..depths[s]).map(|b| block(s, b)).collect()).collect();
        let pooled = channels * mels;
        let Tail { seg_1, seg_bn_1, seg_2 } = Tail::new(&init, arch, pooled);
        Self {
            downsample_layers,
            stages,
            pool: Pooling::new(init.at("pool"), arch.pooling, pooled),
            seg_1,
            seg_bn_1,
            seg_2,
        }
    }
}

impl Net for DfResNet {
    fn forward<E: Exec>(&self, e: &mut E, image: E::Value<4>) -> E::Value<2> {
        e.stage(Stage::STEM);
        let (stem, rest) = self.downsample_layers.split_first().expect("a network has a stem");
        let mut x = stem.rectified(e, image);
        // Layouts with fewer downsampling layers than stages have none before the first stages.
        let without = self.stages.len() - rest.len();
        for (s, stage) in self.stages.iter().enumerate() {
            if s >= without {
                e.stage(Stage::TRANSITIONS);
                x = rest[s - without].forward(e, x);
            }
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
