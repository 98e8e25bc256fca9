//! Layers with their weights, made once and shared by the programs of all lengths.

use std::collections::HashMap;
use std::sync::Arc;

use super::kernels::ops::{self, Depthwise, Linear};
use super::kernels::{Dense, Geometry, Level};
use super::weights::{Tensor, Tensors};
use crate::error::{Error, Result};
use crate::nn::graph::Graph;
use crate::nn::{Conv2dConfig, Epsilon};

/// What a layer is made of. Tensors are places in [`Graph::tensors`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recipe {
    /// What it computes.
    pub kind: Kind,
    /// Its tensors, without those of the BatchNorm layer.
    pub tensors: Vec<usize>,
    /// The BatchNorm layer that is folded into it.
    pub norm: Option<Norm>,
}

/// A BatchNorm layer in evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Norm {
    /// Weight and bias, unless it has none, running mean and running variance.
    pub tensors: Vec<usize>,
    /// What is added to the variance.
    pub epsilon: Epsilon,
}

/// What a layer computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A convolution, of any groups.
    Dense(Conv2dConfig),
    /// A convolution whose groups have one input channel each.
    Depthwise(Conv2dConfig),
    /// Matrix times vector.
    Linear {
        /// Values of the vector.
        input: usize,
        /// Values of the result.
        output: usize,
    },
    /// The folded BatchNorm layer alone.
    Affine,
    /// Layer normalisation over channels.
    LayerNorm,
    /// The weighted sum of so many values.
    Mix(usize),
}

impl Kind {
    /// A convolution. One over frames is given as one over images of one mel.
    pub fn convolution(config: Conv2dConfig) -> Self {
        match config.groups > 1 && config.groups == config.input {
            true => Self::Depthwise(config),
            false => Self::Dense(config),
        }
    }
}

/// A layer, ready to run.
#[expect(clippy::enum_variant_names, reason = "layer normalisation has no other name")]
pub(super) enum Layer {
    /// One for each group.
    Dense(Vec<Dense>),
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
            Self::Dense(groups) => groups.iter().map(Dense::bytes).sum(),
            Self::Depthwise(layer) => layer.bytes(),
            Self::Linear(layer) => layer.bytes(),
            Self::Affine { scale: a, shift: b } | Self::LayerNorm { weight: a, bias: b } => {
                of(a) + of(b)
            }
            Self::Mix(weights) => of(weights),
        }
    }

    /// Values of scratch that it wants for an input of `[channels, mels, frames]` with so many
    /// zeros behind each row.
    pub fn scratch(&self, [channels, mels, frames]: [usize; 3], pad: usize) -> usize {
        let Self::Dense(groups) = self else { return 0 };
        let size = [channels / groups.len(), mels, frames];
        groups.iter().map(|group| group.scratch(size, pad)).max().unwrap_or(0)
    }
}

/// The layers of a model.
pub(super) struct Layers(HashMap<Key, Arc<Layer>>);

/// The first tensor of a layer and of its BatchNorm layer. No two layers share a tensor.
type Key = [Option<usize>; 2];

impl Recipe {
    fn key(&self) -> Key {
        [self.tensors.first(), self.norm.as_ref().and_then(|norm| norm.tensors.first())]
            .map(|first| first.copied())
    }

    /// The layer of these tensors.
    fn make(&self, maker: &mut Maker) -> Result<Layer> {
        let level = maker.level;
        Ok(match self.kind {
            Kind::Dense(config) => {
                let parts = maker.weight(self)?.weights(config.groups);
                let [scale, shift] = maker.scale_and_shift(self, config.output)?;
                let (geometry, each) = (geometry(&config), config.output / config.groups);
                let rows = scale.chunks_exact(each).zip(shift.chunks_exact(each));
                let dense = |(weights, (scale, shift)): (_, (&[f32], &[f32]))| {
                    Dense::new(weights, scale.to_vec(), shift.to_vec(), geometry, level)
                };
                Layer::Dense(parts.into_iter().zip(rows).map(dense).collect())
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
