//! The stem and the stages. Each takes or gives flat values, `[batch, channels * mels, frames]`,
//! in which the channels of one mel stand side by side.

use burn::module::Module;

use super::blocks::Block2d;
use super::context::TimeContext;
use super::options::{Generation, Plan, Shared};
use crate::nn::{BatchNorm, Conv2d, Conv2dConfig, Epsilon, Exec, Init, LayerNorm, Map, Mix};

/// `[batch, channels * mels, frames]` -> `[batch, channels, mels, frames]`.
pub(super) fn fold<E: Exec>(
    e: &mut E,
    x: E::Value<3>,
    [channels, mels]: [usize; 2],
) -> E::Value<4> {
    let x: E::Value<4> = e.reshape(x, [0, mels as i32, channels as i32, -1]);
    e.swap(x)
}

/// `[batch, channels, mels, frames]`, `volume` values of a frame -> `[batch, volume, frames]`.
fn flatten<E: Exec>(e: &mut E, x: E::Value<4>, volume: usize) -> E::Value<3> {
    let x = e.swap(x);
    e.reshape(x, [0, volume as i32, -1])
}

/// A convolution of 3x3 and the normalisation of its channels.
#[derive(Module, Debug)]
pub(super) struct Stem {
    unnamed: (Conv2d, LayerNorm),
    #[module(skip)]
    volume: usize,
}

impl Stem {
    /// The stem of a network with so many channels of so many mels.
    pub fn new(init: &Init, width: usize, mels: usize) -> Self {
        let conv = Conv2dConfig::new(1, width, 3).biased();
        let norm = LayerNorm::new(init.at(1), width);
        Self { unnamed: (conv.init(init.at(0)), norm), volume: width * mels }
    }

    /// `[batch, 1, mels, frames]` -> `[batch, width * mels, frames]`.
    pub fn forward<E: Exec>(&self, e: &mut E, image: E::Value<4>) -> E::Value<3> {
        let (conv, norm) = &self.unnamed;
        let x = e.conv2d(conv, image);
        let x = e.layer_norm(norm, x);
        flatten(e, x, self.volume)
    }
}

/// The weighted sum where WeSpeaker has a module for it.
#[derive(Module, Debug)]
pub(super) struct Weights {
    /// The sum.
    pub w: Mix,
}

impl Weights {
    /// The sum of so many values.
    pub fn new(init: &Init, values: usize, volume: usize) -> Self {
        Self { w: Mix::new(init.at("w"), values, volume) }
    }
}

/// A stage. Its parts have the numbers that they have in WeSpeaker's `Sequential`, in which
/// modules without tensors leave gaps.
#[derive(Module, Debug)]
pub(super) struct StageNet {
    unnamed: Vec<Option<Part>>,
    /// Channels and mels that the input is folded into.
    #[module(skip)]
    input: [usize; 2],
    /// How often every frame stands behind the stage, which takes so many at a time.
    #[module(skip)]
    repeats: usize,
}

#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a network has some tens of them")]
enum Part {
    Weights(Weights),
    Layer(Layer),
    Context(TimeContext),
}

/// A part that sees an image.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a network has some tens of them")]
enum Layer {
    Convolution(Conv2d),
    Block(Block2d),
    Narrow(Narrow),
}

impl StageNet {
    /// All stages. Each reads the outputs of the stem and of those before it.
    pub fn all(init: &Init, shared: &Shared, plans: &[Plan]) -> Vec<Self> {
        let at = |i: usize| init.at(format!("stage{i}"));
        plans.iter().enumerate().map(|(i, plan)| Self::new(&at(i), shared, plan, i + 1)).collect()
    }

