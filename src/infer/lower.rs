//! A graph as steps: what runs together, what is another view of values that are there already, and
//! what takes the place of what it reads.

mod groups;
mod planes;
mod reuse;

use super::layer::{Kind, Norm, Recipe};
use super::plan::Interval;
use super::plane::Plane;
use crate::error::{Error, Result};
use crate::nn::graph::{Graph, Op, Size, Value};
use crate::nn::{Combine, Conv1dConfig, Map, Squeeze, Statistics};
use groups::{Group, Role};

/// Most values that a step reads.
pub(super) const INPUTS: usize = 32;

/// What a step does.
#[derive(Debug)]
pub(super) enum Work<L> {
    /// A layer with weights. A second input of a convolution is added to its result.
    Layer {
        /// The layer.
        layer: L,
        /// Whether ReLU is last.
        relu: bool,
    },
    /// An operation without weights.
    Plain(Plain),
}

/// An operation without weights; see [`Op`].
#[derive(Debug, Clone)]
pub(super) enum Plain {
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
}

/// A step. Inputs and output are places in [`Lowered::values`].
#[derive(Debug)]
pub(super) struct Step<L> {
    pub work: Work<L>,
    pub inputs: Vec<usize>,
    pub output: usize,
    /// Whether the output lies where an input lay: the second one of a convolution, the first one
    /// of everything else.
    pub in_place: bool,
}

/// Where a value lies.
#[derive(Debug, Clone)]
pub(super) struct Laid {
    pub size: Size,
    pub plane: Plane,
    /// The buffer.
    pub buffer: usize,
    /// Its first element, counted from the buffer's first element.
    pub offset: usize,
}

/// A graph as steps.
#[derive(Debug, Default)]
pub(super) struct Lowered {
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
        self.steps.iter().filter_map(|step| match &step.work {
            Work::Layer { layer, .. } => Some(layer),
            Work::Plain(_) => None,
        })
    }
}

/// The steps of a graph.
///
/// # Errors
/// An operation that the runtime lacks.
pub(super) fn lower(graph: &Graph) -> Result<Lowered> {
    let (pad, compact) = (planes::pad(graph)?, planes::compact(graph));
    let roles = groups::roles(graph, &compact);
    let mut lowering = Lowering { graph, pad, compact, made: Lowered::default(), of: Vec::new() };
    let input = lowering.value(&graph.input, lowering.compact[0]);
    lowering.of.push(Some(input));
    for (n, role) in roles.iter().enumerate() {
        let made = match role {
            Role::Inside => None,
            Role::Alone => Some(lowering.plain(n)?),
            Role::Last(group) => Some(lowering.layer(*group)?),
        };
        lowering.of.push(made);
    }
    lowering.made.output = lowering.at(graph.output);
    let mut lowered = lowering.made;
    reuse::reuse(&mut lowered);
    Ok(lowered)
}

fn lacks(op: &Op) -> Error {
    Error::Invalid(format!("the runtime without Burn has no {op:?}"))
}

struct Lowering<'a> {
    graph: &'a Graph,
    /// Zeros behind the rows of values that are not compact.
    pad: usize,
    compact: Vec<bool>,
    made: Lowered,
    /// Where each value of the graph lies; nowhere if it is never there, within a step.
    of: Vec<Option<usize>>,
}

