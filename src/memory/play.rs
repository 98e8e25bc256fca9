//! The passes of a step on the [`Ledger`].

use super::ledger::{Buffer, Ledger};
use super::tape::{self, Scale};
use crate::nn::Value;
use crate::nn::graph::{Function, Graph, Rearrangement, Step};

/// Tensors of the size `[batch, classes]` that the head makes on the way to the loss and back, at
/// the same time.
pub(super) const HEAD: usize = 10;

/// Plays passes: who makes, shares and releases which buffer, in the order of the backend's own
/// steps.
pub(super) struct Player<'g> {
    pub graph: &'g Graph,
    pub ledger: Ledger,
    pub scale: Scale,
    /// What each named step adds to what is held.
    pub stages: Vec<(String, usize)>,
}

impl Player<'_> {
    fn bytes(&self, value: Value) -> usize {
        self.scale.bytes(self.graph, value)
    }

    fn at(&mut self, place: &str) {
        place.clone_into(&mut self.ledger.at);
    }

    fn forward(
        &mut self,
        f: &Function,
        inputs: Vec<Buffer>,
        taped: bool,
    ) -> (Vec<Buffer>, tape::Tape) {
        tape::forward(&mut self.ledger, self.graph, f, inputs, taped, self.scale)
    }

    fn backward(
        &mut self,
        f: &Function,
        tape: tape::Tape,
        dy: Vec<Buffer>,
        wanted: bool,
    ) -> Vec<Buffer> {
        tape::backward(&mut self.ledger, self.graph, f, tape, dy, wanted, self.scale)
    }

    /// Notes what a step has added to what is held.
    fn note(&mut self, name: &str, before: usize) {
        let added = self.ledger.now.activations.saturating_sub(before);
        match self.stages.iter_mut().find(|(n, _)| n == name) {
            Some((_, bytes)) => *bytes += added,
            None => self.stages.push((name.to_owned(), added)),
        }
    }

    /// Embedding layers and head, there and back: the gradient of the pooled statistics.
    fn top(
        &mut self,
        pooled: Vec<Buffer>,
        head: usize,
        weights: usize,
        held: &mut usize,
    ) -> Vec<Buffer> {
        self.at("head");
        let tail = &self.graph.tail;
        let dy_size = self.bytes(tail.outputs[0]);
        let (embedding, tape) = self.forward(tail, pooled, true);
        let logits = self.ledger.new_buffer(head / HEAD * 6);
        *held = self.ledger.now.activations;
        self.ledger.scratch(head - head / HEAD * 6 + 2 * weights);
        self.ledger.gradient(weights);
        let dy = self.ledger.new_buffer(dy_size);
        self.ledger.release(logits);
        embedding.into_iter().for_each(|b| self.ledger.release(b));
        self.backward(tail, tape, vec![dy], true)
    }

    fn input(&mut self) -> Vec<Buffer> {
        let bytes = self.bytes(Value(0));
        vec![self.ledger.new_buffer(bytes)]
    }

    /// A step on an ordinary tape; `head` and `weights` are the head's bytes of activations and
    /// parameters. What is held between the passes.
    pub fn taped(&mut self, head: usize, weights: usize) -> usize {
        let graph = self.graph;
        let mut streams = self.input();
        let mut tapes = Vec::new();
        for (name, step) in &graph.steps {
            let before = self.ledger.now.activations;
            self.at(name);
            match step {
                Step::Keep(f) => {
                    let (out, tape) = self.forward(f, streams, true);
                    if graph.steps.len() == 1 {
                        self.stages = stages(graph, f, &tape, &self.ledger);
                    }
                    tapes.push((f, tape));
                    streams = out;
                }
                Step::Couple(f, g) => {
                    let [x1, x2] = streams[..] else { unreachable!("two streams") };
                    let x = self.ledger.share(x2);
                    let (y1, tape) = self.forward(f, vec![x], true);
                    tapes.push((f, tape));
                    let y1 = self.sum(x1, y1[0], f);
                    let x = self.ledger.share(y1);
                    let (y2, tape) = self.forward(g, vec![x], true);
                    tapes.push((g, tape));
                    let y2 = self.sum(x2, y2[0], g);
                    streams = vec![y1, y2];
                }
                Step::Rearrange(how) => streams = self.rearrange(*how, streams),
            }
            if graph.steps.len() > 1 {
                self.note(name, before);
            }
        }
        let mut held = 0;
        let mut dy = self.top(streams, head, weights, &mut held);
        for (name, step) in graph.steps.iter().rev() {
            self.at(name);
            match step {
                Step::Keep(_) => {
                    let (f, tape) = tapes.pop().expect("one a function");
                    dy = self.backward(f, tape, dy, !tapes.is_empty());
                }
                Step::Couple(..) => {
                    let [dy1, dy2] = dy[..] else { unreachable!("two streams") };
                    let (g, tape) = tapes.pop().expect("one a function");
                    let seed = self.ledger.share(dy2);
                    let dx = self.backward(g, tape, vec![seed], true);
                    let dy1 = self.sum(dy1, dx[0], g);
                    let (f, tape) = tapes.pop().expect("one a function");
                    let seed = self.ledger.share(dy1);
                    let dx = self.backward(f, tape, vec![seed], true);
                    dy = vec![dy1, self.sum(dy2, dx[0], f)];
                }
                Step::Rearrange(how) => dy = self.rearrange(how.inverse(), dy),
            }
        }
        held
    }

    /// x + y, in whichever nobody else uses.
    fn sum(&mut self, x: Buffer, y: Buffer, f: &Function) -> Buffer {
        let bytes = self.bytes(f.outputs[0]);
        tape::in_place(&mut self.ledger, &[x, y], bytes)
    }

    fn rearrange(&mut self, how: Rearrangement, streams: Vec<Buffer>) -> Vec<Buffer> {
        let ledger = &mut self.ledger;
        match (how, &streams[..]) {
            (Rearrangement::Squeeze, _) => {
                let copy = |b: Buffer| {
                    let made = ledger.new_buffer(ledger.bytes(b));
                    ledger.release(b);
                    made
                };
                streams.into_iter().map(copy).collect()
            }
            (Rearrangement::Split, &[one]) => vec![one, ledger.share(one)],
            (Rearrangement::Join, &[a, b]) => {
                // Two halves of one buffer are as large as the whole.
                let bytes =
                    if a == b { ledger.bytes(a) } else { ledger.bytes(a) + ledger.bytes(b) };
                let made = ledger.new_buffer(bytes);
                streams.into_iter().for_each(|b| ledger.release(b));
                vec![made]
            }
            // Behind a kept input nothing was recovered.
            _ => streams,
        }
    }

    /// The same with the body as one node.
    pub fn reversible(&mut self, head: usize, weights: usize) -> usize {
        let graph = self.graph;
        let mut streams = self.input();
        let mut kept = Vec::new();
        let mut rounded = false;
        for (name, step) in &graph.steps {
            let before = self.ledger.now.activations;
            self.at(name);
            match step {
                Step::Keep(f) => {
                    kept.push(streams.iter().map(|&b| self.ledger.share(b)).collect::<Vec<_>>());
                    streams = self.forward(f, streams, false).0;
                    rounded = false;
                }
                Step::Couple(f, g) => {
                    let [mut x1, mut x2] = streams[..] else { unreachable!("two streams") };
                    if !rounded {
                        // Halves of one tensor, and a tensor that is both streams, become two of
                        // their own.
                        let bytes = self.bytes(f.inputs[0]);
                        for x in [&mut x1, &mut x2] {
                            if !self.ledger.unique(*x) || self.ledger.bytes(*x) > bytes {
                                let made = self.ledger.new_buffer(bytes);
                                self.ledger.release(*x);
                                *x = made;
                            }
                        }
                        rounded = true;
                    }
                    let x = self.ledger.share(x2);
                    let y1 = self.forward(f, vec![x], false).0[0];
                    let y1 = self.sum(x1, y1, f);
                    let x = self.ledger.share(y1);
                    let y2 = self.forward(g, vec![x], false).0[0];
                    streams = vec![y1, self.sum(x2, y2, g)];
                }
                Step::Rearrange(how) => streams = self.rearrange(*how, streams),
            }
            self.note(name, before);
        }
        let mut held = 0;
        let mut dy = self.top(streams, head, weights, &mut held);
        let mut y: Vec<Buffer> = Vec::new();
        for (name, step) in graph.steps.iter().rev() {
            self.at(name);
            match step {
                Step::Keep(f) => {
                    y.drain(..).for_each(|b| self.ledger.release(b));
                    let x = kept.pop().expect("one for each");
                    let inputs = x.iter().map(|&b| self.ledger.share(b)).collect();
                    let (out, tape) = self.forward(f, inputs, true);
                    out.into_iter().for_each(|b| self.ledger.release(b));
                    dy = self.backward(f, tape, dy, !kept.is_empty());
                    y = x;
                }
                Step::Couple(f, g) => {
                    let ([y1, y2], [dy1, dy2]) = (pair(&y), pair(&dy));
                    let (x2, dg) = self.pull(g, y1, y2, dy2);
                    let dx1 = self.sum(dy1, dg, g);
                    let (x1, df) = self.pull(f, x2, y1, dx1);
                    (y, dy) = (vec![x1, x2], vec![dx1, self.sum(dy2, df, f)]);
                }
                Step::Rearrange(how) => {
                    y = self.rearrange(how.inverse(), y);
                    dy = self.rearrange(how.inverse(), dy);
                }
            }
        }
        y.into_iter().for_each(|b| self.ledger.release(b));
        held
    }

    /// A residual function of `x` again: the stream recovered from `y`, and the gradient of `x`.
    /// The references to `x` and `dy` stay the caller's.
    fn pull(&mut self, f: &Function, x: Buffer, y: Buffer, dy: Buffer) -> (Buffer, Buffer) {
        let inputs = vec![self.ledger.share(x)];
        let (out, tape) = self.forward(f, inputs, true);
        let recovered = self.sum(y, out[0], f);
        let seed = self.ledger.share(dy);
        let dx = self.backward(f, tape, vec![seed], true)[0];
        (recovered, dx)
    }
}

fn pair(streams: &[Buffer]) -> [Buffer; 2] {
    streams.try_into().expect("two streams")
}

/// What an ordinary network's tape holds, by the stages of its layers.
fn stages(graph: &Graph, f: &Function, tape: &tape::Tape, ledger: &Ledger) -> Vec<(String, usize)> {
    let mut stages: Vec<(String, usize)> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for (node, saved) in graph.nodes[f.nodes.clone()].iter().zip(tape.saved()) {
        let label = node.stage.to_string();
        let new = saved.iter().filter(|buffer| seen.insert(buffer.number()));
        let bytes: usize = new.map(|&buffer| ledger.bytes(buffer)).sum();
        match stages.iter_mut().find(|(name, _)| *name == label) {
            Some((_, sum)) => *sum += bytes,
            None => stages.push((label, bytes)),
        }
    }
    stages
}
