//! Steps and values.

use crate::infer::kernels::Scale;
use crate::infer::layer::Recipe;
use crate::infer::plan::Interval;
use crate::infer::plane::{Form, Plane};
use crate::nn::graph::Size;
use crate::nn::{Combine, Map, Squeeze, Statistics};

/// What a step does.
#[derive(Debug)]
pub(in crate::infer) enum Work<L> {
    /// A layer with weights. A second input of a convolution is added to its result.
    Layer {
        /// The layer.
        layer: L,
        /// Whether ReLU is last.
        relu: bool,
    },
    /// A convolution that sees a position alone, and the depthwise one of what it makes, which is
    /// never there as a whole.
    Expansion {
        /// The two layers.
        layers: [L; 2],
        /// Whether ReLU is behind each.
        relu: [bool; 2],
    },
    /// An operation without weights.
    Plain(Plain),
}

/// An operation without weights; see [`Op`](crate::nn::graph::Op).
#[derive(Debug, Clone)]
pub(in crate::infer) enum Plain {
    Map(Map),
    Combine(Combine),
    Concat(usize),
    Mean(Vec<usize>),
    Swap,
    Segments(usize),
    Spread,
    Scores(usize),
    Attend(usize),
    SimAm,
    /// Axes cut, or filled up with zeros.
    Fit,
    Repeat(usize),
    Reshape,
    Pool(Statistics),
    Squeeze(Squeeze),
    Snap(i32),
    Shift(i32),
    /// Floats as bytes of this scale.
    Quantize(Scale),
}

/// A step. Inputs and output are places in [`Lowered::values`].
#[derive(Debug)]
pub(in crate::infer) struct Step<L> {
    pub work: Work<L>,
    pub inputs: Vec<usize>,
    pub output: usize,
    /// Whether the output lies where an input lay: the second one of a convolution, the first one
    /// of everything else.
    pub in_place: bool,
}

/// Where a value lies.
#[derive(Debug, Clone)]
pub(in crate::infer) struct Laid {
    pub size: Size,
    pub plane: Plane,
    pub form: Form,
    /// The buffer.
    pub buffer: usize,
    /// Its first element, counted from the buffer's first element.
    pub offset: usize,
}

/// A graph as steps.
#[derive(Debug, Default)]
pub(in crate::infer) struct Lowered {
    /// In the order in which they run.
    pub steps: Vec<Step<Recipe>>,
    /// The first one is the graph's input.
    pub values: Vec<Laid>,
    /// Lifetimes of buffers.
    pub buffers: Vec<Interval>,
    /// The embedding's place in `values`.
    pub output: usize,
}

impl Lowered {
    /// What the steps' layers are made of.
    pub fn recipes(&self) -> impl Iterator<Item = &Recipe> {
        self.steps.iter().flat_map(|step| match &step.work {
            Work::Layer { layer, .. } => std::slice::from_ref(layer),
            Work::Expansion { layers, .. } => &layers[..],
            Work::Plain(_) => &[],
        })
    }
}
