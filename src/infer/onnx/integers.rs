//! Which layers of a file compute in integers, and which of its values are bytes.
//!
//! Runtimes compute a convolution in integers if its weights are integers, and what it reads and
//! what it makes are bytes: `DequantizeLinear` in front, `QuantizeLinear` behind. The file's bytes
//! are those that the [`Runtime`](crate::infer::Runtime) has. It adds up and keeps some results of
//! convolutions in floats; in the file these are bytes as well.

mod weights;

use std::collections::{HashMap, HashSet};

use crate::error::Result;
use crate::infer::kernels::Scale;
use crate::infer::layer::Numbers;
use crate::infer::lower::{Group, Work, grouped, lower};
use crate::infer::plane::Form;
use crate::nn::graph::{Graph, Op, Value};
use crate::quant::Activations;
pub(super) use weights::write;

/// A convolution in integers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layer {
    /// How its input's bytes stand for values.
    pub input: Scale,
    /// The node of the BatchNorm layer that is folded into it.
    pub norm: Option<usize>,
}

/// What of a network is integers. Without layers, nothing is.
#[derive(Debug, Default)]
pub(super) struct Integers {
    /// The layers by node.
    layers: HashMap<usize, Layer>,
    /// The nodes of their BatchNorm layers.
    folded: HashSet<usize>,
    /// Values that are bytes in the runtime.
    bytes: HashMap<Value, Scale>,
    /// Values that are bytes in the file alone.
    pub(super) further: HashMap<Value, Scale>,
}

impl Integers {
    /// The layers that have ranges compute in integers.
    ///
    /// # Errors
    /// An operation that the runtime lacks; ranges of what cannot compute in integers.
    pub fn of(graph: &Graph, activations: &Activations) -> Result<Self> {
        let lowered = lower(graph, Some(activations))?;
        let mut steps = HashMap::new();
        for step in &lowered.steps {
            if let Work::Layer { layer, .. } = &step.work
                && let Some(name) = layer.name(graph)
            {
                steps.insert(name, (layer.numbers, lowered.values[step.output].form));
            }
        }
        let (mut all, mut results) = (Self::default(), Vec::new());
        for (last, group) in grouped(graph) {
            let made = Value(last + 1);
            let Some(&tensor) = graph.nodes[group.layer].tensors.first() else { continue };
            let name = graph.tensors[tensor].name.as_str();
            let Some(&(numbers, form)) = steps.get(name) else { continue };
            if let Form::Bytes(scale) = form {
                all.bytes.insert(made, scale);
            }
            if let (Numbers::Bytes(input), Some(ranges)) = (numbers, activations.layers.get(name)) {
                all.layers.insert(group.layer, Layer { input, norm: group.norm });
                all.folded.extend(group.norm);
                results.push((made, group, ranges.output));
            }
        }
        for (made, group, range) in results {
            all.round(graph, made, group, range);
        }
        Ok(all)
    }

    /// Has bytes behind a convolution, if need be. `made` is what its group makes, `range` that
    /// value's range.
    fn round(&mut self, graph: &Graph, made: Value, group: Group, range: [f32; 2]) {
        let bytes = self.bytes.get(&made).copied();
        let Some(added) = group.add else {
            if bytes.is_none() {
                let scale = self.reader(graph, made).unwrap_or_else(|| Scale::of(range));
                self.further.insert(made, scale);
            }
            return;
        };
        // Nothing is known of a summand in floats, and so nothing of what it is added to.
        let Some(other) = self.scale(source(graph, added)) else { return };
        // Where one summand is beyond this range, the sum is beyond its own.
        let ([low, high], [least, most]) = (bytes.map_or(range, ends), ends(other));
        let range = [low - most, high - least].map(|end| end.clamp(f32::MIN, f32::MAX));
        let summand = Value(group.norm.unwrap_or(group.layer) + 1);
        self.further.insert(summand, Scale::of(range));
    }

    /// The scale in which a layer in integers reads a value.
    fn reader(&self, graph: &Graph, value: Value) -> Option<Scale> {
        graph.nodes.iter().enumerate().find_map(|(n, node)| {
            let layer = self.layers.get(&n)?;
            (source(graph, node.inputs[0]) == value).then_some(layer.input)
        })
    }

    /// The layer of a node, if it computes in integers.
    pub fn layer(&self, node: usize) -> Option<Layer> {
        self.layers.get(&node).copied()
    }

    /// Whether a node is a BatchNorm layer that is part of a convolution.
    pub fn is_folded(&self, node: usize) -> bool {
        self.folded.contains(&node)
    }

    /// How bytes stand for a value, if it is bytes for all its readers.
    pub fn scale(&self, value: Value) -> Option<Scale> {
        self.bytes.get(&value).or_else(|| self.further.get(&value)).copied()
    }
}

/// The lowest and the highest value of bytes.
fn ends(scale: Scale) -> [f32; 2] {
    [scale.value(0), scale.value(u8::MAX)]
}

/// The value that a value is a copy of.
fn source(graph: &Graph, mut value: Value) -> Value {
    while let Some(node) = value.0.checked_sub(1).map(|n| &graph.nodes[n])
        && node.op == Op::Copy
    {
        value = node.inputs[0];
    }
    value
}

#[cfg(test)]
mod tests;
