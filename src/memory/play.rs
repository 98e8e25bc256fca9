//! The passes of a step on the [`Ledger`].

use super::ledger::{Buffer, Ledger};
use super::machine::Machine;
use super::tape::Tape;
use crate::nn::graph::{Function, Graph, Step};
use crate::nn::{Halves, Value};
use crate::train::OptimizerConfig;

/// Tensors of the size `[batch, classes]` that the head makes on the way to the loss and back, at
/// the same time.
pub(super) const HEAD: usize = 10;
/// Those of them that are there when the loss is known.
const LOGITS: usize = 6;

/// Plays passes: who makes, shares and releases which buffer, in the order of the backend's own
/// steps.
pub(super) struct Player<'g> {
    pub graph: &'g Graph,
    pub ledger: Ledger,
    pub batch: usize,
    /// What runs the step.
    pub machine: Machine,
    /// Whether activations are recomputed: the body is one node.
    pub reversible: bool,
    /// What each named step adds to what is held.
    pub stages: Vec<(String, usize)>,
    /// Of functions whose backward pass is to come; empty where activations are recomputed.
    pub tapes: Vec<Tape>,
    /// The optimizer, if it steps during the backward pass.
    pub release: Option<&'g OptimizerConfig>,
}

impl Player<'_> {
    /// Notes what a step has added to what is held.
    fn note(&mut self, name: &str, added: usize) {
        match self.stages.iter_mut().find(|(n, _)| n == name) {
            Some((_, bytes)) => *bytes += added,
            None => self.stages.push((name.to_owned(), added)),
        }
    }

    /// Plays a step. `head` and `weights` are the head's bytes of activations and parameters.
    /// Returns the bytes held between the passes.
    pub fn step(&mut self, head: usize, weights: usize) -> usize {
        let graph = self.graph;
        let bytes = self.bytes(Value(0));
        let image = self.ledger.new_lasting(bytes);
        let mut streams = vec![image];
        if self.machine.is_gpu() {
            // The batch is there until the step ends, and the next one is there already.
            self.ledger.share(image);
            self.ledger.new_lasting(bytes);
        }
        let mut kept = Vec::new();
        for (name, step) in &graph.steps {
            let before = self.ledger.now.activations;
            name.clone_into(&mut self.ledger.at);
            match step {
                Step::Keep(f) => {
                    if self.reversible {
                        kept.push(self.ledger.share_all(&streams));
                    }
                    streams = self.run(f, streams);
                }
                Step::Couple(f, g) => {
                    if self.reversible && graph.is_snapped(f.inputs[0]) {
                        self.separate(&mut streams, f);
                    }
                    let [x1, x2] = pair(&streams);
                    let x = self.ledger.share(x2);
                    let y1 = self.run(f, vec![x])[0];
                    let y1 = self.sum(x1, y1, f);
                    let x = self.ledger.share(y1);
                    let y2 = self.run(g, vec![x])[0];
                    streams = vec![y1, self.sum(x2, y2, g)];
                }
                Step::Squeeze => streams = self.squeeze(streams),
                Step::Halves(halves) => streams = self.halves(*halves, streams),
            }
            match &graph.steps[..] {
                [(_, Step::Keep(f))] => self.note_layers(f),
                _ => self.note(name, self.ledger.now.activations.saturating_sub(before)),
            }
        }
        let (mut dy, held) = self.top(streams, head, weights);
        let mut y: Vec<Buffer> = Vec::new();
        for (i, (name, step)) in graph.steps.iter().enumerate().rev() {
            name.clone_into(&mut self.ledger.at);
            match step {
                Step::Keep(f) => {
                    self.ledger.release_all(y);
                    y = kept.pop().unwrap_or_default();
                    let tape = self.tapes.pop().unwrap_or_else(|| {
                        let inputs = self.ledger.share_all(&y);
                        let (out, tape) = self.forward(f, inputs, true);
                        self.ledger.release_all(out);
                        tape
                    });
                    let before = self.ledger.gradients();
                    dy = self.backward(f, tape, dy, i > 0);
                    self.released(f, before);
                }
                Step::Couple(f, g) => {
                    let [dy1, dy2] = pair(&dy);
                    let dg = self.pull(g, &mut y, 1, dy2);
                    let dx1 = self.sum(dy1, dg, g);
                    let df = self.pull(f, &mut y, 0, dx1);
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

    /// A function in the forward pass.
    fn run(&mut self, f: &Function, inputs: Vec<Buffer>) -> Vec<Buffer> {
        let (out, tape) = self.forward(f, inputs, !self.reversible);
        if !self.reversible {
            self.tapes.push(tape);
        }
        out
    }

    /// The gradient of a residual function's input. Without a tape the function runs again on its
    /// input, and the stream `to`, to which it was added, becomes what it was before.
    fn pull(&mut self, f: &Function, y: &mut [Buffer], to: usize, dy: Buffer) -> Buffer {
        let tape = self.tapes.pop().unwrap_or_else(|| {
            let inputs = vec![self.ledger.share(y[1 - to])];
            let (out, tape) = self.forward(f, inputs, true);
            y[to] = self.sum(y[to], out[0], f);
            tape
        });
        let seed = self.ledger.share(dy);
        let before = self.ledger.gradients();
        let dx = self.backward(f, tape, vec![seed], true)[0];
        self.released(f, before);
        dx
    }

    /// The steps of a function's parameters, whose gradients are all but so many that were there
    /// before: in the backward pass where activations are recomputed and gradients released. An
    /// ordinary tape keeps its gradients to the end.
    fn released(&mut self, f: &Function, before: usize) {
        let Some(optimizer) = self.release.filter(|_| self.reversible) else { return };
        let nodes = &self.graph.nodes[f.nodes.clone()];
        let counts = nodes.iter().map(|node| self.graph.node_parameters(node));
        let scratch = self.machine.step_scratch(optimizer, counts);
        self.ledger.step(before, scratch);
    }

    /// Embedding layers and head, there and back: the gradient of the pooled statistics, and what
    /// is held in between.
    fn top(&mut self, pooled: Vec<Buffer>, head: usize, weights: usize) -> (Vec<Buffer>, usize) {
        "head".clone_into(&mut self.ledger.at);
        let tail = &self.graph.tail;
        let (embedding, tape) = self.forward(tail, pooled, true);
        let logits = self.ledger.new_buffer(head / HEAD * LOGITS);
        let held = self.ledger.now.activations;
        self.ledger.scratch(head - head / HEAD * LOGITS + 2 * weights);
        self.ledger.gradient(weights);
        let dy = self.ledger.new_buffer(self.bytes(tail.outputs[0]));
        self.ledger.release(logits);
        self.ledger.release_all(embedding);
        if let Some(optimizer) = self.release {
            let scratch = self.machine.step_scratch(optimizer, std::iter::once(weights / 4));
            self.ledger.step(0, scratch);
        }
        (self.backward(tail, tape, vec![dy], true), held)
    }

    /// x + y, written into whichever of the two has no other user.
    fn sum(&mut self, x: Buffer, y: Buffer, f: &Function) -> Buffer {
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
        let views = !self.machine.is_gpu();
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
