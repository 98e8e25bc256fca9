//! ReDimNet2 (arXiv 2603.11841; WeSpeaker `wespeaker/models/redimnet2.py`).
//!
//! Stages also stride over frames. Every sum has all frames of the utterance: a stage strides over
//! the product of all strides so far, and repeats its frames in the end. The utterance is cut to a
//! multiple of the largest product. Pooled statistics pass BatchNorm and one linear layer.
//!
//! | | channels x mels | pooled values of a frame |
//! |---|---|---|
//! | B0 | 12 x 72 | 64 |
//! | B1 | 16 x 72 | 64 |
//! | B2 | 20 x 72 | 64 |
//! | B3 | 24 x 72 | 64 |
//! | B4 | 32 x 72 | 2304, all of them |
//! | B5 | 48 x 72 | 256 |
//! | B6 | 64 x 72 | 224 channels of 9 mels |

use std::borrow::Cow;

use burn::module::Module;

use super::options::{Generation, Shared, stage};
use super::stage::{StageNet, Stem, Weights, fold};
use crate::error::Result;
use crate::nn::{Conv1d, Conv1dConfig, Conv2d, Conv2dConfig, Exec, Init, Normed, Pooling, Stage};
use crate::zoo::network::Backbone;
use crate::zoo::registry::Member;
use crate::zoo::{
    Architecture, Blocks2d, Context, Layers, ReDimNet2, ReDimNetStage, without_second_layer,
};

/// Stages of B0 and B3.
const B0_STAGES: [ReDimNetStage; 6] = [
    stage([1, 1], 2, 2.0, Some(36)),
    stage([2, 1], 3, 1.0, Some(36)),
    stage([1, 2], 4, 1.0, Some(36)),
    stage([2, 1], 5, 1.0, Some(36)),
    stage([1, 2], 4, 1.0, Some(18)),
    stage([2, 1], 3, 1.0, Some(18)),
];

/// A member with residual blocks whose convolutions are depthwise. A macro writes them, because the
/// registry cannot borrow a constant that a function makes.
macro_rules! member {
    ($name:ident, $output:expr, flat: $flat:expr, $stages:expr) => {
        /// See the table above.
        pub(in crate::zoo) const $name: ReDimNet2 = ReDimNet2 {
            context: Context::ConvAttention,
            blocks: Blocks2d::Basic,
            group_divisor: Some(1),
            output: $output,
            flat: $flat,
            compressed: true,
            embedding_norm: false,
            stages: Cow::Borrowed(&$stages),
        };
    };
}

member!(B0, Some(64), flat: true, B0_STAGES);

member!(B1, Some(64), flat: true, [
    stage([1, 1], 2, 2.0, Some(32)),
    stage([2, 1], 3, 1.0, Some(32)),
    stage([1, 2], 4, 1.0, Some(32)),
    stage([2, 1], 5, 1.0, Some(32)),
    stage([1, 2], 4, 1.0, Some(16)),
    stage([2, 1], 3, 1.0, Some(16)),
]);

member!(B2, Some(64), flat: true, [
    stage([1, 1], 2, 2.0, Some(40)),
    stage([2, 1], 3, 1.0, Some(30)),
    stage([1, 2], 4, 1.0, Some(30)),
    stage([3, 1], 5, 1.0, Some(20)),
    stage([1, 2], 4, 1.0, Some(20)),
    stage([2, 1], 3, 1.0, Some(10)),
]);

member!(B3, Some(64), flat: true, B0_STAGES);

member!(B4, None, flat: true, [
    stage([1, 1], 2, 4.0, Some(24)),
    stage([2, 1], 3, 3.0, Some(24)),
    stage([1, 2], 4, 2.0, Some(24)),
    stage([2, 1], 5, 1.0, Some(24)),
    stage([1, 2], 4, 1.0, Some(24)),
    stage([2, 1], 3, 1.0, Some(24)),
]);

member!(B5, Some(256), flat: true, [
    stage([1, 1], 2, 4.0, Some(48)),
    stage([2, 1], 3, 3.0, Some(48)),
    stage([1, 2], 4, 2.0, Some(48)),
    stage([2, 1], 5, 1.0, Some(48)),
    stage([1, 2], 4, 1.0, Some(32)),
    stage([2, 1], 3, 1.0, Some(32)),
]);

member!(B6, Some(224), flat: false, [
    stage([1, 1], 3, 3.0, Some(64)),
    stage([2, 1], 4, 2.0, Some(64)),
    stage([1, 2], 5, 2.0, Some(48)),
    stage([2, 1], 5, 1.0, Some(48)),
    stage([1, 2], 4, 0.75, Some(32)),
    stage([2, 1], 3, 0.5, Some(24)),
]);

