//! A function's forward and backward pass on the ledger: which operation makes a new buffer, writes
//! into one it was given, or keeps one for the way back.

use std::collections::HashMap;

use super::ledger::{Buffer, Ledger};
use super::play::Player;
use super::summed::is_summed;
use crate::nn::graph::{Function, Node, Op, Value};
use crate::nn::{Combine, Conv2dConfig, Map, Statistics};

/// What the forward pass leaves for the way back: for each operation the buffers it keeps.
pub(super) type Tape = Vec<Vec<Buffer>>;

impl Player<'_> {
    /// Bytes of a value.
    pub fn bytes(&self, value: Value) -> usize {
        self.machine.bytes(self.batch, self.graph.size(value))
    }

    /// Scratch space of an operation: output, weights' gradient, input's gradient. Only
    /// convolutions need it.
    fn scratch(&self, node: &Node) -> [usize; 3] {
        let x = || self.graph.size(node.inputs[0]);
        match &node.op {
            Op::Conv2d(conv) if conv.is_depthwise() => [0; 3],
            Op::Conv2d(conv) => self.machine.scratch(self.batch, conv, x(), &node.size),
            Op::Conv1d(conv) => self.flat_scratch(&conv.flat(), x(), &node.size),
            Op::Linear if node.size.len() == 2 => {
                let conv = Conv2dConfig::new(x()[0], node.size[0], 1);
                self.flat_scratch(&conv, x(), &node.size)
            }
            _ => [0; 3],
        }
    }

    /// That of a convolution over frames, as one over images of one mel.
    fn flat_scratch(&self, conv: &Conv2dConfig, x: &[usize], y: &[usize]) -> [usize; 3] {
        let image = |size: &[usize]| [size[0], 1, size[1]];
        self.machine.scratch(self.batch, conv, &image(x), &image(y))
    }

    /// Runs `f`, which owns the references in `x`; returns references to its outputs, and what is
    /// kept if `taped`.
    pub fn forward(&mut self, f: &Function, x: Vec<Buffer>, taped: bool) -> (Vec<Buffer>, Tape) {
        let nodes = &self.graph.nodes[f.nodes.clone()];
        let mut uses: HashMap<Value, usize> = HashMap::new();
        let read = nodes.iter().flat_map(|node| &node.inputs).chain(&f.outputs);
        read.for_each(|&v| *uses.entry(v).or_default() += 1);
        let mut values: HashMap<Value, Buffer> = f.inputs.iter().copied().zip(x).collect();
        // A reference for one use: the last one is handed over.
        let mut take = |ledger: &mut Ledger, values: &mut HashMap<Value, Buffer>, v: Value| {
            let left = uses.get_mut(&v).expect("counted before");
            *left -= 1;
            match left {
                0 => values.remove(&v).expect("used no more often than counted"),
                _ => ledger.share(values[&v]),
            }
        };
        let mut saved = Vec::new();
        for (i, node) in f.nodes.clone().zip(nodes) {
            let (out, x) = (Value(i + 1), node.inputs[0]);
            let bytes = self.bytes(out);
            let (centered, [workspace, ..]) = (self.bytes(x), self.scratch(node));
            let ledger = &mut self.ledger;
            let given: Vec<Buffer> =
                node.inputs.iter().map(|&v| take(ledger, &mut values, v)).collect();
            let mut kept = Vec::new();
            let made = match &node.op {
                // Without a tape the output takes the input's place.
                Op::Norm { .. } if !taped => ledger.in_place(&given, bytes),
                // The sum's operation normalises: until then its input stands for what it makes.
                Op::Norm { relu: false, .. } if is_summed(out, &nodes[i + 1 - f.nodes.start..]) => {
                    kept.push(given[0]);
                    ledger.share(given[0])
                }
                Op::Conv2d(_) | Op::Conv1d(_) | Op::Linear | Op::Norm { .. } => {
                    kept.push(given[0]);
                    let made = ledger.new_buffer(bytes);
                    ledger.scratch(workspace);
                    made
                }
                // A mask for each bound, of which a value takes as much as a number.
                Op::Map(Map::Clip20) if taped && self.machine.is_gpu() => {
                    kept.extend([(); 2].map(|()| ledger.new_buffer(bytes)));
                    ledger.in_place(&given, bytes)
                }
                Op::Map(f) if f.keeps_result() || !taped => {
                    let made = ledger.in_place(&given, bytes);
                    kept.push(ledger.share(made));
                    made
                }
                Op::Map(_) | Op::Scores(_) | Op::Attend(_) | Op::Mix => {
                    kept.extend(&given);
                    ledger.new_buffer(bytes)
                }
                // The values without their mean, and these divided by the deviation.
                Op::LayerNorm => {
                    kept.push(ledger.new_buffer(bytes));
                    ledger.release_all(given);
                    ledger.scratch(bytes);
                    kept.push(ledger.new_buffer(bytes));
                    ledger.new_buffer(bytes)
                }
                Op::SimAm if !taped && !self.machine.is_gpu() => ledger.in_place(&given, bytes),
                Op::SimAm => {
                    kept.push(given[0]);
                    let made = ledger.new_buffer(bytes);
                    // The values without their mean.
                    if self.machine.is_gpu() {
                        ledger.scratch(bytes);
                    }
                    made
                }
                Op::Combine(_) | Op::Snap(_) | Op::Shift(_) => {
                    if taped && node.op == Op::Combine(Combine::Multiply) {
                        kept = ledger.share_all(&given);
                    }
                    ledger.in_place(&given, bytes)
                }
                Op::Pad(_)
                | Op::Concat(_)
                | Op::Squeeze(_)
                | Op::Channels(_)
                | Op::Swap
                | Op::Mean(_)
                | Op::Segments(_)
                | Op::Spread
                | Op::Trim(_)
                | Op::Repeat(_) => {
                    let made = ledger.new_buffer(bytes);
                    ledger.release_all(given);
                    made
                }
                // Views.
                Op::Copy | Op::Reshape(_) | Op::Half(_) => given[0],
                Op::Pool(Statistics::Weighted(_)) => {
                    // Weighted values, for the mean; the same again and their products with the
                    // values, for the mean square.
                    ledger.scratch(centered);
                    kept.push(ledger.new_buffer(centered));
                    ledger.scratch(centered);
                    kept.extend(&given);
                    ledger.new_buffer(bytes)
                }
                Op::Pool(_) => {
                    // The values without their mean, and their squares.
                    kept.push(ledger.new_buffer(centered));
                    ledger.scratch(centered);
                    let made = ledger.new_buffer(bytes);
                    ledger.release(given[0]);
                    made
                }
            };
            if !taped {
                ledger.release_all(kept.drain(..));
            }
            saved.push(kept);
            values.insert(out, made);
        }
        let outputs = f.outputs.iter().map(|&v| take(&mut self.ledger, &mut values, v)).collect();
        (outputs, saved)
    }

    /// Walks back with the references to the outputs' gradients; returns references to the inputs',
    /// where wanted.
    pub fn backward(
        &mut self,
        f: &Function,
        tape: Tape,
        dy: Vec<Buffer>,
        wanted: bool,
    ) -> Vec<Buffer> {
        let nodes = &self.graph.nodes[f.nodes.clone()];
        let mut gradients = HashMap::new();
        f.outputs.iter().zip(dy).for_each(|(&v, g)| self.add(&mut gradients, v, g));
        for ((i, node), kept) in f.nodes.clone().zip(nodes).zip(tape).rev() {
            let Some(dy) = gradients.remove(&Value(i + 1)) else { continue };
            let needs = |v: &Value| wanted || !f.inputs.contains(v);
            let x = node.inputs[0];
            let (size, [_, weights, input]) = (self.bytes(x), self.scratch(node));
            self.ledger.gradient(4 * self.graph.node_parameters(node));
            match &node.op {
                Op::Conv2d(_) | Op::Conv1d(_) => {
                    self.ledger.scratch(weights);
                    self.ledger.release_all(kept);
                    if needs(&x) {
                        let made = self.ledger.new_buffer(size);
                        self.ledger.scratch(input);
                        self.add(&mut gradients, x, made);
                    }
                    self.ledger.release(dy);
                }
                Op::Norm { .. } => {
                    let made = self.ledger.in_place(&[dy], size);
                    self.ledger.release_all(kept);
                    self.add(&mut gradients, x, made);
                }
                Op::Map(f) if self.machine.is_gpu() || !f.keeps_result() => {
                    let made = self.ledger.in_place(&[dy], size);
                    self.ledger.release_all(kept);
                    self.add(&mut gradients, x, made);
                }
                Op::SimAm if !self.machine.is_gpu() => {
                    let made = self.ledger.in_place(&[dy], size);
                    self.ledger.release_all(kept);
                    self.add(&mut gradients, x, made);
                }
                Op::Map(_) => {
                    let made = self.ledger.in_place(&[kept[0], dy], size);
                    self.add(&mut gradients, x, made);
                }
                Op::Combine(Combine::Add | Combine::Subtract | Combine::Mean) | Op::Shift(_) => {
                    let one = match node.op == Op::Combine(Combine::Mean) {
                        true => self.ledger.in_place(&[dy], size),
                        false => dy,
                    };
                    let second = self.bytes(node.inputs[1]);
                    let other = match node.op == Op::Combine(Combine::Subtract) || second < size {
                        true => self.ledger.new_buffer(second),
                        false => self.ledger.share(one),
                    };
                    self.add(&mut gradients, x, one);
                    self.add(&mut gradients, node.inputs[1], other);
                }
                Op::Copy | Op::Pad(_) | Op::Reshape(_) | Op::Snap(_) => match needs(&x) {
                    true => self.add(&mut gradients, x, dy),
                    false => self.ledger.release(dy),
                },
                Op::Combine(Combine::Multiply)
                | Op::Concat(_)
                | Op::Half(_)
                | Op::Squeeze(_)
                | Op::Channels(_)
                | Op::Swap
                | Op::Mean(_)
                | Op::Segments(_)
                | Op::Spread
                | Op::Trim(_)
                | Op::Repeat(_)
                | Op::Scores(_)
                | Op::Attend(_)
                | Op::Mix
                | Op::LayerNorm
                | Op::SimAm
                | Op::Linear => {
                    for &v in node.inputs.iter().filter(|v| needs(v)) {
                        let made = self.ledger.new_buffer(self.bytes(v));
                        self.add(&mut gradients, v, made);
                    }
                    self.ledger.release_all(kept.into_iter().chain([dy]));
                }
                Op::Pool(Statistics::Weighted(_)) => {
                    // Both gradients, each a sum of terms of which one more is there at a time. For
                    // the second one, what was kept is gone.
                    let [values, weights] = [(); 2].map(|()| self.ledger.new_buffer(size));
                    self.ledger.scratch(size);
                    self.ledger.release_all(kept.into_iter().chain([dy]));
                    self.add(&mut gradients, x, values);
                    self.add(&mut gradients, node.inputs[1], weights);
                }
                Op::Pool(_) => {
                    let made = self.ledger.new_buffer(size);
                    self.ledger.scratch(2 * size);
                    self.ledger.release_all(kept.into_iter().chain([dy]));
                    self.add(&mut gradients, x, made);
                }
            }
        }
        if !wanted {
            self.ledger.release_all(gradients.into_values());
            return Vec::new();
        }
        let made = |v: &Value| {
            let gradient = gradients.remove(v);
            gradient.unwrap_or_else(|| self.ledger.new_buffer(self.bytes(*v)))
        };
        f.inputs.iter().map(made).collect()
    }

    /// Adds to a value's gradient.
    fn add(&mut self, gradients: &mut HashMap<Value, Buffer>, v: Value, more: Buffer) {
        let bytes = self.bytes(v);
        let sum = match gradients.remove(&v) {
            None => more,
            Some(old) => self.ledger.in_place(&[more, old], bytes),
        };
        gradients.insert(v, sum);
    }
}
