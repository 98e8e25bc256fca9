//! The interpreter that records.

use std::collections::HashMap;
use std::ops::Range;

use burn::module::{Module, ParamId};

use super::conv::Conv;
use super::graph::{self, Function, Graph, Info, Node, Op, Size, Value};
use super::named::{Met, collect};
use super::{
    AnyPart, BatchNorm, Body, Combine, Conv1d, Conv2d, Exec, Halves, LayerNorm, Linear, Map, Mix,
    Net, Part, Squeeze, Stage, Statistics, Step,
};
use crate::backend::reversible::{Execution, Reversible};

/// Records layers as a [`Graph`]. No weight is drawn.
#[derive(Debug)]
pub struct Trace {
    graph: Graph,
    /// Where each tensor stands in the graph's list.
    places: HashMap<ParamId, usize>,
    stage: Stage,
}

impl Trace {
    /// The graph of a network for one utterance of `[mels, frames]`.
    pub fn record<N: Net>(network: &N, [mels, frames]: [usize; 2]) -> Graph {
        let mut trace = Self::of(network, vec![1, mels, frames]);
        let output = network.forward(&mut trace, Value(0));
        trace.finish(output)
    }

    /// The graph of a part that makes one stream of one stream of this size.
    pub(crate) fn part<P: Part>(part: &P, size: Size) -> Graph {
        let mut trace = Self::of(part, size);
        let outputs = Part::forward(part, &mut trace, vec![Value(0)]);
        trace.finish(outputs[0])
    }

    fn of<M: Module>(module: &M, input: Size) -> Self {
        let info =
            |met: Met| Some((met.id, Info { name: met.name, shape: met.shape, trained: true }));
        let (ids, tensors): (Vec<_>, Vec<_>) = collect(module, info).into_iter().unzip();
        let graph = Graph { tensors, input, ..Graph::default() };
        let places = ids.into_iter().zip(0..).collect();
        Self { graph, places, stage: Stage::STEM }
    }

    /// Divides what was recorded into body and tail.
    fn finish(self, output: Value) -> Graph {
        let mut graph = self.graph;
        graph.output = output;
        let all = graph.nodes.len();
        let is_tail = |node: &Node| node.stage == Stage::EMBEDDING;
        let first = graph.nodes.iter().position(is_tail).unwrap_or(all);
        // What the first node of the tail reads is what the body makes.
        let pooled = graph.nodes.get(first).map_or(output, |node| node.inputs[0]);
        if graph.steps.is_empty() {
            let body = Function { inputs: vec![Value(0)], nodes: 0..first, outputs: vec![pooled] };
            graph.steps.push(("body".to_owned(), graph::Step::Keep(body)));
        }
        graph.tail = Function { inputs: vec![pooled], nodes: first..all, outputs: vec![output] };
        graph
    }

    fn push(&mut self, op: Op, inputs: &[Value], tensors: Vec<usize>, size: Size) -> Value {
        let (inputs, stage) = (inputs.to_vec(), self.stage);
        self.graph.nodes.push(Node { op, inputs, tensors, size, stage });
        Value(self.graph.nodes.len())
    }

    /// An operation without tensors whose output has the first input's size.
    fn same(&mut self, op: Op, inputs: &[Value]) -> Value {
        let size = self.graph.size(inputs[0]).clone();
        self.push(op, inputs, vec![], size)
    }

    /// Places of a layer's tensors.
    fn tensors<M: Module>(&self, layer: &M) -> Vec<usize> {
        collect(layer, |met| Some(self.places[&met.id]))
    }

    fn conv<const D: usize, const N: usize>(
        &mut self,
        op: Op,
        layer: &Conv<D, N>,
        x: Value,
    ) -> Value {
        let (config, size) = (layer.config(), self.graph.size(x));
        assert_eq!(size[0], config.input, "input channels of {config:?}");
        let made = config.output_size(std::array::from_fn(|i| size[1 + i]));
        let size = std::iter::once(config.output).chain(made).collect();
        self.push(op, &[x], self.tensors(layer), size)
    }

    fn function(&mut self, part: &dyn AnyPart, inputs: Vec<Value>) -> Function {
        let start = self.graph.nodes.len();
        let outputs = part.trace(self, inputs.clone());
        Function { inputs, nodes: start..self.graph.nodes.len(), outputs }
    }
}

