//! What layers are made of.

use crate::infer::kernels::Scale;
use crate::nn::graph::Graph;
use crate::nn::{Conv2dConfig, Epsilon};

/// What a layer is made of. Tensors are places in [`Graph::tensors`].
#[derive(Debug, Clone, PartialEq)]
pub(in crate::infer) struct Recipe {
    /// What it computes.
    pub kind: Kind,
    /// Its tensors, without those of the BatchNorm layer.
    pub tensors: Vec<usize>,
    /// The BatchNorm layer that is folded into it.
    pub norm: Option<Norm>,
    /// What it computes with.
    pub numbers: Numbers,
}

/// What a layer computes with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::infer) enum Numbers {
    /// Floats.
    Floats,
    /// Floats, so many equal parts of the outputs one after another: each becomes bytes before the
    /// next one is computed.
    Parts(usize),
    /// Integers: it reads bytes of this scale.
    Bytes(Scale),
}

/// A BatchNorm layer in evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::infer) struct Norm {
    /// Weight and bias, unless it has none, running mean and running variance.
    pub tensors: Vec<usize>,
    /// What is added to the variance.
    pub epsilon: Epsilon,
}

/// What a layer computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::infer) enum Kind {
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

/// The first tensor of a layer and of its BatchNorm layer. No two layers share a tensor.
pub(super) type Key = [Option<usize>; 2];

impl Recipe {
    /// What tells the layer from all others.
    pub(super) fn key(&self) -> Key {
        [self.tensors.first(), self.norm.as_ref().and_then(|norm| norm.tensors.first())]
            .map(|first| first.copied())
    }

    /// The name of its first tensor: of a convolution, its weights.
    pub fn name<'a>(&self, graph: &'a Graph) -> Option<&'a str> {
        self.tensors.first().map(|&place| graph.tensors[place].name.as_str())
    }

    /// Whether it can compute in integers. Words have bytes of one group's channels.
    pub fn takes_bytes(&self) -> bool {
        let Kind::Dense(config) = self.kind else { return false };
        [config.input, config.output].iter().all(|all| (all / config.groups).is_multiple_of(4))
    }

    /// The parts in which a convolution in floats can make bytes: where possible a quarter, which
    /// takes as much memory as all the bytes. Nothing if that would be no gain: with a stride over
    /// frames, every part would split up the input by itself.
    pub fn parts(&self) -> Option<usize> {
        let Kind::Dense(config) = self.kind else { return None };
        let parts = [4, 2, 1].into_iter().find(|parts| config.output.is_multiple_of(4 * parts))?;
        (config.groups == 1 && config.stride[1] == 1).then_some(parts)
    }
}
