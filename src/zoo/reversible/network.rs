//! The module that a [`Plan`] makes.

#[cfg(feature = "train")]
use std::collections::HashSet;

use burn::module::Module;
#[cfg(feature = "train")]
use burn::module::ParamId;

use super::super::network::Backbone;
use super::super::{Architecture, segments};
use super::plan::{Entry, Plan, StagePlan};
use super::{MergeRule, StreamRule};
use crate::backend::reversible::{Execution, Pieces};
use crate::nn::{
    BatchNorm, Block, Body, Combine, Conv2d, Conv2dConfig, Coupling, Downsample, Exec, Halves,
    Init, Part, Pooling, Segments, Squeeze, Stage, Step, downsample,
};

/// A reversible network of either type. Both executions are this one
/// struct, with the same weights.
#[derive(Module, Debug)]
pub(in crate::zoo) struct RevNet {
    body: RevBody,
    unnamed: Segments,
    /// How it trains; the default recomputes activations.
    #[module(skip)]
    pub execution: Execution,
}

/// Features to pooled statistics.
#[derive(Module, Debug)]
struct RevBody {
    stem: Stem,
    stages: Vec<RevStage>,
    summary: Summary,
}

/// conv3x3 - BN - ReLU.
#[derive(Module, Debug)]
struct Stem {
    conv: Conv2d,
    norm: BatchNorm,
    /// How what comes out becomes two streams; none where the first transition wants it whole.
    #[module(skip)]
    streams: Option<StreamRule>,
    #[module(skip)]
    multiple: [usize; 2],
}

/// What makes a stage's streams of its predecessor's, and the blocks.
#[derive(Module, Debug)]
struct RevStage {
    transition: Option<Transition>,
    blocks: Vec<Coupling>,
    #[module(skip)]
    squeeze: Option<Squeeze>,
}

/// Type I's loss of resolution.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "three in a network")]
enum Transition {
    /// On each stream.
    PerStream(Vec<Downsample>),
    /// On both as one.
    Merged(Downsample),
    /// The ordinary network's block on both as one.
    Block(Block),
}

/// Streams (their mean) or one tensor to pooled statistics.
#[derive(Module, Debug)]
struct Summary {
    norm: BatchNorm,
    project: Option<Downsample>,
    pool: Pooling,
    #[module(skip)]
    mean: bool,
}

impl Part for Stem {
    fn forward<E: Exec>(&self, e: &mut E, mut x: Vec<E::Value<4>>) -> Vec<E::Value<4>> {
        let x = e.pad(x.remove(0), self.multiple);
        let x = e.conv_norm_relu(&self.conv, &self.norm, x);
        let other = (self.streams == Some(StreamRule::Duplicate)).then(|| e.copy(&x));
        std::iter::once(x).chain(other).collect()
    }
}

impl Part for Transition {
    fn forward<E: Exec>(&self, e: &mut E, x: Vec<E::Value<4>>) -> Vec<E::Value<4>> {
        let x = x.into_iter();
        match self {
            Self::PerStream(layers) => {
                layers.iter().zip(x).map(|((conv, norm), x)| e.conv_norm(conv, norm, x)).collect()
            }
            Self::Merged((conv, norm)) => x.map(|x| e.conv_norm(conv, norm, x)).collect(),
            Self::Block(block) => x.map(|x| block.forward(e, x)).collect(),
        }
    }

    fn pieces(&self) -> Option<Pieces> {
        match self {
            Self::PerStream(_) | Self::Merged(_) => None,
            Self::Block(block) => block.pieces().map(Pieces::Fork),
        }
    }
}

impl Part for Summary {
    fn forward<E: Exec>(&self, e: &mut E, x: Vec<E::Value<4>>) -> Vec<E::Value<4>> {
        let mean = |a, b| e.combine(Combine::Mean, a, b);
        let x = x.into_iter().reduce(mean).expect("one or two streams");
        let mut x = e.norm(&self.norm, x, true);
        if let Some((conv, norm)) = &self.project {
            x = e.conv_norm_relu(conv, norm, x);
        }
        let pooled = self.pool.forward(e, x);
        vec![e.reshape(pooled, [0, -1, 1, 1])]
    }
}

