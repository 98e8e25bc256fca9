//! The passes of a step on the [`Ledger`].

use super::head::Head;
use super::ledger::{Buffer, Ledger};
use super::machine::Machine;
use super::pieces::Pieces;
use super::series::Series;
use super::tape::Tape;
use super::way::Way;
use crate::nn::graph::{Function, Graph, Step};
use crate::nn::{Halves, Value};
use crate::optim::BYTES;
use crate::train::OptimizerConfig;

/// Plays passes: who makes, shares and releases which buffer, in the order of the backend's own
/// steps.
pub(super) struct Player<'g> {
    pub graph: &'g Graph,
    pub ledger: Ledger,
    pub batch: usize,
    /// What runs the step.
    pub machine: Machine,
    /// Whether the body is a reversible one, and one node.
    pub reversible: bool,
    /// What becomes of each step's activations.
    pub ways: Vec<Way>,
    /// What each named step adds to what is held.
    pub stages: Vec<(String, usize)>,
    /// Of functions whose backward pass is to come; empty where activations are recomputed.
    pub tapes: Vec<Tape>,
    /// The optimizer, if it steps during the backward pass.
    pub release: Option<&'g OptimizerConfig>,
    /// Whether weights are in 24 bits while nothing computes with them.
    pub packed: bool,
}

impl<'g> Player<'g> {
    /// Notes what a step has added to what is held.
    fn note(&mut self, name: &str, added: usize) {
        match self.stages.iter_mut().find(|(n, _)| n == name) {
            Some((_, bytes)) => *bytes += added,
            None => self.stages.push((name.to_owned(), added)),
        }
    }

    /// Plays a step. Returns the bytes held between the passes.
    pub fn step(&mut self, head: Head) -> usize {
        let graph = self.graph;
        let bytes = self.bytes(Value(0));
        let image = self.ledger.new_lasting(bytes);
        let mut streams = vec![image];
        if self.machine.is_gpu() {
            // The batch is there until the step ends, and the next one is there already.
            self.ledger.share(image);
            self.ledger.new_lasting(bytes);
        }
        // The tape holds the head and the embedding layers in f32.
        let whole = self.beyond(head.weights / 4 + self.values(&graph.tail));
        self.ledger.hold(whole);
        let mut kept = Vec::new();
        for (i, (name, step)) in graph.steps.iter().enumerate() {
            let recomputed = self.ways[i] != Way::Kept;
            let before = self.ledger.now.activations;
            name.clone_into(&mut self.ledger.at);
            match step {
                Step::Keep(f) => {
                    if recomputed && self.derived(i).is_none() {
                        kept.push(self.ledger.share_all(&streams));
                    }
                    streams = self.run(f, streams, recomputed);
                }
                Step::Couple(f, g) => {
                    if recomputed && graph.is_snapped(f.inputs[0]) {
                        self.separate(&mut streams, f);
                    }
                    let [x1, x2] = pair(&streams);
                    let x = self.ledger.share(x2);
                    let y1 = self.run(f, vec![x], recomputed)[0];
                    let y1 = self.sum(x1, y1, f);
                    let x = self.ledger.share(y1);
                    let y2 = self.run(g, vec![x], recomputed)[0];
                    streams = vec![y1, self.sum(x2, y2, g)];
                }
                Step::Squeeze => streams = self.squeeze(streams),
                Step::Halves(halves) => streams = self.halves(*halves, streams),
            }
            match &graph.steps[..] {
                [(_, Step::Keep(f))] if !recomputed => self.note_layers(f),
                _ => self.note(name, self.ledger.now.activations.saturating_sub(before)),
            }
        }
        let (mut dy, held) = self.top(streams, head);
        let mut y: Vec<Buffer> = Vec::new();
        for (i, (name, step)) in graph.steps.iter().enumerate().rev() {
            name.clone_into(&mut self.ledger.at);
            let recomputed = self.ways[i] != Way::Kept;
            match step {
                Step::Keep(f) => {
                    self.ledger.release_all(y);
                    y = match self.derived(i) {
                        Some(before) => {
                            let inputs = self.ledger.share_all(&kept[kept.len() - 1]);
                            self.forward(before, inputs, false).0
                        }
                        None if recomputed => kept.pop().unwrap_or_default(),
                        None => Vec::new(),
                    };
                    let whole = self.beyond(self.values(f));
                    self.ledger.hold(whole);
                    let pieces = self.reversible.then(|| Pieces::of(graph, f)).flatten();
                    if let Some(pieces) = pieces {
                        dy = self.pull_pieces(&pieces, y[0], dy[0], i > 0);
                        self.ledger.let_go(whole);
                        continue;
                    }
                    if let Way::Apart(pieces) = self.ways[i].clone() {
                        dy = self.pull_apart(&pieces, y[0], dy, i > 0);
                        self.ledger.let_go(whole);
                        continue;
                    }
                    let tape = match recomputed {
                        false => self.tapes.pop().unwrap_or_default(),
                        true => {
                            let inputs = self.ledger.share_all(&y);
                            let (out, tape) = self.forward(f, inputs, true);
                            self.ledger.release_all(out);
                            tape
                        }
                    };
                    let before = self.ledger.gradients();
                    dy = self.backward(f, tape, dy, i > 0);
                    self.released(f, before, recomputed);
                    self.ledger.let_go(whole);
                }
                Step::Couple(f, g) => {
                    let [dy1, dy2] = pair(&dy);
                    let dg = self.pull(g, &mut y, 1, dy2, recomputed);
                    let dx1 = self.sum(dy1, dg, g);
                    let df = self.pull(f, &mut y, 0, dx1, recomputed);
                    dy = vec![dx1, self.sum(dy2, df, f)];
                }
                Step::Squeeze => (y, dy) = (self.squeeze(y), self.squeeze(dy)),
                Step::Halves(halves) => {
                    let back = halves.opposite();
                    (y, dy) = (self.halves(back, y), self.halves(back, dy));
                }
            }
        }
        self.ledger.release_all(y);
        held
    }

