//! Layers with their weights, made once and shared by the programs of all lengths.

mod recipe;

use std::collections::HashMap;
use std::sync::Arc;

use super::kernels::ops::{self, Depthwise, Linear};
use super::kernels::{Dense, Expansion, Geometry, IntDense, Level};
use super::lower::Laid;
use super::plane::{Form, Plane};
use super::program::image;
use super::weights::{Tensor, Tensors};
use crate::error::{Error, Result};
use crate::nn::Conv2dConfig;
use crate::nn::graph::Graph;
use recipe::Key;
pub(super) use recipe::{Kind, Norm, Numbers, Recipe};

/// A layer, ready to run.
#[expect(clippy::enum_variant_names, reason = "layer normalisation has no other name")]
pub(super) enum Layer {
    /// Convolutions in floats, each of a part of the outputs.
    Dense {
        /// One for each group; if there is one group, any number, which read the same.
        parts: Vec<Dense>,
        /// Groups of input channels.
        groups: usize,
    },
    /// A convolution in integers for each group.
    Integers(Vec<IntDense>),
    /// One filter a channel, or several.
    Depthwise(Depthwise),
    /// Matrix times vector.
    Linear(Linear),
    /// A factor and a summand for each channel.
    Affine { scale: Vec<f32>, shift: Vec<f32> },
    /// Layer normalisation.
    LayerNorm { weight: Vec<f32>, bias: Vec<f32> },
    /// `[inputs, channels]`: the weights of a sum.
    Mix(Vec<f32>),
}

impl Layer {
    /// Bytes of its weights.
    pub fn bytes(&self) -> usize {
        let of = |values: &[f32]| size_of_val(values);
        match self {
            Self::Dense { parts, .. } => parts.iter().map(Dense::bytes).sum(),
            Self::Integers(groups) => groups.iter().map(IntDense::bytes).sum(),
            Self::Depthwise(layer) => layer.bytes(),
            Self::Linear(layer) => layer.bytes(),
            Self::Affine { scale: a, shift: b } | Self::LayerNorm { weight: a, bias: b } => {
                of(a) + of(b)
            }
            Self::Mix(weights) => of(weights),
        }
    }

    /// Values of scratch that it wants to make `y` of `x`.
    pub fn scratch(&self, x: &Laid, y: &Laid) -> usize {
        let pad = x.plane.pad();
        match self {
            Self::Dense { parts, groups } => {
                let size = part_of(&x.size, *groups);
                let most = parts.iter().map(|part| part.scratch(size, pad)).max().unwrap_or(0);
                most + match y.form {
                    Form::Floats => 0,
                    Form::Bytes(_) => Plane::of(&part_of(&y.size, parts.len()), pad).buffer(),
                }
            }
            Self::Integers(groups) => {
                let size = part_of(&x.size, groups.len());
                groups.iter().map(|group| group.scratch(size, pad)).max().unwrap_or(0)
            }
            _ => 0,
        }
    }
}

/// The two layers of an expansion, with ReLU behind each or not.
///
/// # Panics
/// If they are others.
pub(super) fn expansion_of(layers: &[Arc<Layer>; 2], relu: [bool; 2]) -> Expansion<'_> {
    match [&*layers[0], &*layers[1]] {
        [Layer::Dense { parts, .. }, Layer::Depthwise(depthwise)] => {
            Expansion { dense: &parts[0], relu: relu[0], depthwise }
        }
        _ => unreachable!("an expansion is a convolution and a depthwise one"),
    }
}

/// The size of one of so many equal parts of a value's channels, as that of an image.
pub(super) fn part_of(size: &[usize], parts: usize) -> [usize; 3] {
    let [channels, mels, frames] = image(size);
    [channels / parts, mels, frames]
}

/// The layers of a model.
pub(super) struct Layers(HashMap<Key, Arc<Layer>>);

impl Recipe {
    /// The layer of these tensors.
    fn make(&self, maker: &mut Maker) -> Result<Layer> {
        let level = maker.level;
        Ok(match self.kind {
            Kind::Dense(config) => {
                let groups = config.groups;
                let count = if let Numbers::Parts(parts) = self.numbers { parts } else { groups };
                let weights = maker.weight(self)?.weights(count);
                let [scale, shift] = maker.scale_and_shift(self, config.output)?;
                let each = config.output / count;
                let geometry = Geometry { output: each, ..geometry(&config) };
                let rows = |values: &[f32]| -> Vec<Vec<f32>> {
                    values.chunks_exact(each).map(<[f32]>::to_vec).collect()
                };
                let parts = weights.into_iter().zip(rows(&scale)).zip(rows(&shift));
                match self.numbers {
                    Numbers::Bytes(input) => {
                        let dense = |((weights, scale), shift)| {
                            IntDense::new(weights, scale, shift, geometry, input, level)
                        };
                        Layer::Integers(parts.map(dense).collect())
                    }
                    Numbers::Floats | Numbers::Parts(_) => {
                        let dense = |((weights, scale), shift)| {
                            Dense::new(weights, scale, shift, geometry, level)
                        };
                        Layer::Dense { parts: parts.map(dense).collect(), groups }
                    }
                }
            }
            Kind::Depthwise(config) => {
                let weights = maker.weight(self)?.floats();
                let [scale, shift] = maker.scale_and_shift(self, config.output)?;
                let (groups, geometry) = (config.groups, geometry(&config));
                Layer::Depthwise(Depthwise::new(weights, scale, shift, groups, geometry, level))
            }
            Kind::Linear { input, output } => {
                let weights = maker.weight(self)?.weights(1).remove(0);
                let [scale, shift] = maker.scale_and_shift(self, output)?;
                Layer::Linear(Linear::new(weights, scale, shift, input, output, level))
            }
            Kind::Affine => {
                let [scale, shift] = maker.scale_and_shift(self, maker.channels(self))?;
                Layer::Affine { scale, shift }
            }
            Kind::LayerNorm => {
                let weight = maker.weight(self)?.floats();
                Layer::LayerNorm { weight, bias: maker.floats(self.tensors[1])? }
            }
            Kind::Mix(inputs) => {
                Layer::Mix(ops::mix_weights(&maker.weight(self)?.floats(), inputs))
            }
        })
    }
}