impl Body for RevBody {
    fn walk(&self) -> Vec<(Stage, Step<'_>)> {
        let (split, join) = (Step::Halves(&Halves::Split), Step::Halves(&Halves::Join));
        let mut steps: Vec<(Stage, Step)> = vec![(Stage::STEM, Step::Keep(&self.stem))];
        if self.stem.streams == Some(StreamRule::Split) {
            steps.push((Stage::STEM, split));
        }
        let mut two = self.stem.streams.is_some();
        for (s, stage) in self.stages.iter().enumerate() {
            let entry = Stage::numbered("transition", s + 1);
            if let Some(transition) = &stage.transition {
                let whole = !matches!(transition, Transition::PerStream(_));
                steps.extend((whole && two).then_some((entry, join)));
                steps.push((entry, Step::Keep(transition)));
                steps.extend(whole.then_some((entry, split)));
                two = true;
            }
            steps.extend(stage.squeeze.as_ref().map(|squeeze| (entry, Step::Squeeze(squeeze))));
            let blocks = stage.blocks.iter().map(Step::Couple);
            steps.extend(blocks.map(|block| (Stage::numbered("stage", s + 1), block)));
        }
        steps.extend((!self.summary.mean).then_some((Stage::POOLING, join)));
        steps.push((Stage::POOLING, Step::Keep(&self.summary)));
        steps
    }

    /// The stem, where a block follows at once: of all multiplications it has a few thousandths.
    fn is_cheap(&self, step: usize) -> bool {
        step == 0 && self.stem.streams.is_none()
    }
}

impl RevNet {
    /// The ids of the body's parameters and buffers.
    #[cfg(feature = "train")]
    pub fn body_ids(&self) -> HashSet<ParamId> {
        crate::nn::ids_named(&self.body).into_keys().collect()
    }

    pub fn forward<E: Exec>(&self, e: &mut E, image: E::Value<4>) -> E::Value<2> {
        let pooled = self.pooled(e, image);
        self.embed(e, pooled)
    }

    /// `[batch, 1, mels, frames]` -> `[batch, statistics]`.
    pub fn pooled<E: Exec>(&self, e: &mut E, image: E::Value<4>) -> E::Value<2> {
        let pooled = e.body(&self.body, image, self.execution);
        e.stage(Stage::EMBEDDING);
        e.reshape(pooled, [0, -1])
    }

    /// `[batch, statistics]` -> `[batch, dim]`.
    pub fn embed<E: Exec>(&self, e: &mut E, pooled: E::Value<2>) -> E::Value<2> {
        self.unnamed.forward(e, pooled)
    }
}

impl Plan {
    /// The network.
    pub fn init(&self, root: &Init, arch: &Architecture) -> Backbone {
        let init = root.at("body");
        let place = init.at("stem");
        let stem = Stem {
            conv: Conv2dConfig::new(1, self.stem, 3).init(place.at("conv")),
            norm: BatchNorm::new(place.at("norm"), self.stem),
            streams: self.streams,
            multiple: self.multiple,
        };
        let stages = self.stages.iter().enumerate();
        let stages = stages.map(|(s, stage)| self.stage(&init.at("stages").at(s), s, stage));
        let stages = stages.collect();
        let last = self.stages.last().map_or(0, |s| s.width);
        let mean = self.merge == MergeRule::Mean;
        let merged = if mean { last } else { 2 * last };
        let projected = self.merge == MergeRule::Project;
        let pooled = if projected { self.project } else { merged } * self.mels;
        let place = init.at("summary");
        let project = Conv2dConfig::new(merged, self.project, 1);
        let summary = Summary {
            norm: BatchNorm::new(place.at("norm"), merged),
            project: projected.then(|| downsample(place.at("project"), project)),
            pool: Pooling::new(place.at("pool"), arch.pooling, pooled),
            mean,
        };
        let body = RevBody { stem, stages, summary };
        let unnamed = segments(root, arch, pooled);
        Backbone::Reversible(RevNet { body, unnamed, execution: Execution::default() })
    }

    fn stage(&self, init: &Init, s: usize, stage: &StagePlan) -> RevStage {
        let at = init.at("transition");
        let (transition, squeeze) = match stage.entry {
            Entry::Direct => (None, None),
            Entry::Squeeze(squeeze) => (None, Some(squeeze)),
            Entry::PerStream(conv) => {
                let layers = (0..2).map(|i| downsample(at.at(i), conv)).collect();
                (Some(Transition::PerStream(layers)), None)
            }
            Entry::Merged(conv) => (Some(Transition::Merged(downsample(at, conv))), None),
            Entry::Block(input, width, stride) => {
                let block = Block::new(at, self.kind, input, width, stride);
                (Some(Transition::Block(block)), None)
            }
        };
        let StagePlan { width, inner, .. } = *stage;
        // A tape of a whole function would be the peak of a step. What is inside the functions is
        // at most half as large in the other stages.
        let in_pieces = s == 0;
        let block = |b| {
            let place = init.at("blocks").at(b);
            let block = Coupling::new(place, self.kind, self.order, width, inner);
            if in_pieces { block.in_pieces() } else { block }
        };
        RevStage { transition, blocks: (0..stage.blocks).map(block).collect(), squeeze }
    }
}
