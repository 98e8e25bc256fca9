//! What a network costs, counted on its [`Graph`].

use std::collections::BTreeSet;

use crate::nn::graph::{Function, Graph, Op, Step, Value};
use crate::nn::{Combine, Stage};

/// A network's costs for one utterance.
#[derive(Debug, Clone)]
pub struct Account(pub(super) Graph);

impl Account {
    /// Trainable parameters of the backbone.
    pub fn parameters(&self) -> usize {
        self.0.parameters()
    }

    /// Multiply-accumulate operations.
    pub fn macs(&self) -> usize {
        self.0.macs()
    }

    /// Bytes of f32 activations that an ordinary tape keeps: inputs of convolutions and BatchNorm
    /// and outputs of ReLU, each once; without the pooling and what follows.
    pub fn activation_bytes(&self) -> usize {
        let functions = self.0.steps.iter().flat_map(|(_, step)| step.functions());
        functions.map(|f| self.bytes(&kept(&self.0, f))).sum()
    }

    /// Bytes of f32 activations that reversible execution keeps between the passes. What the stem
    /// makes for a function right behind it is computed again.
    pub fn held_bytes(&self) -> usize {
        let held = |(i, step): (usize, &Step)| match step {
            Step::Keep(f) if i == 1 && f.inputs.len() == 1 => 0,
            Step::Keep(f) => self.bytes(&f.inputs),
            Step::Couple(..) | Step::Squeeze | Step::Halves(_) => 0,
        };
        self.0.steps.iter().map(|(_, step)| step).enumerate().map(held).sum()
    }

    fn bytes<'v>(&self, values: impl IntoIterator<Item = &'v Value>) -> usize {
        values.into_iter().map(|&v| 4 * self.0.elements(v)).sum()
    }
}

/// Values that an ordinary tape keeps for the backward pass of a function, each once.
fn kept(graph: &Graph, f: &Function) -> BTreeSet<Value> {
    let mut kept = BTreeSet::new();
    for (i, node) in f.nodes.clone().zip(&graph.nodes[f.nodes.clone()]) {
        let output = Value(i + 1);
        // Attention over frames belongs to the pooling.
        let attention = node.stage == Stage::POOLING;
        match &node.op {
            Op::Conv2d(_) | Op::Norm { relu: false, .. } | Op::Combine(Combine::Multiply) => {
                kept.extend(&node.inputs);
            }
            Op::Norm { relu: true, .. } => kept.extend(node.inputs.iter().copied().chain([output])),
            _ if attention => (),
            Op::Conv1d(_) | Op::Linear | Op::LayerNorm | Op::SimAm => kept.extend(&node.inputs),
            Op::Scores(_) | Op::Attend(_) | Op::Mix => kept.extend(&node.inputs),
            Op::Map(f) if f.keeps_result() => kept.extend([output]),
            Op::Map(_) => kept.extend(&node.inputs),
            Op::Pool(_) => (),
            // Their derivatives need no value.
            Op::Combine(Combine::Add | Combine::Subtract | Combine::Mean) | Op::Concat(_) => (),
            Op::Copy | Op::Pad(_) | Op::Mean(_) | Op::Segments(_) | Op::Spread => (),
            Op::Reshape(_) | Op::Half(_) | Op::Channels(_) | Op::Swap | Op::Squeeze(_) => (),
            Op::Snap(_) | Op::Shift(_) | Op::Trim(_) | Op::Repeat(_) => (),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use crate::zoo::Architecture;

    /// Elements kept for one 80 x 200 crop, counted by hand from the rules: a basic block keeps 4 C
    /// N, a bottleneck of inner width p 12 p N, an inverted bottleneck 18 C N, a projection
    /// shortcut its output, the stem (1 + 2 * 32) N.
    #[test]
    fn kept_activations_follow_the_rules() {
        for (name, elements) in [
            ("resnet34", 15_568_000),
            ("resnet50", 49_808_000),
            ("resnet101", 75_920_000),
            ("resnet152", 108_176_000),
            ("resnet221", 169_616_000),
            ("resnet293", 231_056_000),
            ("df-resnet56", 67_600_000),
            ("df-resnet110", 109_072_000),
            ("df-resnet179", 173_584_000),
            ("df-resnet233", 215_056_000),
        ] {
            let account = Architecture::named(name).unwrap().account(200).unwrap();
            assert_eq!(account.activation_bytes(), 4 * elements, "{name}");
        }
    }

    /// WeSpeaker's README gives 4.55 G for ResNet34, 21.29 G for ResNet221, 28.10 G for ResNet293
    /// (2 s crops).
    #[test]
    fn multiplications_match_published_figures() {
        for (name, giga) in [("resnet34", 4.55), ("resnet221", 21.29), ("resnet293", 28.10)] {
            let macs = Architecture::named(name).unwrap().account(200).unwrap().macs() as f64 / 1e9;
            assert!((macs - giga).abs() / giga < 0.02, "{name}: {macs}");
        }
    }
}
