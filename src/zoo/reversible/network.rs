//! The module.

use burn::module::Module;
use burn::tensor::Tensor;

use super::super::{Architecture, embedding, resnet::Block};
use super::plan::{Entry, Plan};
use super::{MergeRule, StreamRule};
use crate::backend::reversible::{Execution, Reversible, Step, run};
use crate::backend::{Layer, Streams};
use crate::nn::{
    BatchNorm, Conv2d, Conv2dConfig, ConvNorm, Coupling, Downsample, Halves, Init, Linear, Mode,
    Pooling, Squeeze,
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

impl Layer for Stem {
    fn forward(&self, mut x: Streams, mode: Mode) -> Streams {
        let x = pad(x.remove(0), self.multiple);
        let x = self.norm.rectified(self.conv.forward(x), mode);
        if self.duplicate { vec![x.clone(), x] } else { vec![x] }
    }
}

/// Zeros on the right of mels and frames, up to multiples.
fn pad(x: Tensor<4>, multiple: [usize; 2]) -> Tensor<4> {
    multiple.into_iter().enumerate().fold(x, |x, (i, multiple)| {
        let mut shape = x.dims();
        shape[2 + i] = shape[2 + i].next_multiple_of(multiple) - shape[2 + i];
        if shape[2 + i] == 0 {
            return x;
        }
        let zeros = Tensor::zeros(shape, (&x.device(), x.dtype()));
        Tensor::cat(vec![x, zeros], 2 + i)
    })
}

impl Layer for Transition {
    fn forward(&self, x: Streams, mode: Mode) -> Streams {
        match self {
            Self::PerStream(layers) => {
                layers.iter().zip(x).map(|(layer, x)| layer.forward(x, mode)).collect()
            }
            Self::Merged(layer) => x.into_iter().map(|x| layer.forward(x, mode)).collect(),
            Self::Block(block) => x.into_iter().map(|x| block.forward(x, mode)).collect(),
        }
    }
}

impl Layer for Summary {
    fn forward(&self, x: Streams, mode: Mode) -> Streams {
        let x = x.into_iter().reduce(|a, b| (a + b) * 0.5).expect("one or two streams");
        let mut x = self.norm.rectified(x, mode);
        if let Some(project) = &self.project {
            x = project.rectified(x, mode);
        }
        let pooled = self.pool.forward(x);
        let [batch, statistics] = pooled.dims();
        vec![pooled.reshape([batch, statistics, 1, 1])]
    }
}

impl Reversible for RevBody {
    fn steps(&self) -> Vec<Step<'_>> {
        let (split, join) = (Step::Rearrange(&Halves::Split), Step::Rearrange(&Halves::Join));
        let mut steps = vec![Step::Keep(&self.stem)];
        let mut two = self.stem.duplicate;
        if self.stem.split {
            steps.push(split);
            two = true;
        }
        for stage in &self.stages {
            if let Some(transition) = &stage.transition {
                let whole = transition.is_whole();
                if whole && two {
                    steps.push(join);
                }
                steps.push(Step::Keep(transition));
                if whole {
                    steps.push(split);
                }
                two = true;
            }
            steps.extend(stage.squeeze.as_ref().map(|s| Step::Rearrange(s)));
            steps.extend(stage.blocks.iter().map(Coupling::step));
        }
        if !self.summary.mean {
            steps.push(join);
        }
        steps.push(Step::Keep(&self.summary));
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
        let sketch = plan.sketch(arch, plan.multiple[1]);
        let pooled = sketch.tail.inputs[0][0];
        let place = body.at("summary");
        let project = Conv2dConfig::new(merged, plan.project, 1);
        let projected = plan.merge == MergeRule::Project;
        let summary = Summary {
            norm: BatchNorm::new(place.at("norm"), merged),
            project: projected.then(|| Downsample::build(place.at("project"), project)),
            pool: Pooling::new(place.at("pool"), arch.pooling, pooled / arch.pooling.statistics()),
            mean: plan.merge == MergeRule::Mean,
        };
        let (dim, two) = (arch.embedding_dim, arch.two_embedding_layers);
        Self {
            body: RevBody { stem, stages: stages.collect(), summary },
            seg_1: Linear::new(init.at("seg_1"), pooled, dim),
            seg_bn_1: two.then(|| BatchNorm::without_affine(init.at("seg_bn_1"), dim)),
            seg_2: two.then(|| Linear::new(init.at("seg_2"), dim, dim)),
            execution: Execution::default(),
        }
    }

    /// How it trains; the default recomputes activations.
    pub fn with_execution(self, execution: Execution) -> Self {
        Self { execution, ..self }
    }

    /// `[batch, 1, mels, frames]` -> `[batch, embedding_dim]`.
    pub fn forward(&self, x: Tensor<4>, mode: Mode) -> Tensor<2> {
        let pooled = run(&self.body, x, mode, self.execution);
        let [batch, statistics, ..] = pooled.dims();
        let pooled = pooled.reshape([batch, statistics]);
        embedding(pooled, &self.seg_1, self.seg_bn_1.as_ref().zip(self.seg_2.as_ref()), mode)
    }
}
