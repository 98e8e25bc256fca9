//! A function's forward and backward pass on the ledger: which operation makes a new buffer, writes
//! into one it was given, or keeps one for the way back.

use super::ledger::{Buffer, Ledger};
use crate::backend::convolution::{Window, scratch};
use crate::nn::Conv2dConfig;
use crate::zoo::sketch::{Function, Op, Size, Value};

/// Sizes that turn elements into bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    pub batch: usize,
    pub threads: usize,
}

impl Scale {
    fn bytes(&self, f: &Function, value: Value) -> usize {
        4 * self.batch * f.size(value).iter().product::<usize>()
    }

    /// Scratch space of a convolution of `x`: output, weights' gradient, input's gradient.
    /// Depthwise ones need next to none.
    fn scratch(&self, conv: &Conv2dConfig, x: Size) -> [usize; 3] {
        if conv.groups > 1 {
            return [0; 3];
        }
        scratch(
            [self.batch, x[0], x[1], x[2]],
            conv.weight_shape(),
            Window { stride: conv.stride },
            self.threads,
        )
    }
}

/// What the forward pass leaves for the way back: for each operation the buffers it keeps.
pub(super) struct Tape {
    saved: Vec<Vec<Buffer>>,
}

impl Tape {
    /// The buffers that each operation keeps.
    pub fn saved(&self) -> &[Vec<Buffer>] {
        &self.saved
    }
}

/// Whether this operation and the normalisation in front of it are one.
fn is_fused(f: &Function, node: usize) -> bool {
    let input = f.nodes[node].inputs[0];
    f.nodes[node].op == Op::Relu
        && input >= f.inputs.len()
        && f.nodes[input - f.inputs.len()].op == Op::BatchNorm(true)
}

/// Runs `f`, which owns the references in `inputs`; returns references to its outputs, and the tape
/// if there is one.
pub(super) fn forward(
    ledger: &mut Ledger,
    f: &Function,
    inputs: Vec<Buffer>,
    taped: bool,
    scale: Scale,
) -> (Vec<Buffer>, Tape) {
    let mut uses = vec![0usize; f.inputs.len() + f.nodes.len()];
    f.nodes.iter().flat_map(|n| &n.inputs).chain(&f.outputs).for_each(|&v| uses[v] += 1);
    let mut values: Vec<Option<Buffer>> = inputs.into_iter().map(Some).collect();
    values.resize(uses.len(), None);
    let mut saved = vec![Vec::new(); f.nodes.len()];
    // A reference for one use: the last one is handed over.
    fn take(
        ledger: &mut Ledger,
        uses: &mut [usize],
        values: &mut [Option<Buffer>],
        v: Value,
    ) -> Buffer {
        uses[v] -= 1;
        match uses[v] {
            0 => values[v].take().expect("used no more often than counted"),
            _ => ledger.share(values[v].expect("made before")),
        }
    }
    for (i, node) in f.nodes.iter().enumerate() {
        let out = f.inputs.len() + i;
        let bytes = scale.bytes(f, out);
        let given: Vec<Buffer> =
            node.inputs.iter().map(|&v| take(ledger, &mut uses, &mut values, v)).collect();
        let made = match &node.op {
            // Without a tape the output takes the input's place.
            Op::BatchNorm(_) if !taped => in_place(ledger, &given, bytes),
            Op::Conv(_) | Op::Linear | Op::BatchNorm(_) => {
                if taped {
                    saved[i].push(ledger.share(given[0]));
                }
                let made = ledger.new_buffer(bytes);
                if let Op::Conv(conv) = &node.op {
                    ledger.scratch(scale.scratch(conv, f.size(node.inputs[0]))[0]);
                }
                ledger.release(given[0]);
                made
            }
            Op::Relu if is_fused(f, i) => given[0],
            Op::Relu => {
                let made = in_place(ledger, &given, bytes);
                if taped {
                    saved[i].push(ledger.share(made));
                }
                made
            }
            Op::Add | Op::Mean => in_place(ledger, &given, bytes),
            Op::Pad => {
                let made = ledger.new_buffer(bytes);
                given.into_iter().for_each(|g| ledger.release(g));
                made
            }
            Op::Pool(_) => {
                // The values without their mean, and their squares.
                let centered = ledger.new_buffer(scale.bytes(f, node.inputs[0]));
                ledger.scratch(scale.bytes(f, node.inputs[0]));
                let made = ledger.new_buffer(bytes);
                ledger.release(given[0]);
                match taped {
                    true => saved[i].push(centered),
                    false => ledger.release(centered),
                }
                made
            }
        };
        match uses[out] {
            0 => ledger.release(made),
            _ => values[out] = Some(made),
        }
    }
    let outputs = f.outputs.iter().map(|&v| take(ledger, &mut uses, &mut values, v)).collect();
    values.into_iter().flatten().for_each(|unused| ledger.release(unused));
    (outputs, Tape { saved })
}