    /// A stage that reads the sum of so many values; ReDimNet2's weigh them themselves.
    fn new(init: &Init, shared: &Shared, plan: &Plan, values: usize) -> Self {
        let mut parts = Vec::new();
        let groups = match shared.generation {
            Generation::First => 1,
            Generation::Second { compressed, .. } => {
                parts.push(Some(Part::Weights(Weights::new(&init.at(0), values, plan.volume()))));
                // Folds.
                parts.push(None);
                if compressed { common_divisor(plan.input[0], plan.inner) } else { 1 }
            }
        };
        let conv = Conv2dConfig::new(plan.input[0], plan.inner, 1).kernel(plan.stride);
        let conv = conv.stride(plan.stride).grouped(groups).biased().unpadded();
        let conv = conv.init(init.at(parts.len()));
        parts.push(Some(Part::Layer(Layer::Convolution(conv))));
        for _ in 0..plan.stage.blocks {
            let block = Block2d::new(&init.at(parts.len()), shared, plan);
            parts.push(Some(Part::Layer(Layer::Block(block))));
        }
        if plan.narrows() {
            let narrow = Narrow::new(&init.at(parts.len()), shared, plan);
            parts.push(Some(Part::Layer(Layer::Narrow(narrow))));
        }
        // Flattens.
        parts.push(None);
        if let Some(hidden) = plan.hidden {
            let init = init.at(parts.len());
            let context = TimeContext::new(&init, shared.context, plan.volume(), hidden);
            parts.push(Some(Part::Context(context)));
        }
        Self { unnamed: parts, input: plan.input, repeats: plan.stride[1] }
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        self.unnamed.iter().flatten()
    }

    /// The stage's own weights of its inputs.
    pub fn weights(&self) -> Option<&Mix> {
        self.parts().find_map(|part| match part {
            Part::Weights(weights) => Some(&weights.w),
            Part::Layer(_) | Part::Context(_) => None,
        })
    }

    /// The sum of earlier values, `[batch, channels * mels, frames]` -> the same shape.
    pub fn forward<E: Exec>(&self, e: &mut E, x: E::Value<3>) -> E::Value<3> {
        let [channels, mels] = self.input;
        let mut image = fold(e, x, self.input);
        for part in self.parts() {
            match part {
                Part::Layer(layer) => image = layer.forward(e, image),
                Part::Weights(_) | Part::Context(_) => {}
            }
        }
        let mut x = flatten(e, image, channels * mels);
        for part in self.parts() {
            match part {
                Part::Context(context) => x = context.forward(e, x),
                Part::Weights(_) | Part::Layer(_) => {}
            }
        }
        if self.repeats == 1 { x } else { e.repeat(x, self.repeats) }
    }
}

impl Layer {
    fn forward<E: Exec>(&self, e: &mut E, x: E::Value<4>) -> E::Value<4> {
        match self {
            Self::Convolution(conv) => e.conv2d(conv, x),
            Self::Block(block) => block.forward(e, x),
            Self::Narrow(narrow) => narrow.forward(e, x),
        }
    }
}

/// From the blocks' channels to the stage's. ReDimNet has a grouped convolution of 3x3, BatchNorm,
/// GELU and a 1x1 convolution; ReDimNet2 has a 1x1 convolution and BatchNorm.
#[derive(Module, Debug)]
struct Narrow {
    unnamed: (Conv2d, BatchNorm, Gelu, Option<Conv2d>),
}

/// Takes a number in the names of its neighbours.
#[derive(Module, Debug)]
struct Gelu;

impl Narrow {
    fn new(init: &Init, shared: &Shared, plan: &Plan) -> Self {
        let (input, output) = (plan.inner, plan.output[0]);
        let pointwise = |input| Conv2dConfig::new(input, output, 1).biased();
        let (first, last) = match shared.generation {
            Generation::First => {
                let conv = Conv2dConfig::new(input, output, 3).grouped(shared.groups(output));
                (conv.biased(), Some(pointwise(output)))
            }
            Generation::Second { .. } => (pointwise(input), None),
        };
        let norm = BatchNorm::new(init.at(1), output).epsilon(Epsilon::E6);
        Self {
            unnamed: (first.init(init.at(0)), norm, Gelu, last.map(|conv| conv.init(init.at(3)))),
        }
    }

    fn forward<E: Exec>(&self, e: &mut E, x: E::Value<4>) -> E::Value<4> {
        let (first, norm, Gelu, last) = &self.unnamed;
        let x = e.conv_norm(first, norm, x);
        let Some(last) = last else { return x };
        let x = e.map(Map::Gelu, x);
        e.conv2d(last, x)
    }
}

fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_divisor(b, a % b) }
}
