//! The interpreter that records.

use std::collections::HashMap;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;

use super::exec::{Body, Dim, Exec, Stage, Step};
use super::graph::{Function, Graph, Info, Node, Op, Rearrangement, Size, Value};
use super::run::resolve;
use super::{BatchNorm, Conv1d, Conv2d, Linear, Net, Part, PoolingKind, named};
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
        let info = |(name, shape)| Info { name, shape, trained: true };
        let nothing = Function { inputs: vec![Value(0)], nodes: 0..0, outputs: vec![Value(0)] };
        let graph = Graph {
            tensors: named::names_and_shapes(module).into_iter().map(info).collect(),
            input,
            nodes: Vec::new(),
            output: Value(0),
            steps: Vec::new(),
            tail: nothing,
        };
        let places = ids(module).into_iter().enumerate().map(|(i, id)| (id, i)).collect();
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
            graph.steps.push(("body".to_owned(), super::graph::Step::Keep(body)));
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
        ids(layer).iter().map(|id| self.places[id]).collect()
    }

    fn batch_norm(&mut self, layer: &BatchNorm, x: Value, relu: bool) -> Value {
        for buffer in [&layer.running_mean, &layer.running_var] {
            for place in self.tensors(buffer) {
                self.graph.tensors[place].trained = false;
            }
        }
        let (tensors, size) = (self.tensors(layer), self.graph.size(x).clone());
        self.push(Op::Norm { relu }, &[x], tensors, size)
    }

    fn function(
        &mut self,
        inputs: Vec<Value>,
        make: impl FnOnce(&mut Self, Vec<Value>) -> Vec<Value>,
    ) -> Function {
        let start = self.graph.nodes.len();
        let outputs = make(self, inputs.clone());
        Function { inputs, nodes: start..self.graph.nodes.len(), outputs }
    }

    fn rearrange(&mut self, how: Rearrangement) {
        self.step(super::graph::Step::Rearrange(how));
    }

    fn step(&mut self, step: super::graph::Step) {
        self.graph.steps.push((self.stage.to_string(), step));
    }

    fn snapped(&mut self, x: Value, grid: Option<i32>) -> Value {
        grid.map_or(x, |bits| self.same(Op::Snap { bits }, &[x]))
    }

    fn shifted(&mut self, x: Value, change: Value, grid: Option<i32>) -> Value {
        let op = grid.map_or(Op::Add, |bits| Op::Shift { bits });
        self.same(op, &[x, change])
    }
}

/// The ids of a module's tensors, in its order.
fn ids<M: Module>(module: &M) -> Vec<ParamId> {
    struct Visit(Vec<ParamId>);
    impl ModuleVisitor for Visit {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(param.id);
        }
    }
    let mut visit = Visit(Vec::new());
    module.visit(&mut visit);
    visit.0
}

impl Exec for Trace {
    type Value<const D: usize> = Value;

    fn size<const D: usize>(&self, x: &Value) -> Vec<usize> {
        self.graph.size(*x).clone()
    }

    fn stage(&mut self, stage: Stage) {
        self.stage = stage;
    }

    fn conv2d(&mut self, layer: &Conv2d, x: Value) -> Value {
        let (config, size) = (*layer.config(), self.graph.size(x));
        assert_eq!(size[0], config.input, "input channels of {config:?}");
        let [mels, frames] = config.output_size([size[1], size[2]]);
        let size = vec![config.output, mels, frames];
        self.push(Op::Conv2d(config), &[x], self.tensors(layer), size)
    }

    fn conv1d(&mut self, layer: &Conv1d, x: Value) -> Value {
        let (config, size) = (*layer.config(), self.graph.size(x));
        assert_eq!(size[0], config.input, "input channels of {config:?}");
        let size = vec![config.output, config.output_size(size[1])];
        self.push(Op::Conv1d(config), &[x], self.tensors(layer), size)
    }

    fn norm<const D: usize>(&mut self, layer: &BatchNorm, x: Value) -> Value {
        self.batch_norm(layer, x, false)
    }

    fn norm_relu<const D: usize>(&mut self, layer: &BatchNorm, x: Value) -> Value {
        self.batch_norm(layer, x, true)
    }

    fn relu<const D: usize>(&mut self, x: Value) -> Value {
        self.same(Op::Relu, &[x])
    }

    fn sigmoid<const D: usize>(&mut self, x: Value) -> Value {
        self.same(Op::Sigmoid, &[x])
    }

    fn tanh<const D: usize>(&mut self, x: Value) -> Value {
        self.same(Op::Tanh, &[x])
    }

    fn softmax<const D: usize>(&mut self, x: Value) -> Value {
        self.same(Op::Softmax, &[x])
    }

