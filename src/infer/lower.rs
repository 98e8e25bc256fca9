//! A graph as steps: what runs together, what is another view of values that are there already, and
//! what takes the place of what it reads.

mod expansion;
mod groups;
mod integers;
mod planes;
mod reuse;
mod steps;

use super::layer::{Kind, Norm, Numbers, Recipe};
use super::plan::Interval;
use super::plane::{Form, Plane};
use crate::error::{Error, Result};
use crate::nn::Conv1dConfig;
use crate::nn::graph::{Graph, Op, Value};
use crate::quant::Activations;
pub(super) use groups::Group;
use groups::Role;
pub(super) use steps::{Laid, Lowered, Plain, Step, Work};

/// Most values that a step reads.
pub(super) const INPUTS: usize = 32;

/// The steps of a graph. Layers that have ranges compute in integers.
///
/// # Errors
/// An operation that the runtime lacks; ranges of what cannot compute in integers.
pub(super) fn lower(graph: &Graph, activations: Option<&Activations>) -> Result<Lowered> {
    let mut lowered = steps(graph, activations)?;
    reuse::reuse(&mut lowered);
    Ok(lowered)
}

/// As [`lower`], but expansions run in one step with the depthwise convolution behind them. All
/// computes in floats.
///
/// # Errors
/// An operation that the runtime lacks.
pub(super) fn joined(graph: &Graph) -> Result<Lowered> {
    let mut lowered = steps(graph, None)?;
    expansion::join(&mut lowered);
    reuse::reuse(&mut lowered);
    Ok(lowered)
}

/// Each step with values of its own.
fn steps(graph: &Graph, activations: Option<&Activations>) -> Result<Lowered> {
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
    if let Some(activations) = activations {
        integers::integers(&mut lowered, graph, activations)?;
    }
    Ok(lowered)
}

/// The layers of a graph, each with what runs in its step, by the last node of that.
#[cfg(feature = "burn")]
pub(super) fn grouped(graph: &Graph) -> Vec<(usize, Group)> {
    let roles = groups::roles(graph, &planes::compact(graph)).into_iter().enumerate();
    let last = |(n, role)| match role {
        Role::Last(group) => Some((n, group)),
        Role::Alone | Role::Inside => None,
    };
    roles.filter_map(last).collect()
}

/// Whether what each node makes is there when the steps run, and not within a step alone.
pub(super) fn made(graph: &Graph) -> Vec<bool> {
    let roles = groups::roles(graph, &planes::compact(graph));
    roles.iter().map(|role| !matches!(role, Role::Inside)).collect()
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
        let (size, form) = (size.to_vec(), Form::Floats);
        self.made.values.push(Laid { size, plane, form, buffer, offset: 0 });
        self.made.values.len() - 1
    }

    /// Another view of what lies in a buffer, `offset` elements behind the first of `x`.
    fn view(&mut self, x: usize, offset: usize, size: &[usize]) -> usize {
        let Laid { plane, form, buffer, offset: start, .. } = *self.laid(x);
        let (size, plane) = (size.to_vec(), Plane::of(size, plane.pad()));
        self.made.values.push(Laid { size, plane, form, buffer, offset: start + offset });
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
        let recipe = Recipe { kind, tensors, norm, numbers: Numbers::Floats };
        let work = Work::Layer { layer: recipe, relu };
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
                let (tensors, numbers) = (node.tensors.clone(), Numbers::Floats);
                let layer = Recipe { kind, tensors, norm: None, numbers };
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