impl Exec for Trace {
    type Value<const D: usize> = Value;

    fn stage(&mut self, stage: Stage) {
        self.stage = stage;
    }

    fn conv2d(&mut self, layer: &Conv2d, x: Value) -> Value {
        self.conv(Op::Conv2d(*layer.config()), layer, x)
    }

    fn conv1d(&mut self, layer: &Conv1d, x: Value) -> Value {
        self.conv(Op::Conv1d(*layer.config()), layer, x)
    }

    fn norm<const D: usize>(&mut self, layer: &BatchNorm, x: Value, relu: bool) -> Value {
        let (tensors, size) = (self.tensors(layer), self.graph.size(x).clone());
        // The last two are the running statistics.
        for &place in tensors.iter().rev().take(2) {
            self.graph.tensors[place].trained = false;
        }
        self.push(Op::Norm { relu, epsilon: layer.added() }, &[x], tensors, size)
    }

    fn layer_norm<const D: usize>(&mut self, layer: &LayerNorm, x: Value) -> Value {
        let (tensors, size) = (self.tensors(layer), self.graph.size(x).clone());
        self.push(Op::LayerNorm, &[x], tensors, size)
    }

    fn map<const D: usize>(&mut self, f: Map, x: Value) -> Value {
        self.same(Op::Map(f), &[x])
    }

    fn combine<const D: usize>(&mut self, f: Combine, x: Value, y: Value) -> Value {
        self.same(Op::Combine(f), &[x, y])
    }

    fn concat<const D: usize>(&mut self, all: Vec<Value>, axis: usize) -> Value {
        let axis = axis - 1;
        let mut size = self.graph.size(all[0]).clone();
        size[axis] = all.iter().map(|&x| self.graph.size(x)[axis]).sum();
        self.push(Op::Concat(axis), &all, vec![], size)
    }

    fn channels<const D: usize>(&mut self, x: &Value, range: Range<usize>) -> Value {
        let mut size = self.graph.size(*x).clone();
        assert!(range.end <= size[0], "channels {range:?} of {}", size[0]);
        size[0] = range.len();
        self.push(Op::Channels(range), &[*x], vec![], size)
    }

    fn mean<const D: usize>(&mut self, x: &Value, axes: &[usize]) -> Value {
        let axes: Vec<usize> = axes.iter().map(|axis| axis - 1).collect();
        let mut size = self.graph.size(*x).clone();
        axes.iter().for_each(|&axis| size[axis] = 1);
        self.push(Op::Mean(axes), &[*x], vec![], size)
    }

    fn swap(&mut self, x: Value) -> Value {
        let mut size = self.graph.size(x).clone();
        size.swap(0, 1);
        self.push(Op::Swap, &[x], vec![], size)
    }

    fn segments(&mut self, x: &Value, frames: usize) -> Value {
        self.same(Op::Segments(frames), &[*x])
    }

    fn spread(&mut self, x: Value, like: &Value) -> Value {
        let size = vec![self.graph.size(x)[0], self.graph.size(*like)[1]];
        self.push(Op::Spread, &[x, *like], vec![], size)
    }

    fn attend(&mut self, heads: usize, q: Value, k: Value, v: Value) -> Value {
        let [channels, frames] = self.graph.size(q)[..] else { panic!("channels and frames") };
        assert_eq!(channels % heads, 0, "{channels} channels in {heads} heads");
        let scores = self.push(Op::Scores(heads), &[q, k], vec![], vec![heads, frames, frames]);
        let weights = self.same(Op::Map(Map::Softmax), &[scores]);
        self.push(Op::Attend(heads), &[weights, v], vec![], vec![channels, frames])
    }

    fn mix(&mut self, layer: &Mix, all: Vec<Value>) -> Value {
        let (tensors, size) = (self.tensors(layer), self.graph.size(all[0]).clone());
        self.push(Op::Mix, &all, tensors, size)
    }

    fn simam(&mut self, x: Value) -> Value {
        self.same(Op::SimAm, &[x])
    }

    fn trim(&mut self, x: Value, multiple: usize) -> Value {
        let mut size = self.graph.size(x).clone();
        size[2] -= size[2] % multiple;
        self.push(Op::Trim(multiple), &[x], vec![], size)
    }

