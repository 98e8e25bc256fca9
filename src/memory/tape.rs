//! A function's forward and backward pass on the ledger: which operation makes a new buffer, writes
//! into one it was given, or keeps one for the way back.

use super::ledger::{Buffer, Ledger};
use crate::backend::convolution::{Window, scratch};
use crate::nn::Conv2dConfig;
use crate::nn::graph::{Function, Graph, Op, Value};

/// Sizes that turn elements into bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    pub batch: usize,
    pub threads: usize,
}

impl Scale {
    pub fn bytes(&self, graph: &Graph, value: Value) -> usize {
        4 * self.batch * graph.elements(value)
    }

    /// Scratch space of a convolution of `x`: output, weights' gradient, input's gradient.
    /// Depthwise ones need next to none.
    fn scratch(&self, conv: &Conv2dConfig, x: &[usize]) -> [usize; 3] {
        if conv.groups > 1 {
            return [0; 3];
        }
        let (size, window) = ([self.batch, x[0], x[1], x[2]], Window { stride: conv.stride });
        scratch(size, conv.weight_shape(), window, self.threads)
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

/// Where a function's values stand in its lists: inputs first, then what its nodes make.
struct Slots<'f>(&'f Function);

impl Slots<'_> {
    fn count(&self) -> usize {
        self.0.inputs.len() + self.0.nodes.len()
    }

    fn of(&self, value: Value) -> usize {
        let input = self.0.inputs.iter().position(|&v| v == value);
        input.unwrap_or_else(|| {
            let node = value.0.checked_sub(1 + self.0.nodes.start);
            self.0.inputs.len() + node.expect("a function reads its inputs and its own values")
        })
    }

    /// Of what the function's node `i` makes.
    fn made(&self, i: usize) -> usize {
        self.0.inputs.len() + i
    }

    fn is_input(&self, slot: usize) -> bool {
        slot < self.0.inputs.len()
    }
}

