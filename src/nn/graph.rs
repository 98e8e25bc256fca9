//! A network as data: which operation makes which value of what size, with the names of its
//! tensors. [`Trace`](super::Trace) records it. Counting, importing, exporting and running without
//! Burn read it.
//!
//! Sizes are those of one utterance, without the batch. [`Graph::resized`] gives those of another
//! length, and [`Stored`] writes a graph into a model file, so that nothing else needs the network.

mod cuts;
mod resize;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::HashMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{
    Combine, Conv1dConfig, Conv2dConfig, Epsilon, Halves, Map, Squeeze, Stage, Statistics,
};
pub use cuts::Span;
pub use wire::Stored;

/// A value of a [`Graph`]: 0 is the input, `i + 1` what node `i` makes.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Value(pub usize);

/// Sizes of the axes behind the batch.
pub type Size = Vec<usize>;

/// A tensor of the model file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// The name in the file.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Whether training changes it by gradients. Running statistics are not trained.
    pub trained: bool,
}

impl Info {
    /// Values of the tensor.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// What an operation does. See [`Exec`](super::Exec) for formulas and axes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Convolution over mels and frames; tensors: weight, and bias if there is one.
    Conv2d(Conv2dConfig),
    /// Convolution over frames; tensors: weight, and bias if there is one.
    Conv1d(Conv1dConfig),
    /// Batch normalisation over channels. Tensors: weight and bias, unless the layer has none, then
    /// running mean and running variance. Evaluation computes `x * scale + shift` with
    /// `scale = weight / sqrt(variance + epsilon)` and `shift = bias - mean * scale`.
    Norm {
        /// ReLU follows.
        relu: bool,
        /// What is added to the variance.
        epsilon: Epsilon,
    },
    /// Layer normalisation over channels, epsilon 1e-6; tensors: weight, bias.
    LayerNorm,
    /// A function of one value.
    Map(Map),
    /// A function of two values.
    Combine(Combine),
    /// Values side by side along an axis, counted behind the batch.
    Concat(usize),
    /// These channels.
    Channels(Range<usize>),
    /// The mean over axes, counted behind the batch. They stay with size 1.
    Mean(Vec<usize>),
    /// Channels and mels change places.
    Swap,
    /// Every frame becomes the mean of its segment of so many frames.
    Segments(usize),
    /// One frame repeated over the frames of the second input.
    Spread,
    /// Logits of attention with so many heads: of the queries and the keys, `[channels, frames]`
    /// each, `q^T k / sqrt(channels / heads)` of every head, `[heads, frames, frames]`.
    Scores(usize),
    /// What attention with so many heads gives: the values, which are the second input, weighted by
    /// the first, `[heads, frames, frames]`.
    Attend(usize),
    /// The sum of the inputs, weighted by a softmax over the tensor's axis 1; tensor: `[1, inputs,
    /// channels, 1]`. An input that is alone is the sum.
    Mix,
    /// SimAM's gate.
    SimAm,
    /// Frames cut down to a multiple.
    Trim(usize),
    /// Every frame so many times.
    Repeat(usize),
    /// The same values as a stream of their own.
    Copy,
    /// Zeros on the right of mels and frames, up to multiples.
    Pad([usize; 2]),
    /// The same values in another shape, in which 0 keeps the batch and -1 is what is left.
    Reshape(Vec<i32>),
    /// Statistics over frames of the first input, weighted by the second if there is one.
    Pool(Statistics),
    /// `x W^T + b`, of every frame if there are frames; tensors: weight, bias.
    Linear,
    /// The lower (0) or upper (1) half of the channels.
    Half(usize),
    /// Mels and frames into channels.
    Squeeze(Squeeze),
    /// The nearest multiples of 2 to the power of minus so many, ties to even.
    Snap(i32),
    /// The first input plus the nearest multiples, as [`Op::Snap`] has them, to the second.
    Shift(i32),
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it does.
    pub op: Op,
    /// What it reads.
    pub inputs: Vec<Value>,
    /// Its tensors, as places in [`Graph::tensors`].
    pub tensors: Vec<usize>,
    /// The size of what it makes.
    pub size: Size,
    /// The part of the network it belongs to.
    pub stage: Stage,
}

/// Consecutive nodes as a function.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// What it reads.
    pub inputs: Vec<Value>,
    /// Its nodes.
    pub nodes: Range<usize>,
    /// What it makes.
    pub outputs: Vec<Value>,
}

