//! What a network costs, by arithmetic on its [`Sketch`].

use super::sketch::{Op, Size, Sketch, SketchStep};

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
    /// Elements that an ordinary tape keeps for the backward pass: convolution inputs, BatchNorm
    /// inputs and ReLU outputs, each once; without the pooling and what follows.
    pub kept: usize,
    /// Elements that reversible execution keeps.
    pub held: usize,
}

fn elements(size: Size) -> usize {
    size.iter().product()
}

impl Account {
    pub(super) fn of(sketch: &Sketch) -> Self {
        let mut account = Account::default();
        for (_, f) in sketch.functions() {
            for node in &f.nodes {
                let input = f.size(node.inputs[0]);
                let (parameters, macs) = (node.parameters(input), node.macs(input));
                if parameters > 0 || macs > 0 {
                    account.layers.push(LayerCost { name: node.name.clone(), parameters, macs });
                }
            }
        }
        for (_, step) in &sketch.steps {
            let functions = match step {
                SketchStep::Couple(f, g) => vec![f, g],
                SketchStep::Rearrange(_) => vec![],
                SketchStep::Keep(f) => {
                    account.held += f.inputs.iter().map(|&s| elements(s)).sum::<usize>();
                    vec![f]
                }
            };
            for f in functions {
                debug_assert!(
                    f.nodes.iter().all(|n| n.op != Op::Linear),
                    "linear layers belong to the tail"
                );
                account.kept += f.kept().iter().map(|&v| elements(f.size(v))).sum::<usize>();
            }
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