/// Runs `f`, which owns the references in `inputs`; returns references to its outputs, and the tape
/// if there is one.
pub(super) fn forward(
    ledger: &mut Ledger,
    graph: &Graph,
    f: &Function,
    inputs: Vec<Buffer>,
    taped: bool,
    scale: Scale,
) -> (Vec<Buffer>, Tape) {
    let (slots, nodes) = (Slots(f), &graph.nodes[f.nodes.clone()]);
    let mut uses = vec![0usize; slots.count()];
    nodes.iter().flat_map(|n| &n.inputs).chain(&f.outputs).for_each(|&v| uses[slots.of(v)] += 1);
    let mut values: Vec<Option<Buffer>> = inputs.into_iter().map(Some).collect();
    values.resize(uses.len(), None);
    let mut saved = vec![Vec::new(); nodes.len()];
    // A reference for one use: the last one is handed over.
    fn take(
        ledger: &mut Ledger,
        uses: &mut [usize],
        values: &mut [Option<Buffer>],
        slot: usize,
    ) -> Buffer {
        uses[slot] -= 1;
        match uses[slot] {
            0 => values[slot].take().expect("used no more often than counted"),
            _ => ledger.share(values[slot].expect("made before")),
        }
    }
    for (i, node) in nodes.iter().enumerate() {
        let out = slots.made(i);
        let bytes = scale.bytes(graph, Value(f.nodes.start + i + 1));
        let read = node.inputs.iter();
        let given: Vec<Buffer> =
            read.map(|&v| take(ledger, &mut uses, &mut values, slots.of(v))).collect();
        let made = match &node.op {
            // Without a tape the output takes the input's place.
            Op::Norm { .. } if !taped => in_place(ledger, &given, bytes),
            Op::Conv2d(_) | Op::Conv1d(_) | Op::Linear | Op::Norm { .. } => {
                if taped {
                    saved[i].push(ledger.share(given[0]));
                }
                let made = ledger.new_buffer(bytes);
                if let Op::Conv2d(conv) = &node.op {
                    ledger.scratch(scale.scratch(conv, graph.size(node.inputs[0]))[0]);
                }
                ledger.release(given[0]);
                made
            }
            Op::Relu | Op::Sigmoid | Op::Tanh | Op::Softmax => {
                let made = in_place(ledger, &given, bytes);
                if taped {
                    saved[i].push(ledger.share(made));
                }
                made
            }
            Op::Multiply => {
                if taped {
                    saved[i].extend(given.iter().map(|&g| ledger.share(g)));
                }
                in_place(ledger, &given, bytes)
            }
            Op::Add | Op::Mean | Op::Snap { .. } | Op::Shift { .. } => {
                in_place(ledger, &given, bytes)
            }
            Op::Pad(_) | Op::Concat { .. } | Op::Squeeze(_) => {
                let made = ledger.new_buffer(bytes);
                given.into_iter().for_each(|g| ledger.release(g));
                made
            }
            // Views.
            Op::Copy | Op::Reshape(_) | Op::Half { .. } => given[0],
            Op::Pool(_) => {
                // The values without their mean, and their squares.
                let centered = ledger.new_buffer(scale.bytes(graph, node.inputs[0]));
                ledger.scratch(scale.bytes(graph, node.inputs[0]));
                let made = ledger.new_buffer(bytes);
                ledger.release(given[0]);
                for kept in std::iter::once(centered).chain(given[1..].iter().copied()) {
                    match taped {
                        true => saved[i].push(kept),
                        false => ledger.release(kept),
                    }
                }
                made
            }
        };
        match uses[out] {
            0 => ledger.release(made),
            _ => values[out] = Some(made),
        }
    }
    let outputs = f.outputs.iter();
    let outputs = outputs.map(|&v| take(ledger, &mut uses, &mut values, slots.of(v))).collect();
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
    graph: &Graph,
    f: &Function,
    mut tape: Tape,
    dy: Vec<Buffer>,
    wanted: bool,
    scale: Scale,
) -> Vec<Buffer> {
    let slots = Slots(f);
    let mut gradients: Vec<Option<Buffer>> = vec![None; slots.count()];
    let add = |ledger: &mut Ledger, gradients: &mut Vec<Option<Buffer>>, v: Value, g: Buffer| {
        let slot = slots.of(v);
        gradients[slot] = Some(match gradients[slot] {
            None => g,
            Some(old) => in_place(ledger, &[g, old], scale.bytes(graph, v)),
        });
    };
    for (&v, g) in f.outputs.iter().zip(dy) {
        add(ledger, &mut gradients, v, g);
    }
    for (i, node) in graph.nodes[f.nodes.clone()].iter().enumerate().rev() {
        let Some(dy) = gradients[slots.made(i)].take() else { continue };
        let kept = std::mem::take(&mut tape.saved[i]);
        let needs = |v: Value| wanted || !slots.is_input(slots.of(v));
        let x = node.inputs[0];
        let size = scale.bytes(graph, x);
        let parameters = 4 * graph.node_parameters(node);
        match &node.op {
            Op::Conv2d(_) | Op::Conv1d(_) => {
                let [_, weights, input] = match &node.op {
                    Op::Conv2d(conv) => scale.scratch(conv, graph.size(x)),
                    _ => [0; 3],
                };
                ledger.gradient(parameters);
                ledger.scratch(weights);
                kept.into_iter().for_each(|b| ledger.release(b));
                if needs(x) {
                    let made = ledger.new_buffer(size);
                    ledger.scratch(input);
                    add(ledger, &mut gradients, x, made);
                }
                ledger.release(dy);
            }
            Op::Norm { .. } | Op::Linear => {
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
            Op::Relu | Op::Sigmoid | Op::Tanh | Op::Softmax => {
                let made = in_place(ledger, &[kept[0], dy], size);
                add(ledger, &mut gradients, x, made);
            }
            Op::Add | Op::Shift { .. } => {
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
            Op::Copy | Op::Pad(_) | Op::Reshape(_) | Op::Snap { .. } => {
                if needs(x) {
                    add(ledger, &mut gradients, x, dy);
                } else {
                    ledger.release(dy);
                }
            }
            Op::Multiply | Op::Concat { .. } | Op::Half { .. } | Op::Squeeze(_) => {
                for &v in node.inputs.iter().filter(|&&v| needs(v)) {
                    let made = ledger.new_buffer(scale.bytes(graph, v));
                    add(ledger, &mut gradients, v, made);
                }
                kept.into_iter().for_each(|b| ledger.release(b));
                ledger.release(dy);
            }
            Op::Pool(_) => {
                let made = ledger.new_buffer(size);
                ledger.scratch(2 * size);
                kept.into_iter().for_each(|b| ledger.release(b));
                ledger.release(dy);
                add(ledger, &mut gradients, x, made);
                for &attention in &node.inputs[1..] {
                    let made = ledger.new_buffer(size);
                    add(ledger, &mut gradients, attention, made);
                }
            }
        }
    }
    let inputs: Vec<Option<Buffer>> = gradients.into_iter().take(f.inputs.len()).collect();
    match wanted {
        true => {
            let all = f.inputs.iter().zip(inputs);
            all.map(|(&v, g)| g.unwrap_or_else(|| ledger.new_buffer(scale.bytes(graph, v))))
                .collect()
        }
        false => {
            inputs.into_iter().flatten().for_each(|g| ledger.release(g));
            Vec::new()
        }
    }
}