/// How training walks through the nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Additive coupling: `y1 = x1 + F(x2)`, `y2 = x2 + G(y1)`.
    Couple(Function, Function),
    /// Mels and frames of every stream into channels.
    Squeeze,
    /// One tensor as two streams, or two as one.
    Halves(Halves),
    /// Any function. A network without reversible type is a single one, up to its embedding.
    Keep(Function),
}

impl Step {
    /// Its functions, in forward order.
    pub fn functions(&self) -> Vec<&Function> {
        match self {
            Self::Couple(f, g) => vec![f, g],
            Self::Squeeze | Self::Halves(_) => vec![],
            Self::Keep(f) => vec![f],
        }
    }
}

/// A network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    /// Every tensor of the model file, in the module's order.
    pub tensors: Vec<Info>,
    /// Size of the input, `[1, mels, frames]`.
    pub input: Size,
    /// The operations, in forward order.
    pub nodes: Vec<Node>,
    /// The embedding.
    pub output: Value,
    /// The steps up to the pooled statistics, with the names that reports give them.
    pub steps: Vec<(String, Step)>,
    /// From pooled statistics to the embedding.
    pub tail: Function,
}

impl Graph {
    /// The size of a value.
    pub fn size(&self, value: Value) -> &Size {
        match value.0.checked_sub(1) {
            None => &self.input,
            Some(node) => &self.nodes[node].size,
        }
    }

    /// Whether a value was put on the grid of a reversible body just now.
    pub fn is_snapped(&self, value: Value) -> bool {
        value.0 > 0 && matches!(self.nodes[value.0 - 1].op, Op::Snap(_))
    }

    /// Elements of a value.
    pub fn elements(&self, value: Value) -> usize {
        self.size(value).iter().product()
    }

    /// Every tensor's name and shape, in the module's order.
    pub fn names_and_shapes(&self) -> Vec<(String, Vec<usize>)> {
        self.tensors.iter().map(|t| (t.name.clone(), t.shape.clone())).collect()
    }

    /// What the node's layer is called in the model file: the names of its tensors without their
    /// last part. Nothing for an operation without tensors.
    pub fn layer(&self, node: &Node) -> Option<&str> {
        let name = &self.tensors[*node.tensors.first()?].name;
        Some(name.rsplit_once('.').map_or(name, |(layer, _)| layer))
    }

    /// What each BatchNorm layer adds to its variances, by the layer's name.
    pub fn epsilons(&self) -> HashMap<&str, Epsilon> {
        let mut all = HashMap::new();
        for node in &self.nodes {
            if let (Op::Norm { epsilon, .. }, Some(layer)) = (&node.op, self.layer(node)) {
                all.insert(layer, *epsilon);
            }
        }
        all
    }

    /// Trained values of a node's layer.
    pub fn node_parameters(&self, node: &Node) -> usize {
        let tensors = node.tensors.iter().map(|&i| &self.tensors[i]);
        tensors.filter(|t| t.trained).map(Info::elements).sum()
    }

    /// Trained values of the network.
    pub fn parameters(&self) -> usize {
        self.tensors.iter().filter(|t| t.trained).map(Info::elements).sum()
    }

    /// Multiply-accumulate operations of a node, for one utterance.
    pub fn node_macs(&self, node: &Node) -> usize {
        let weight = || self.tensors[node.tensors[0]].elements();
        match node.op {
            Op::Conv2d(_) | Op::Conv1d(_) => weight() * node.size[1..].iter().product::<usize>(),
            Op::Linear => weight() * node.size[1..].iter().product::<usize>(),
            // Queries and keys, or weights and values: frames times frames of all channels.
            Op::Scores(_) => self.elements(node.inputs[0]) * node.size[1],
            Op::Attend(_) => self.elements(node.inputs[1]) * node.size[1],
            Op::Norm { .. } | Op::Map(_) | Op::Combine(_) | Op::Snap(_) | Op::Shift(_) => 0,
            Op::Concat(_) | Op::Copy | Op::Pad(_) | Op::Reshape(_) => 0,
            Op::Half(_) | Op::Squeeze(_) | Op::Pool(_) => 0,
            Op::LayerNorm | Op::Channels(_) | Op::Mean(_) | Op::Swap | Op::Segments(_) => 0,
            Op::Spread | Op::Mix | Op::SimAm | Op::Trim(_) | Op::Repeat(_) => 0,
        }
    }

    /// Multiply-accumulate operations for one utterance.
    pub fn macs(&self) -> usize {
        self.nodes.iter().map(|node| self.node_macs(node)).sum()
    }
}