/// The result of an element-wise operation: in the first operand that nobody else uses, or new.
pub(super) fn in_place(ledger: &mut Ledger, given: &[Buffer], bytes: usize) -> Buffer {
    let place = given.iter().copied().find(|&g| ledger.unique(g));
    let made = place.unwrap_or_else(|| ledger.new_buffer(bytes));
    given.iter().filter(|&&g| g != made).for_each(|&g| ledger.release(g));
    made
}

/// Walks back with the references to the outputs' gradients; returns references to the inputs',
/// where wanted.
pub(super) fn backward(
    ledger: &mut Ledger,
    f: &Function,
    mut tape: Tape,
    dy: Vec<Buffer>,
    wanted: bool,
    scale: Scale,
) -> Vec<Buffer> {
    let mut gradients: Vec<Option<Buffer>> = vec![None; f.inputs.len() + f.nodes.len()];
    let add = |ledger: &mut Ledger, gradients: &mut Vec<Option<Buffer>>, v: Value, g: Buffer| {
        gradients[v] = Some(match gradients[v] {
            None => g,
            Some(old) => in_place(ledger, &[g, old], scale.bytes(f, v)),
        });
    };
    for (&v, g) in f.outputs.iter().zip(dy) {
        add(ledger, &mut gradients, v, g);
    }
    for (i, node) in f.nodes.iter().enumerate().rev() {
        let out = f.inputs.len() + i;
        let Some(dy) = gradients[out].take() else { continue };
        let kept = std::mem::take(&mut tape.saved[i]);
        let needs = |v: Value| wanted || v >= f.inputs.len();
        let x = node.inputs[0];
        let size = scale.bytes(f, x);
        let parameters = 4 * node.parameters(f.size(x));
        match &node.op {
            Op::Conv(conv) => {
                ledger.gradient(parameters);
                let [_, weights, input] = scale.scratch(conv, f.size(x));
                ledger.scratch(weights);
                kept.into_iter().for_each(|b| ledger.release(b));
                if needs(x) {
                    let made = ledger.new_buffer(size);
                    ledger.scratch(input);
                    add(ledger, &mut gradients, x, made);
                }
                ledger.release(dy);
            }
            Op::BatchNorm(_) | Op::Linear => {
                ledger.gradient(parameters);
                let made = match ledger.unique(dy) && node.op != Op::Linear {
                    true => dy,
                    false => {
                        let made = ledger.new_buffer(size);
                        ledger.release(dy);
                        made
                    }
                };
                kept.into_iter().for_each(|b| ledger.release(b));
                add(ledger, &mut gradients, x, made);
            }
            Op::Relu => match kept.first() {
                None => add(ledger, &mut gradients, x, dy),
                Some(&y) => {
                    let made = in_place(ledger, &[y, dy], size);
                    add(ledger, &mut gradients, x, made);
                }
            },
            Op::Add => {
                let other = ledger.share(dy);
                add(ledger, &mut gradients, node.inputs[0], dy);
                add(ledger, &mut gradients, node.inputs[1], other);
            }
            Op::Mean => {
                let half = in_place(ledger, &[dy], size);
                let other = ledger.share(half);
                add(ledger, &mut gradients, node.inputs[0], half);
                add(ledger, &mut gradients, node.inputs[1], other);
            }
            Op::Pad => {
                if needs(x) {
                    add(ledger, &mut gradients, x, dy);
                } else {
                    ledger.release(dy);
                }
            }
            Op::Pool(_) => {
                ledger.gradient(parameters);
                let made = ledger.new_buffer(size);
                ledger.scratch(2 * size);
                kept.into_iter().for_each(|b| ledger.release(b));
                ledger.release(dy);
                add(ledger, &mut gradients, x, made);
            }
        }
    }
    let inputs: Vec<Option<Buffer>> = gradients.into_iter().take(f.inputs.len()).collect();
    match wanted {
        true => {
            let all = inputs.into_iter().enumerate();
            all.map(|(v, g)| g.unwrap_or_else(|| ledger.new_buffer(scale.bytes(f, v)))).collect()
        }
        false => {
            inputs.into_iter().flatten().for_each(|g| ledger.release(g));
            Vec::new()
        }
    }
}