    /// The function that makes the input of a kept step once more: the stem of a reversible network
    /// that has a step of one stream at once behind it.
    fn derived(&self, step: usize) -> Option<&'g Function> {
        match (step, &self.graph.steps[..]) {
            (1, [(_, Step::Keep(stem)), (_, Step::Keep(next)), ..]) if self.reversible => {
                (next.inputs.len() == 1).then_some(stem)
            }
            _ => None,
        }
    }

    /// A function in the forward pass.
    fn run(&mut self, f: &Function, inputs: Vec<Buffer>, recomputed: bool) -> Vec<Buffer> {
        // Beside the weights in 24 bits.
        let whole = if self.packed { 4 * self.values(f) } else { 0 };
        self.ledger.hold(whole);
        let (out, tape) = self.forward(f, inputs, !recomputed);
        self.ledger.let_go(whole);
        if !recomputed {
            self.tapes.push(tape);
        }
        out
    }

    /// The gradient of a residual function's input. Without a tape the function runs again on its
    /// input, and the stream `to`, to which it was added, becomes what it was before.
    fn pull(
        &mut self,
        f: &Function,
        y: &mut [Buffer],
        to: usize,
        dy: Buffer,
        recomputed: bool,
    ) -> Buffer {
        let whole = self.beyond(self.values(f));
        self.ledger.hold(whole);
        if let Some(series) = recomputed.then(|| Series::of(self.graph, f)).flatten() {
            let dx = self.pull_series(&series, f, y, to, dy);
            self.ledger.let_go(whole);
            return dx;
        }
        let tape = match recomputed {
            false => self.tapes.pop().unwrap_or_default(),
            true => {
                let inputs = vec![self.ledger.share(y[1 - to])];
                let (out, tape) = self.forward(f, inputs, true);
                y[to] = self.sum(y[to], out[0], f);
                tape
            }
        };
        let seed = self.ledger.share(dy);
        let before = self.ledger.gradients();
        let dx = self.backward(f, tape, vec![seed], true)[0];
        self.released(f, before, recomputed);
        self.ledger.let_go(whole);
        dx
    }

    /// Trained values of a function.
    fn values(&self, f: &Function) -> usize {
        let nodes = &self.graph.nodes[f.nodes.clone()];
        nodes.iter().map(|node| self.graph.node_parameters(node)).sum()
    }

    /// Bytes that so many weights in f32 have more than in 24 bits, if they have these before and
    /// afterwards.
    fn beyond(&self, values: usize) -> usize {
        if self.packed { (4 - BYTES) * values } else { 0 }
    }

    /// Scratch space of the steps of parameters of so many values: the optimizer's, or that of the
    /// largest one's way into 24 bits.
    fn step_scratch(&self, optimizer: &OptimizerConfig, counts: &[usize]) -> usize {
        let largest = counts.iter().max().copied().unwrap_or(0);
        let packing = if self.packed { BYTES * largest } else { 0 };
        self.machine.step_scratch(optimizer, counts.iter().copied()).max(packing)
    }

    /// The steps of a function's parameters, whose gradients are all but so many that were there
    /// before: in the backward pass where activations are recomputed and gradients released. An
    /// ordinary tape keeps its gradients to the end.
    pub fn released(&mut self, f: &Function, before: usize, recomputed: bool) {
        let Some(optimizer) = self.release.filter(|_| recomputed) else { return };
        let nodes = &self.graph.nodes[f.nodes.clone()];
        let counts = nodes.iter().map(|node| self.graph.node_parameters(node));
        let scratch = self.step_scratch(optimizer, &counts.collect::<Vec<_>>());
        self.ledger.step(before, scratch);
    }

    /// Embedding layers and head, there and back: the gradient of the pooled statistics, and what
    /// is held in between.
    pub fn top(&mut self, pooled: Vec<Buffer>, head: Head) -> (Vec<Buffer>, usize) {
        "head".clone_into(&mut self.ledger.at);
        let tail = &self.graph.tail;
        let (embedding, tape) = self.forward(tail, pooled, true);
        let logits = self.ledger.new_buffer(head.held);
        let held = self.ledger.now.activations;
        self.ledger.scratch(head.before);
        self.ledger.gradient(head.weights);
        if head.beside > 0 {
            self.ledger.scratch(head.beside);
        }
        let dy = self.ledger.new_buffer(self.bytes(tail.outputs[0]));
        self.ledger.release(logits);
        self.ledger.release_all(embedding);
        if let Some(optimizer) = self.release {
            let scratch = self.step_scratch(optimizer, &[head.weights / 4]);
            self.ledger.step(0, scratch);
            self.ledger.let_go(self.beyond(head.weights / 4));
        }
        let before = self.ledger.gradients();
        let dx = self.backward(tail, tape, vec![dy], true);
        // Only reversible networks have a cut of the tape in front of the embedding layers.
        self.released(tail, before, self.reversible);
        if self.reversible && self.release.is_some() {
            self.ledger.let_go(self.beyond(self.values(tail)));
        }
        (dx, held)
    }

    /// x + y, written into whichever of the two has no other user.
    pub fn sum(&mut self, x: Buffer, y: Buffer, f: &Function) -> Buffer {
        let bytes = self.bytes(f.outputs[0]);
        self.ledger.in_place(&[x, y], bytes)
    }

    /// Halves of one tensor, and a tensor that is both streams, become two of their own.
    fn separate(&mut self, streams: &mut [Buffer], f: &Function) {
        let bytes = self.bytes(f.inputs[0]);
        for x in streams {
            if !self.ledger.unique(*x) || self.ledger.bytes(*x) > bytes {
                *x = self.ledger.renew(*x, bytes);
            }
        }
    }

    fn squeeze(&mut self, streams: Vec<Buffer>) -> Vec<Buffer> {
        streams.into_iter().map(|x| self.ledger.renew(x, self.ledger.bytes(x))).collect()
    }

    fn halves(&mut self, how: Halves, streams: Vec<Buffer>) -> Vec<Buffer> {
        // Burn's tape has views of one tensor on CPUs; our operation makes two.
        let views = !self.machine.is_gpu() && !self.reversible;
        let ledger = &mut self.ledger;
        match (how, &streams[..]) {
            (Halves::Split, &[one]) if views => vec![one, ledger.share(one)],
            (Halves::Split, &[one]) => {
                let half = ledger.bytes(one) / 2;
                let made = vec![ledger.new_buffer(half), ledger.new_buffer(half)];
                ledger.release(one);
                made
            }
            (Halves::Join, &[a, b]) => {
                // Two halves of one buffer are as large as the whole.
                let other = if a == b { 0 } else { ledger.bytes(b) };
                let made = ledger.new_buffer(ledger.bytes(a) + other);
                ledger.release_all(streams);
                vec![made]
            }
            // Where activations are kept, nothing is recovered.
            (Halves::Split | Halves::Join, _) => streams,
        }
    }

    /// Notes what an ordinary network's tape holds, by the stages of its layers.
    fn note_layers(&mut self, f: &Function) {
        let mut seen = std::collections::HashSet::new();
        let saved = self.tapes[0].clone();
        for (node, saved) in self.graph.nodes[f.nodes.clone()].iter().zip(saved) {
            let new = saved.into_iter().filter(|&buffer| seen.insert(buffer));
            let bytes = new.map(|buffer| self.ledger.bytes(buffer)).sum();
            self.note(&node.stage.to_string(), bytes);
        }
    }
}

fn pair(streams: &[Buffer]) -> [Buffer; 2] {
    streams.try_into().expect("two streams")
}