impl Lowering<'_> {
    fn at(&self, value: Value) -> usize {
        self.of[value.0].expect("a step's inner values have no other reader")
    }

    fn laid(&self, value: usize) -> &Laid {
        &self.made.values[value]
    }

    /// A value in a buffer of its own, which the next step writes.
    fn value(&mut self, size: &[usize], compact: bool) -> usize {
        let plane = Plane::of(size, if compact { 0 } else { self.pad });
        let (buffer, now) = (self.made.buffers.len(), self.made.steps.len());
        self.made.buffers.push(Interval { first: now, last: now, len: plane.buffer() });
        self.made.values.push(Laid { size: size.to_vec(), plane, buffer, offset: 0 });
        self.made.values.len() - 1
    }

    /// Another view of what lies in a buffer, `offset` elements behind the first of `x`.
    fn view(&mut self, x: usize, offset: usize, size: &[usize]) -> usize {
        let Laid { plane, buffer, offset: start, .. } = *self.laid(x);
        let (size, plane) = (size.to_vec(), Plane::of(size, plane.pad()));
        self.made.values.push(Laid { size, plane, buffer, offset: start + offset });
        self.made.values.len() - 1
    }

    /// Adds a step that makes a value of this size.
    fn step(
        &mut self,
        work: Work<Recipe>,
        inputs: Vec<usize>,
        size: &[usize],
        compact: bool,
    ) -> usize {
        let output = self.value(size, compact);
        self.made.steps.push(Step { work, inputs, output, in_place: false });
        output
    }

    /// The same values with zeros behind each row.
    fn padded(&mut self, x: usize) -> usize {
        let Laid { size, plane, .. } = self.laid(x).clone();
        if plane.pad() > 0 {
            return x;
        }
        self.step(Work::Plain(Plain::Reshape), vec![x], &size, false)
    }

    /// A layer with what runs in its step.
    fn layer(&mut self, group: Group) -> Result<usize> {
        let (graph, Group { layer, norm, add, relu }) = (self.graph, group);
        let node = &graph.nodes[layer];
        let [x] = node.inputs[..] else { return Err(lacks(&node.op)) };
        let (input, output) = (graph.size(x)[0], node.size[0]);
        let is_vector = planes::is_vector(graph, &self.compact, node);
        let kind = match &node.op {
            Op::Norm { .. } => Kind::Affine,
            _ if is_vector => Kind::Linear { input, output },
            Op::Conv2d(config) => Kind::convolution(*config),
            Op::Conv1d(config) => Kind::convolution(config.flat()),
            Op::Linear => Kind::convolution(Conv1dConfig::new(input, output, 1).flat()),
            other => return Err(lacks(other)),
        };
        let tensors = if kind == Kind::Affine { vec![] } else { node.tensors.clone() };
        let norm = norm.and_then(|n| match graph.nodes[n].op {
            Op::Norm { epsilon, .. } => {
                Some(Norm { tensors: graph.nodes[n].tensors.clone(), epsilon })
            }
            _ => None,
        });
        let mut x = self.at(x);
        if let Kind::Dense(_) | Kind::Depthwise(_) = kind {
            x = self.padded(x);
        }
        let inputs = std::iter::once(x).chain(add.map(|other| self.at(other))).collect();
        let work = Work::Layer { layer: Recipe { kind, tensors, norm }, relu };
        Ok(self.step(work, inputs, &node.size, self.compact[layer + 1]))
    }

    /// A node that is a step of its own, or a view.
    fn plain(&mut self, n: usize) -> Result<usize> {
        let graph = self.graph;
        let node = &graph.nodes[n];
        let inputs: Vec<usize> = node.inputs.iter().map(|&value| self.at(value)).collect();
        if inputs.is_empty() || inputs.len() > INPUTS {
            return Err(lacks(&node.op));
        }
        let (x, compact) = (inputs[0], self.compact[n + 1]);
        let same = self.laid(x).size == node.size;
        let plain = match &node.op {
            Op::Copy | Op::Trim(_) | Op::Repeat(_) if same => return Ok(x),
            Op::Mix if inputs.len() == 1 => return Ok(x),
            Op::Channels(range) => return Ok(self.channels(x, range.start, &node.size)),
            Op::Half(which) => return Ok(self.channels(x, which * node.size[0], &node.size)),
            Op::Reshape(_) if self.is_view(x, &node.size, compact) => {
                return Ok(self.view(x, 0, &node.size));
            }
            Op::Mix | Op::LayerNorm => {
                let is_mix = node.op == Op::Mix;
                let kind = if is_mix { Kind::Mix(inputs.len()) } else { Kind::LayerNorm };
                let layer = Recipe { kind, tensors: node.tensors.clone(), norm: None };
                let work = Work::Layer { layer, relu: false };
                return Ok(self.step(work, inputs, &node.size, compact));
            }
            Op::Map(f) => Plain::Map(*f),
            Op::Combine(f) => Plain::Combine(*f),
            Op::Concat(axis) => Plain::Concat(*axis),
            Op::Mean(axes) => Plain::Mean(axes.clone()),
            Op::Swap => Plain::Swap,
            Op::Segments(frames) => Plain::Segments(*frames),
            Op::Spread => Plain::Spread,
            Op::Scores(heads) => Plain::Scores(*heads),
            Op::Attend(heads) => Plain::Attend(*heads),
            Op::SimAm => Plain::SimAm,
            Op::Trim(_) | Op::Pad(_) => Plain::Fit,
            Op::Repeat(times) => Plain::Repeat(*times),
            Op::Copy | Op::Reshape(_) => Plain::Reshape,
            Op::Pool(kind) => Plain::Pool(*kind),
            Op::Squeeze(squeeze) => Plain::Squeeze(*squeeze),
            Op::Snap(bits) => Plain::Snap(*bits),
            Op::Shift(bits) => Plain::Shift(*bits),
            // These are layers.
            Op::Conv2d(_) | Op::Conv1d(_) | Op::Linear | Op::Norm { .. } => {
                return Err(lacks(&node.op));
            }
        };
        // Only the number of frames of the second input matters, which the output has.
        let inputs = if let Plain::Spread = plain { vec![x] } else { inputs };
        Ok(self.step(Work::Plain(plain), inputs, &node.size, compact))
    }

    /// Whether the same memory is a value of this size too.
    fn is_view(&self, x: usize, size: &[usize], compact: bool) -> bool {
        let old = self.laid(x).plane;
        let new = Plane::of(size, if compact { 0 } else { self.pad });
        match [old, new].map(Plane::pad) {
            [0, 0] => true,
            _ => old == new,
        }
    }

    /// The view of the channels from `first` on.
    fn channels(&mut self, x: usize, first: usize, size: &[usize]) -> usize {
        let plane = self.laid(x).plane;
        let each = match size {
            [_, rows @ .., _] => rows.iter().product::<usize>() * plane.pitch,
            _ => 1,
        };
        self.view(x, first * each, size)
    }
}
