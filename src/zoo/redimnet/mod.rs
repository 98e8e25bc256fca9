//! ReDimNet (arXiv 2407.18223; WeSpeaker `wespeaker/models/redimnet.py`); the module `second` has
//! ReDimNet2 (arXiv 2603.11841; `redimnet2.py`).
//!
//! Every frame has `width * mels` values, from the stem to the pooling. A stage sees them as an
//! image of channels and mels: it makes fewer mels of more channels, computes blocks of
//! convolutions, lays the image flat, and adds a context over frames. Its input is a weighted sum
//! of the outputs of the stem and of all stages before it. So is what is pooled.
//!
//! | | blocks | channels x mels | stages |
//! |---|---|---|---|
//! | B0 | residual | 10 x 60 | 5 |
//! | B1 | ConvNeXt | 12 x 72 | 5 |
//! | B2 | ConvNeXt | 16 x 72 | 6 |
//! | B3 | residual, gated | 16 x 72 | 6 |
//! | B4, B5 | residual, gated | 32 x 72 | 6 |
//! | B6 | residual | 32 x 72 | 6 |
//!
//! WeSpeaker's lists of stages also name kernels. Its ReDimNet uses 3x3 whatever they say, and so
//! do the residual blocks of its ReDimNet2: the 3x5 and 3x7 of ReDimNet2-B2 have no effect and do
//! not stand here. Only ReDimNet2's ConvNeXt blocks, which no published member has, use theirs.
//!
//! There is no reversible type. Inside a stage, blocks keep the shape, so additive coupling of two
//! halves of the channels would fit, without the ReLU behind the sums of residual blocks. What it
//! would save follows from what a tape keeps of 200 frames, by the rules of
//! [`Account`](super::Account), in units of the `width * mels` values of all frames:
//!
//! | | inside the stages' blocks | elsewhere | left by coupling |
//! |---|---|---|---|
//! | ReDimNet-B2 | 76 | 44 | 50 |
//! | ReDimNet-B6 | 384 | 46 | 57 |
//! | ReDimNet2-B2 | 80 | 25 | 29 |
//! | ReDimNet2-B6 | 154 | 28 | 35 |
//!
//! Elsewhere are the outputs of all stages, which every later sum reads, the sums themselves, and
//! the contexts over frames. They would stay, and so would one end of each stage's blocks. Nothing
//! can be reversible across stages. So memory would fall by a factor of 2.4 to 7.6, most where
//! blocks are widest. What speaks against it is the network. Half of the channels have a quarter of
//! the weights in each 1x1 convolution, and those are about half of a block's weights or more, so
//! other widths would be needed. That network would be a new one. For ResNets, arXiv 2412.01195
//! reports that it does as well as the ordinary one. For ReDimNets nobody has, and we have trained
//! none.

mod blocks;
mod context;
mod convnext;
mod options;
pub(super) mod second;
mod stage;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use burn::module::Module;

use super::network::Backbone;
use super::registry::Member;
use super::{Architecture, Blocks2d, Context, Layers, ReDimNet, ReDimNetStage, segments};
use crate::error::Result;
use crate::nn::{BatchNorm, Conv1d, Conv1dConfig, Exec, Init, Mix, Pooling, Segments, Stage};
use options::{Generation, Shared, stage};
use stage::{StageNet, Stem};

/// B0.
pub(super) const B0: ReDimNet = ReDimNet {
    context: Context::ConvAttention,
    blocks: Blocks2d::Basic,
    group_divisor: Some(1),
    output: None,
    stages: Cow::Borrowed(&[
        stage([1, 1], 2, 1.0, Some(30)),
        stage([2, 1], 3, 2.0, Some(30)),
        stage([1, 1], 3, 3.0, Some(30)),
        stage([2, 1], 4, 2.0, Some(10)),
        stage([1, 1], 3, 1.0, Some(10)),
    ]),
};

/// B1.
pub(super) const B1: ReDimNet = ReDimNet {
    context: Context::ConvAttention,
    blocks: Blocks2d::ConvNext,
    group_divisor: Some(8),
    output: None,
    stages: Cow::Borrowed(&[
        stage([1, 1], 2, 1.0, None),
        stage([2, 1], 3, 1.0, None),
        stage([3, 1], 4, 1.0, Some(12)),
        stage([2, 1], 5, 1.0, Some(12)),
        stage([2, 1], 3, 1.0, Some(8)),
    ]),
};

/// B2.
pub(super) const B2: ReDimNet = ReDimNet {
    context: Context::ConvAttention,
    blocks: Blocks2d::ConvNext,
    group_divisor: Some(4),
    output: None,
    stages: Cow::Borrowed(&[
        stage([1, 1], 2, 1.0, Some(12)),
        stage([2, 1], 2, 1.0, Some(12)),
        stage([1, 1], 3, 1.0, Some(12)),
        stage([2, 1], 4, 1.0, Some(8)),
        stage([1, 1], 4, 1.0, Some(8)),
        stage([2, 1], 4, 1.0, Some(4)),
    ]),
};

/// B3.
pub(super) const B3: ReDimNet = ReDimNet {
    context: Context::ConvAttention,
    blocks: Blocks2d::BasicSe,
    group_divisor: Some(1),
    output: None,
    stages: Cow::Borrowed(&[
        stage([1, 1], 6, 4.0, Some(32)),
        stage([2, 1], 6, 2.0, Some(32)),
        stage([1, 1], 8, 2.0, Some(32)),
        stage([2, 1], 10, 2.0, Some(16)),
        stage([1, 1], 10, 1.0, Some(16)),
        stage([2, 1], 8, 1.0, Some(16)),
    ]),
};

