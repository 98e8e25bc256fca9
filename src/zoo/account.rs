//! What a network costs, counted on its [`Graph`].

use std::collections::BTreeSet;

use crate::nn::graph::{Function, Graph, Op, Step, Value};

/// One layer's share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerCost {
    /// The layer's name in the checkpoint.
    pub name: String,
    /// Trainable parameters.
    pub parameters: usize,
    /// Multiply-accumulate operations for one utterance.
    pub macs: usize,
}

/// A network's costs for one utterance.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// Layers with parameters, in the order of the forward pass.
    pub layers: Vec<LayerCost>,
    /// Elements that an ordinary tape keeps for the backward pass: inputs of convolutions and
    /// BatchNorm and outputs of ReLU, each once; without the pooling and what follows.
    pub kept: usize,
    /// Elements that reversible execution keeps.
    pub held: usize,
}

impl Account {
    pub(super) fn of(graph: &Graph) -> Self {
        let mut account = Self::default();
        for node in &graph.nodes {
            let (parameters, macs) = (graph.node_parameters(node), graph.node_macs(node));
            if let Some(name) = graph.layer(node).filter(|_| parameters > 0 || macs > 0) {
                account.layers.push(LayerCost { name: name.to_owned(), parameters, macs });
            }
        }
        for (_, step) in &graph.steps {
            if let Step::Keep(f) = step {
                account.held += f.inputs.iter().map(|&v| graph.elements(v)).sum::<usize>();
            }
            let kept = Graph::functions(step).into_iter().flat_map(|f| kept(graph, f));
            account.kept += kept.map(|v| graph.elements(v)).sum::<usize>();
        }
        account
    }

    /// Trainable parameters of the backbone.
    pub fn parameters(&self) -> usize {
        self.layers.iter().map(|l| l.parameters).sum()
    }

    /// Multiply-accumulate operations for one utterance.
    pub fn macs(&self) -> usize {
        self.layers.iter().map(|l| l.macs).sum()
    }

    /// Bytes of f32 activations that an ordinary tape keeps for one utterance, without the pooling
    /// and what follows.
    pub fn activation_bytes(&self) -> usize {
        4 * self.kept
    }

    /// Bytes of f32 activations that reversible execution keeps for one utterance between the
    /// passes.
    pub fn held_bytes(&self) -> usize {
        4 * self.held
    }
}

/// Values that an ordinary tape keeps for the backward pass of a function, each once.
fn kept(graph: &Graph, f: &Function) -> BTreeSet<Value> {
    let mut kept = BTreeSet::new();
    for (i, node) in f.nodes.clone().zip(&graph.nodes[f.nodes.clone()]) {
        let output = Value(i + 1);
        match node.op {
            Op::Conv2d(_) | Op::Norm { relu: false } | Op::Multiply => kept.extend(&node.inputs),
            Op::Norm { relu: true } => kept.extend(node.inputs.iter().copied().chain([output])),
            Op::Relu | Op::Sigmoid => _ = kept.insert(output),
            // Attention over frames belongs to the pooling.
            Op::Conv1d(_) | Op::Tanh | Op::Softmax | Op::Pool(_) | Op::Linear => (),
            // Their derivatives need no value.
            Op::Add
            | Op::Mean
            | Op::Concat { .. }
            | Op::Copy
            | Op::Pad(_)
            | Op::Reshape(_)
            | Op::Half { .. }
            | Op::Squeeze(_)
            | Op::Snap { .. }
            | Op::Shift { .. } => (),
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