    fn repeat(&mut self, x: Value, times: usize) -> Value {
        let mut size = self.graph.size(x).clone();
        size[1] *= times;
        self.push(Op::Repeat(times), &[x], vec![], size)
    }

    fn copy(&mut self, x: &Value) -> Value {
        self.same(Op::Copy, &[*x])
    }

    fn pad(&mut self, x: Value, multiples: [usize; 2]) -> Value {
        let old = self.graph.size(x);
        let axis = |i: usize| old[1 + i].next_multiple_of(multiples[i]);
        let size = vec![old[0], axis(0), axis(1)];
        match size == *old {
            true => x,
            false => self.push(Op::Pad(multiples), &[x], vec![], size),
        }
    }

    fn reshape<const D: usize, const O: usize>(&mut self, x: Value, shape: [i32; O]) -> Value {
        let (old, new) = (self.graph.elements(x), &shape[1..]);
        let known: usize = new.iter().filter(|&&n| n > 0).map(|&n| n as usize).product();
        let size = new.iter().map(|&n| if n > 0 { n as usize } else { old / known }).collect();
        let made = self.push(Op::Reshape(shape.to_vec()), &[x], vec![], size);
        assert_eq!(self.graph.elements(made), old, "values in the shape {shape:?}");
        made
    }

    fn pool(&mut self, kind: Statistics, x: Value, attention: Option<Value>) -> Value {
        let size = vec![self.graph.size(x)[0] * kind.count()];
        let inputs: Vec<Value> = std::iter::once(x).chain(attention).collect();
        self.push(Op::Pool(kind), &inputs, vec![], size)
    }

    fn linear<const D: usize>(&mut self, layer: &Linear, x: Value) -> Value {
        let tensors = self.tensors(layer);
        let [output, input] = layer.weight.lazy_shape().dims();
        let mut size = self.graph.size(x).clone();
        assert_eq!(size[0], input, "inputs of {tensors:?}");
        size[0] = output;
        self.push(Op::Linear, &[x], tensors, size)
    }

    fn body<B: Body>(&mut self, body: &B, x: Value, _: Execution) -> Value {
        let grid = Reversible::grid(body);
        let mut streams = vec![x];
        // As `reversible::run` does: what comes from outside is put on the grid first.
        let mut rounded = false;
        for (stage, step) in body.walk() {
            self.stage = stage;
            let step = match step {
                Step::Keep(part) => {
                    rounded = false;
                    let f = self.function(part, streams);
                    streams = f.outputs.clone();
                    graph::Step::Keep(f)
                }
                Step::Couple(block) => {
                    let snap = grid.filter(|_| !std::mem::replace(&mut rounded, true));
                    if let Some(bits) = snap {
                        streams.iter_mut().for_each(|x| *x = self.same(Op::Snap(bits), &[*x]));
                    }
                    let [x1, x2] = streams[..] else { panic!("a coupling wants two streams") };
                    let sum = grid.map_or(Op::Combine(Combine::Add), Op::Shift);
                    let [f, g] = block.functions();
                    let f = self.function(f, vec![x2]);
                    let y1 = self.same(sum.clone(), &[x1, f.outputs[0]]);
                    let g = self.function(g, vec![y1]);
                    streams = vec![y1, self.same(sum, &[x2, g.outputs[0]])];
                    graph::Step::Couple(f, g)
                }
                Step::Squeeze(squeeze) => {
                    let Squeeze { mels, frames } = *squeeze;
                    for x in &mut streams {
                        let old = self.graph.size(*x);
                        let size = vec![old[0] * mels * frames, old[1] / mels, old[2] / frames];
                        *x = self.push(Op::Squeeze(*squeeze), &[*x], vec![], size);
                    }
                    graph::Step::Squeeze
                }
                Step::Halves(halves) => {
                    streams = match halves {
                        Halves::Join => vec![self.concat::<4>(streams, 1)],
                        Halves::Split => {
                            let mut size = self.graph.size(streams[0]).clone();
                            size[0] /= 2;
                            let half = |i| self.push(Op::Half(i), &streams, vec![], size.clone());
                            (0..2).map(half).collect()
                        }
                    };
                    graph::Step::Halves(*halves)
                }
            };
            self.graph.steps.push((stage.to_string(), step));
        }
        let [y] = streams[..] else { panic!("a body makes one tensor") };
        y
    }
}
