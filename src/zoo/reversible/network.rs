//! The module.

use burn::module::Module;

use super::super::resnet::Block;
use super::super::{Architecture, Tail, embedding};
use super::plan::{Entry, Plan};
use super::{MergeRule, StreamRule};
use crate::backend::reversible::{self, Execution, Reversible};
use crate::nn::{
    BatchNorm, Body, Conv2d, Conv2dConfig, ConvNorm, Coupling, Dim, Downsample, Exec, Init, Linear,
    Net, Part, Pooling, Squeeze, Stage, Step,
};

/// A reversible network of either type. Both executions are this one struct, with the same weights.
#[derive(Module, Debug)]
pub struct RevNet {
    body: RevBody,
    seg_1: Linear,
    seg_bn_1: Option<BatchNorm>,
    seg_2: Option<Linear>,
    #[module(skip)]
    execution: Execution,
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
    /// What comes out is both streams, each whole.
    #[module(skip)]
    duplicate: bool,
    /// What comes out is cut into two streams.
    #[module(skip)]
    split: bool,
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

impl Transition {
    /// Whether it wants both streams as one tensor, and makes one of them.
    fn is_whole(&self) -> bool {
        !matches!(self, Self::PerStream(_))
    }
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
        let x = e.conv2d(&self.conv, x);
        let x = e.norm_relu(&self.norm, x);
        if self.duplicate {
            let other = e.copy(&x);
            vec![x, other]
        } else {
            vec![x]
        }
    }
}

impl Part for Transition {
    fn forward<E: Exec>(&self, e: &mut E, x: Vec<E::Value<4>>) -> Vec<E::Value<4>> {
        match self {
            Self::PerStream(layers) => {
                layers.iter().zip(x).map(|(layer, x)| layer.forward(e, x)).collect()
            }
            Self::Merged(layer) => x.into_iter().map(|x| layer.forward(e, x)).collect(),
            Self::Block(block) => Part::forward(block, e, x),
        }
    }
}

impl Part for Summary {
    fn forward<E: Exec>(&self, e: &mut E, x: Vec<E::Value<4>>) -> Vec<E::Value<4>> {
        let x = x.into_iter().reduce(|a, b| e.mean(a, b)).expect("one or two streams");
        let mut x = e.norm_relu(&self.norm, x);
        if let Some(project) = &self.project {
            x = project.rectified(e, x);
        }
        let pooled = self.pool.forward(e, x);
        vec![e.reshape(pooled, &[Dim::Rest, Dim::Of(1), Dim::Of(1)])]
    }
}

impl Reversible for RevBody {
    fn steps(&self) -> Vec<reversible::Step<'_>> {
        self.lowered()
    }
}

impl Body for RevBody {
    fn walk(&self) -> Vec<(Stage, Step<'_>)> {
        let mut steps: Vec<(Stage, Step)> = vec![(Stage::STEM, Step::Keep(&self.stem))];
        let mut two = self.stem.duplicate;
        if self.stem.split {
            steps.push((Stage::STEM, Step::Split));
            two = true;
        }
        for (s, stage) in self.stages.iter().enumerate() {
            let entry = Stage::numbered("transition", s + 1);
            if let Some(transition) = &stage.transition {
                let whole = transition.is_whole();
                if whole && two {
                    steps.push((entry, Step::Join));
                }
                steps.push((entry, Step::Keep(transition)));
                if whole {
                    steps.push((entry, Step::Split));
                }
                two = true;
            }
            steps.extend(stage.squeeze.as_ref().map(|squeeze| (entry, Step::Squeeze(squeeze))));
            let blocks = stage.blocks.iter().map(Step::Couple);
            steps.extend(blocks.map(|block| (Stage::numbered("stage", s + 1), block)));
        }
        if !self.summary.mean {
            steps.push((Stage::POOLING, Step::Join));
        }
        steps.push((Stage::POOLING, Step::Keep(&self.summary)));
        steps
    }
}

impl RevNet {
    pub(in crate::zoo) fn new(init: Init, arch: &Architecture, plan: &Plan) -> Self {
        let body = init.at("body");
        let place = body.at("stem");
        let stem = Stem {
            conv: Conv2dConfig::new(1, plan.stem, 3).init(place.at("conv")),
            norm: BatchNorm::new(place.at("norm"), plan.stem),
            duplicate: !plan.whole_stem && plan.streams == StreamRule::Duplicate,
            split: !plan.whole_stem && plan.streams == StreamRule::Split,
            multiple: plan.multiple,
        };
        let stages = plan.stages.iter().enumerate().map(|(s, stage)| {
            let place = body.at("stages").at(s);
            let at = place.at("transition");
            let transition = match stage.entry {
                Entry::Direct | Entry::Squeeze(_) => None,
                Entry::PerStream(conv) => Some(Transition::PerStream(
                    (0..2).map(|i| Downsample::build(at.at(i), conv)).collect(),
                )),
                Entry::Merged(conv) => Some(Transition::Merged(Downsample::build(at, conv))),
                Entry::Block(kind, input, width, stride) => {
                    Some(Transition::Block(Block::new(at, kind, input, width, stride)))
                }
            };
            let block = |b: usize| {
                Coupling::new(
                    place.at("blocks").at(b),
                    plan.kind,
                    plan.order,
                    stage.width,
                    stage.inner,
                )
            };
            let squeeze = match stage.entry {
                Entry::Squeeze(squeeze) => Some(squeeze),
                _ => None,
            };
            RevStage { transition, blocks: (0..stage.blocks).map(block).collect(), squeeze }
        });
        let last = plan.stages.last().map_or(0, |s| s.width);
        let merged = if plan.merge == MergeRule::Mean { last } else { 2 * last };
        let projected = plan.merge == MergeRule::Project;
        let channels = if projected { plan.project } else { merged };
        let pooled = channels * plan.mels(arch.mels);
        let place = body.at("summary");
        let project = Conv2dConfig::new(merged, plan.project, 1);
        let summary = Summary {
            norm: BatchNorm::new(place.at("norm"), merged),
            project: projected.then(|| Downsample::build(place.at("project"), project)),
            pool: Pooling::new(place.at("pool"), arch.pooling, pooled),
            mean: plan.merge == MergeRule::Mean,
        };
        let Tail { seg_1, seg_bn_1, seg_2 } = Tail::new(&init, arch, pooled);
        let body = RevBody { stem, stages: stages.collect(), summary };
        Self { body, seg_1, seg_bn_1, seg_2, execution: Execution::default() }
    }

    /// How it trains; the default recomputes activations.
    pub fn with_execution(self, execution: Execution) -> Self {
        Self { execution, ..self }
    }
}

impl Net for RevNet {
    fn forward<E: Exec>(&self, e: &mut E, image: E::Value<4>) -> E::Value<2> {
        let pooled = e.body(&self.body, image, self.execution);
        e.stage(Stage::EMBEDDING);
        let pooled = e.reshape(pooled, &[Dim::Rest]);
        embedding(e, pooled, &self.seg_1, self.seg_bn_1.as_ref(), self.seg_2.as_ref())
    }
}