impl ReDimNet2 {
    fn shared(&self) -> Shared<'_> {
        Shared {
            generation: Generation::Second { compressed: self.compressed, flat: self.flat },
            context: self.context,
            blocks: self.blocks,
            group_divisor: self.group_divisor,
            output: self.output,
            stages: &self.stages,
        }
    }
}

impl Member for ReDimNet2 {
    fn init(&self, init: &Init, arch: &Architecture) -> Backbone {
        let shared = self.shared();
        let pooled = shared.pooled(arch);
        let (statistics, dim) = (arch.pooling.outputs(pooled), arch.embedding_dim);
        Backbone::ReDimNet2(ReDimNet2Net {
            backbone: Bone::new(&init.at("backbone"), self, arch),
            pool: Pooling::new(init.at("pool"), arch.pooling, pooled),
            unnamed: Normed::new(init, statistics, dim, self.embedding_norm),
        })
    }

    fn check(&self, arch: &Architecture) -> Result<()> {
        without_second_layer(arch)?;
        self.shared().check(arch)
    }

    fn least_frames(&self) -> usize {
        self.shared().strides(1)
    }

    fn width_tensor(&self) -> Option<&'static str> {
        Some("backbone.stem.0.weight")
    }

    fn layers(&self) -> Option<Layers> {
        Some(Layers::ReDimNet2(self.clone()))
    }
}

/// The network; field names are WeSpeaker's.
#[derive(Module, Debug)]
pub(in crate::zoo) struct ReDimNet2Net {
    backbone: Bone,
    pool: Pooling,
    unnamed: Normed,
}

impl ReDimNet2Net {
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
    stem: Stem,
    stage_: Vec<StageNet>,
    fin_wght1d: Weights,
    unnamed: Head,
    /// The utterance has a multiple of so many frames.
    #[module(skip)]
    multiple: usize,
}

/// What makes pooled values of the last sum.
#[derive(Module, Debug)]
enum Head {
    Flat(FlatHead),
    Image(ImageHead),
}

#[derive(Module, Debug)]
struct FlatHead {
    head: Option<Conv1d>,
}

#[derive(Module, Debug)]
struct ImageHead {
    head: Option<Conv2d>,
    /// Channels and mels that the sum is folded into.
    #[module(skip)]
    input: [usize; 2],
}

impl Bone {
    fn new(init: &Init, network: &ReDimNet2, arch: &Architecture) -> Self {
        let (shared, volume) = (network.shared(), arch.width * arch.mels);
        let plans = shared.plans(arch);
        let place = init.at("head");
        let head = if network.flat {
            let conv = |output| Conv1dConfig::new(volume, output, 1).biased().init(place);
            Head::Flat(FlatHead { head: network.output.map(conv) })
        } else {
            let input = plans.last().map_or([arch.width, arch.mels], |plan| plan.output);
            let conv = |output| Conv2dConfig::new(input[0], output, 1).biased().init(place);
            Head::Image(ImageHead { head: network.output.map(conv), input })
        };
        Self {
            stem: Stem::new(&init.at("stem"), arch.width, arch.mels),
            stage_: StageNet::all(init, &shared, &plans),
            fin_wght1d: Weights::new(&init.at("fin_wght1d"), plans.len() + 1, volume),
            unnamed: head,
            multiple: shared.strides(1),
        }
    }

    /// `[batch, 1, mels, frames]` -> `[batch, pooled values of a frame, frames]`.
    fn forward<E: Exec>(&self, e: &mut E, image: E::Value<4>) -> E::Value<3> {
        let image = e.trim(image, self.multiple);
        let mut all = vec![self.stem.forward(e, image)];
        for (number, stage) in (1..).zip(&self.stage_) {
            e.stage(Stage::numbered("stage", number));
            let weights = stage.weights().expect("ReDimNet2's stages weigh their inputs");
            let x = e.mix(weights, all.clone());
            all.push(stage.forward(e, x));
        }
        let x = e.mix(&self.fin_wght1d.w, all);
        match &self.unnamed {
            Head::Flat(head) => head.forward(e, x),
            Head::Image(head) => head.forward(e, x),
        }
    }
}

impl FlatHead {
    fn forward<E: Exec>(&self, e: &mut E, x: E::Value<3>) -> E::Value<3> {
        match &self.head {
            Some(conv) => e.conv1d(conv, x),
            None => x,
        }
    }
}

impl ImageHead {
    /// Pooled channels stand side by side, each with all its mels.
    fn forward<E: Exec>(&self, e: &mut E, x: E::Value<3>) -> E::Value<3> {
        let [channels, mels] = self.input;
        let image = fold(e, x, self.input);
        let (image, channels) = match &self.head {
            Some(conv) => (e.conv2d(conv, image), conv.config().output),
            None => (image, channels),
        };
        e.reshape(image, [0, (channels * mels) as i32, -1])
    }
}

#[cfg(test)]
mod tests;