fn geometry(config: &Conv2dConfig) -> Geometry {
    let Conv2dConfig { input, output, kernel, stride, padding, dilation, groups, .. } = *config;
    let (input, output, dilation) = (input / groups, output / groups, [dilation; 2]);
    Geometry { input, output, kernel, stride, dilation, padding }
}

/// What makes layers.
struct Maker<'a> {
    graph: &'a Graph,
    tensors: &'a mut Tensors,
    level: Level,
}

impl Maker<'_> {
    /// A layer's first tensor.
    fn weight(&mut self, recipe: &Recipe) -> Result<Tensor> {
        self.tensors.take(&self.graph.tensors[recipe.tensors[0]].name)
    }

    fn floats(&mut self, place: usize) -> Result<Vec<f32>> {
        Ok(self.tensors.take(&self.graph.tensors[place].name)?.floats())
    }

    /// Channels of the BatchNorm layer.
    fn channels(&self, recipe: &Recipe) -> usize {
        let last = recipe.norm.as_ref().and_then(|norm| norm.tensors.last());
        last.map_or(0, |&place| self.graph.tensors[place].elements())
    }

    /// A factor and a summand for each of so many outputs: the bias, and the BatchNorm layer.
    fn scale_and_shift(&mut self, recipe: &Recipe, outputs: usize) -> Result<[Vec<f32>; 2]> {
        let bias = match recipe.tensors.get(1) {
            Some(&place) => self.floats(place)?,
            None => vec![0.0; outputs],
        };
        let Some(norm) = &recipe.norm else { return Ok([vec![1.0; outputs], bias]) };
        let (affine, statistics) = norm.tensors.split_at(norm.tensors.len().saturating_sub(2));
        let (weight, summand) = match *affine {
            [weight, bias] => (self.floats(weight)?, self.floats(bias)?),
            _ => (vec![1.0; outputs], vec![0.0; outputs]),
        };
        // Packed models have statistics that change nothing, and leave them out.
        let mut statistic = |i: usize, otherwise: f32| {
            let found = self.tensors.take_if_there(&self.graph.tensors[statistics[i]].name);
            found.map_or_else(|| vec![otherwise; outputs], Tensor::floats)
        };
        let (mean, variance) = (statistic(0, 0.0), statistic(1, norm.epsilon.identity_variance()));
        let epsilon = norm.epsilon.value();
        // In f64, so that folding adds no rounding of its own.
        let row = |i: usize| {
            let [weight, summand, mean, variance, bias] =
                [&weight, &summand, &mean, &variance, &bias].map(|values| f64::from(values[i]));
            let scale = weight / (variance + epsilon).sqrt();
            (scale as f32, (summand + (bias - mean) * scale) as f32)
        };
        let (scale, shift) = (0..outputs).map(row).unzip();
        Ok([scale, shift])
    }
}

impl Layers {
    /// The layers that a graph's recipes ask for.
    ///
    /// # Errors
    /// A tensor that the model lacks.
    pub fn make<'a>(
        graph: &Graph,
        recipes: impl Iterator<Item = &'a Recipe>,
        tensors: &mut Tensors,
        level: Level,
    ) -> Result<Self> {
        let mut maker = Maker { graph, tensors, level };
        let mut all = HashMap::new();
        for recipe in recipes {
            all.insert(recipe.key(), Arc::new(recipe.make(&mut maker)?));
        }
        Ok(Self(all))
    }

    /// The layer of a recipe.
    ///
    /// # Errors
    /// Another graph's recipe.
    pub fn get(&self, recipe: &Recipe) -> Result<Arc<Layer>> {
        self.0.get(&recipe.key()).cloned().ok_or_else(|| {
            Error::Invalid(format!("the network has another layer for this length: {recipe:?}"))
        })
    }

    /// Bytes of all weights.
    pub fn bytes(&self) -> usize {
        self.0.values().map(|layer| layer.bytes()).sum()
    }
}
