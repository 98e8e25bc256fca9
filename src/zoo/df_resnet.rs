//! DF-ResNet: depth before width (doi 10.1109/TASLP.2023.3273417), original layout and Gemini's
//! (arXiv 2312.03620; WeSpeaker `wespeaker/models/gemini_dfresnet.py`).
//!
//! Stages of inverted bottlenecks at 1, 2, 4, 8 times the width, with separate convolution +
//! BatchNorm layers for the downsampling between them.

use burn::module::Module;

use super::network::Backbone;
use super::registry::Member;
use super::reversible::Base;
use super::{Architecture, segments, without_asp};
use crate::error::Result;
use crate::nn::{
    Block, BranchKind, Conv2dConfig, Downsample, Exec, Init, Pooling, Segments, Stage, downsample,
};

/// Strides over `[mels, frames]` of the downsampling layer in front of each stage; none where there
/// is no such layer.
type Layout = [Option<[usize; 2]>; 4];

/// Three downsampling layers before stages 2 to 4, halving mels and frames. A reconstruction: the
/// family's depths are published, this layout is not. Its parameter counts agree with the published
/// ones where those are known to 3 digits, except for DF-ResNet56.
pub(super) const ORIGINAL: Layout = [None, Some([2, 2]), Some([2, 2]), Some([2, 2])];

/// Four downsampling layers, one before each stage: mels halve four times, frames once (Golden
/// Gemini; WeSpeaker).
pub(super) const GEMINI: Layout = [Some([2, 1]), Some([2, 2]), Some([2, 1]), Some([2, 1])];

/// A DF-ResNet with so many blocks in each stage.
pub(super) struct Depths(pub Layout, pub [usize; 4]);

impl Member for Depths {
    fn init(&self, init: &Init, arch: &Architecture) -> Backbone {
        let Self(layout, depths) = *self;
        let at = |i: usize| init.at("downsample_layers").at(i);
        let mut downsample_layers = vec![downsample(at(0), Conv2dConfig::new(1, arch.width, 3))];
        let (mut channels, mut mels) = (arch.width, arch.mels);
        for (stage, stride) in layout.into_iter().enumerate() {
            let Some(stride) = stride else { continue };
            let conv = Conv2dConfig::new(channels, arch.width << stage, 3).stride(stride);
            downsample_layers.push(downsample(at(downsample_layers.len()), conv));
            (channels, mels) = (conv.output, conv.output_size([mels, 1])[0]);
        }
        let block = |s: usize, b: usize| {
            let (init, width) = (init.at("stages").at(s).at(b), arch.width << s);
            Block::new(init, BranchKind::Inverted, width, width, [1, 1])
        };
        let stages = (0..4).map(|s| (0..depths[s]).map(|b| block(s, b)).collect()).collect();
        let pooled = channels * mels;
        let pool = Pooling::new(init.at("pool"), arch.pooling, pooled);
        let unnamed = segments(init, arch, pooled);
        Backbone::DfResNet(DfResNet { downsample_layers, stages, pool, unnamed })
    }

    fn check(&self, arch: &Architecture) -> Result<()> {
        without_asp(arch)
    }

    fn base(&self) -> Option<Base> {
        Some(Base { blocks: self.1, strides: self.0, kind: BranchKind::Inverted })
    }
}

/// The network; field names are WeSpeaker's. `downsample_layers.0` is
/// the stem.
#[derive(Module, Debug)]
pub(super) struct DfResNet {
    downsample_layers: Vec<Downsample>,
    stages: Vec<Vec<Block>>,
    pool: Pooling,
    unnamed: Segments,
}

impl DfResNet {
    /// `[batch, 1, mels, frames]` -> embeddings `[batch, embedding_dim]`.
    pub fn forward<E: Exec>(&self, e: &mut E, image: E::Value<4>) -> E::Value<2> {
        let ((conv, norm), rest) = self.downsample_layers.split_first().expect("there is a stem");
        let mut x = e.conv_norm_relu(conv, norm, image);
        // Layouts with fewer downsampling layers than stages have none before the first stages.
        let without = self.stages.len() - rest.len();
        for (s, stage) in self.stages.iter().enumerate() {
            if s >= without {
                e.stage(Stage::TRANSITIONS);
                let (conv, norm) = &rest[s - without];
                x = e.conv_norm(conv, norm, x);
            }
            e.stage(Stage::numbered("stage", s + 1));
            x = stage.iter().fold(x, |x, block| block.forward(e, x));
        }
        e.stage(Stage::POOLING);
        let pooled = self.pool.forward(e, x);
        self.unnamed.forward(e, pooled)
    }
}