    fn add<const D: usize>(&mut self, x: Value, y: Value) -> Value {
        self.same(Op::Add, &[x, y])
    }

    fn multiply<const D: usize>(&mut self, x: Value, y: Value) -> Value {
        self.same(Op::Multiply, &[x, y])
    }

    fn mean<const D: usize>(&mut self, x: Value, y: Value) -> Value {
        self.same(Op::Mean, &[x, y])
    }

    fn concat<const D: usize>(&mut self, all: Vec<Value>, axis: usize) -> Value {
        let axis = axis - 1;
        let mut size = self.graph.size(all[0]).clone();
        size[axis] = all.iter().map(|&x| self.graph.size(x)[axis]).sum();
        self.push(Op::Concat { axis }, &all, vec![], size)
    }

    fn copy(&mut self, x: &Value) -> Value {
        self.same(Op::Copy, &[*x])
    }

    fn pad(&mut self, x: Value, multiples: [usize; 2]) -> Value {
        let old = self.graph.size(x);
        let size = vec![
            old[0],
            old[1].next_multiple_of(multiples[0]),
            old[2].next_multiple_of(multiples[1]),
        ];
        match size == *old {
            true => x,
            false => self.push(Op::Pad(multiples), &[x], vec![], size),
        }
    }

    fn reshape<const D: usize, const O: usize>(&mut self, x: Value, shape: &[Dim]) -> Value {
        let size = resolve(self.graph.size(x), shape);
        assert_eq!(size.len() + 1, O, "as many axes as the type says");
        self.push(Op::Reshape(shape.to_vec()), &[x], vec![], size)
    }

    fn pool(&mut self, kind: PoolingKind, x: Value, attention: Option<Value>) -> Value {
        let size = vec![self.graph.size(x)[0] * kind.statistics()];
        let inputs: Vec<Value> = std::iter::once(x).chain(attention).collect();
        self.push(Op::Pool(kind), &inputs, vec![], size)
    }

    fn linear(&mut self, layer: &Linear, x: Value) -> Value {
        let tensors = self.tensors(layer);
        let [output, input] = self.graph.tensors[tensors[0]].shape[..] else {
            unreachable!("the weight of a linear layer has two axes")
        };
        assert_eq!(*self.graph.size(x), [input], "inputs of {tensors:?}");
        self.push(Op::Linear, &[x], tensors, vec![output])
    }

    fn body<B: Body>(&mut self, body: &B, x: Value, _: Execution) -> Value {
        let grid = Reversible::grid(body);
        let mut streams = vec![x];
        // As `reversible::run` does: what comes from outside is put on the grid first.
        let mut rounded = false;
        for (stage, step) in body.walk() {
            self.stage = stage;
            streams = match step {
                Step::Keep(part) => {
                    rounded = false;
                    let f = self.function(streams, |trace, x| part.trace(trace, x));
                    let outputs = f.outputs.clone();
                    self.step(super::graph::Step::Keep(f));
                    outputs
                }
                Step::Couple(block) => {
                    let [x1, x2] = streams[..] else { panic!("a coupling wants two streams") };
                    let [x1, x2] = match rounded {
                        true => [x1, x2],
                        false => [x1, x2].map(|x| self.snapped(x, grid)),
                    };
                    rounded = true;
                    let [first, second] = block.functions();
                    let f = self.function(vec![x2], |trace, x| first.trace(trace, x));
                    let y1 = self.shifted(x1, f.outputs[0], grid);
                    let g = self.function(vec![y1], |trace, x| second.trace(trace, x));
                    let y2 = self.shifted(x2, g.outputs[0], grid);
                    self.step(super::graph::Step::Couple(f, g));
                    vec![y1, y2]
                }
                Step::Squeeze(squeeze) => {
                    self.rearrange(Rearrangement::Squeeze);
                    let one = |trace: &mut Self, x: Value| {
                        let old = trace.graph.size(x);
                        let (h, w) = (squeeze.mels, squeeze.frames);
                        let size = vec![old[0] * h * w, old[1] / h, old[2] / w];
                        trace.push(Op::Squeeze(*squeeze), &[x], vec![], size)
                    };
                    streams.into_iter().map(|x| one(self, x)).collect()
                }
                Step::Split => {
                    self.rearrange(Rearrangement::Split);
                    let mut size = self.graph.size(streams[0]).clone();
                    size[0] /= 2;
                    let half = |upper| Op::Half { upper };
                    let x = streams[0];
                    [half(false), half(true)]
                        .map(|op| self.push(op, &[x], vec![], size.clone()))
                        .to_vec()
                }
                Step::Join => {
                    self.rearrange(Rearrangement::Join);
                    vec![self.concat::<4>(streams, 1)]
                }
            };
        }
        let [y] = streams[..] else { panic!("a body makes one tensor") };
        y
    }
}