/// Stages of B4 and B5, which differ in their groups.
const B4_STAGES: [ReDimNetStage; 6] = [
    stage([1, 1], 4, 2.0, Some(48)),
    stage([2, 1], 4, 2.0, Some(48)),
    stage([1, 1], 6, 2.0, Some(48)),
    stage([2, 1], 6, 1.0, Some(32)),
    stage([1, 1], 8, 1.0, Some(24)),
    stage([2, 1], 4, 1.0, Some(16)),
];

/// B4.
pub(super) const B4: ReDimNet = ReDimNet {
    context: Context::ConvAttention,
    blocks: Blocks2d::BasicSe,
    group_divisor: Some(1),
    output: None,
    stages: Cow::Borrowed(&B4_STAGES),
};

/// B5.
pub(super) const B5: ReDimNet = ReDimNet {
    context: Context::ConvAttention,
    blocks: Blocks2d::BasicSe,
    group_divisor: Some(16),
    output: None,
    stages: Cow::Borrowed(&B4_STAGES),
};

/// B6.
pub(super) const B6: ReDimNet = ReDimNet {
    context: Context::ConvAttention,
    blocks: Blocks2d::Basic,
    group_divisor: Some(32),
    output: None,
    stages: Cow::Borrowed(&[
        stage([1, 1], 4, 4.0, Some(32)),
        stage([2, 1], 6, 2.0, Some(32)),
        stage([1, 1], 6, 2.0, Some(24)),
        stage([3, 1], 8, 1.0, Some(24)),
        stage([1, 1], 8, 1.0, Some(16)),
        stage([2, 1], 8, 1.0, Some(16)),
    ]),
};

impl ReDimNet {
    fn shared(&self) -> Shared<'_> {
        Shared {
            generation: Generation::First,
            context: self.context,
            blocks: self.blocks,
            group_divisor: self.group_divisor,
            output: self.output,
            stages: &self.stages,
        }
    }
}

impl Member for ReDimNet {
    fn init(&self, init: &Init, arch: &Architecture) -> Backbone {
        let shared = self.shared();
        let pooled = shared.pooled(arch);
        Backbone::ReDimNet(ReDimNetNet {
            backbone: Bone::new(&init.at("backbone"), &shared, arch),
            pool: Pooling::new(init.at("pool"), arch.pooling, pooled),
            unnamed: segments(init, arch, pooled),
        })
    }

    fn check(&self, arch: &Architecture) -> Result<()> {
        self.shared().check(arch)
    }

    fn width_tensor(&self) -> Option<&'static str> {
        Some("backbone.stem.0.weight")
    }

    fn layers(&self) -> Option<Layers> {
        Some(Layers::ReDimNet(self.clone()))
    }
}

/// The network; field names are WeSpeaker's.
#[derive(Module, Debug)]
pub(super) struct ReDimNetNet {
    backbone: Bone,
    pool: Pooling,
    unnamed: Segments,
}

impl ReDimNetNet {
    /// `[batch, 1, mels, frames]` -> `[batch, embedding_dim]`.
    pub fn forward<E: Exec>(&self, e: &mut E, image: E::Value<4>) -> E::Value<2> {
        let x = self.backbone.forward(e, image);
        e.stage(Stage::POOLING);
        let pooled = self.pool.forward_flat(e, x);
        self.unnamed.forward(e, pooled)
    }
}

/// The network up to the values that are pooled.
#[derive(Module, Debug)]
struct Bone {
    /// One sum for each stage and the last one. The first has a single term and computes nothing;
    /// files hold its weight.
    inputs_weights: Vec<Mix>,
    stem: Stem,
    stage_: Vec<StageNet>,
    mfa: Option<(Conv1d, BatchNorm)>,
}

impl Bone {
    fn new(init: &Init, shared: &Shared, arch: &Architecture) -> Self {
        let volume = arch.width * arch.mels;
        let mix = |i: usize| {
            let channels = if i == 0 { 1 } else { volume };
            Mix::new(init.at("inputs_weights").at(i), i + 1, channels)
        };
        let plans = shared.plans(arch);
        let mfa = shared.output.map(|output| {
            let (init, conv) = (init.at("mfa"), Conv1dConfig::new(volume, output, 1));
            (conv.biased().init(init.at(0)), BatchNorm::new(init.at(1), output))
        });
        Self {
            inputs_weights: (0..=plans.len()).map(mix).collect(),
            stem: Stem::new(&init.at("stem"), arch.width, arch.mels),
            stage_: StageNet::all(init, shared, &plans),
            mfa,
        }
    }

    /// `[batch, 1, mels, frames]` -> `[batch, output, frames]`.
    fn forward<E: Exec>(&self, e: &mut E, image: E::Value<4>) -> E::Value<3> {
        let (last, weights) = self.inputs_weights.split_last().expect("there are sums");
        let mut all = vec![self.stem.forward(e, image)];
        for (number, (stage, weights)) in (1..).zip(self.stage_.iter().zip(weights)) {
            e.stage(Stage::numbered("stage", number));
            let x = e.mix(weights, all.clone());
            all.push(stage.forward(e, x));
        }
        let x = e.mix(last, all);
        let Some((conv, norm)) = &self.mfa else { return x };
        let x = e.conv1d(conv, x);
        e.norm(norm, x, false)
    }
}
