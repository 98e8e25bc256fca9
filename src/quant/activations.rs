//! Activations in bytes: the ranges of the layers that compute in integers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::nn::Graph;
use crate::nn::graph::{Node, Op};

/// How the range of a value is found among those that calibration has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum RangeMethod {
    /// All values but a small part at either end.
    #[default]
    Percentile,
    /// The range whose bytes have the least mean squared error.
    Mse,
}

impl RangeMethod {
    /// The name in files and options.
    pub fn name(self) -> &'static str {
        match self {
            Self::Percentile => "percentile",
            Self::Mse => "mse",
        }
    }
}

/// How a model's activations become bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Activations {
    /// Bits of a value: [`Activations::BITS`].
    pub bits: u32,
    /// How ranges were found.
    pub method: RangeMethod,
    /// Utterances that they were found in.
    pub utterances: usize,
    /// Ranges of the layers that compute in integers, by the names of their weights. All other
    /// layers compute in f32.
    pub layers: BTreeMap<String, Ranges>,
}

/// What a layer reads and makes: the lowest and the highest value that a byte stands for. Values
/// beyond become these. 0 is always within.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ranges {
    /// Of its input.
    pub input: [f32; 2],
    /// Of its output, behind the BatchNorm layer, the sum and the ReLU that belong to it.
    pub output: [f32; 2],
}

impl Activations {
    /// Bits of a value.
    pub const BITS: u32 = 8;

    /// Refuses what no runtime could compute with: the message says what.
    ///
    /// # Errors
    /// Other bits; no layer; ranges that [`is_range`] refuses.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.bits != Self::BITS {
            return Err(format!("activations of {} bits; {} are possible", self.bits, Self::BITS));
        }
        if self.layers.is_empty() {
            return Err("activations in bytes, but no layer that computes with them".into());
        }
        for (name, Ranges { input, output }) in &self.layers {
            for (what, range) in [("input", input), ("output", output)] {
                if !is_range(*range) {
                    return Err(format!(
                        "the activations of `{name}` have the {what} range {range:?}: 0 must be \
                         within, and the width be a number that has a 255th part"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Whether bytes can stand for a range: 0 is within, and a step is an ordinary number, unless the
/// range is 0 alone.
fn is_range([low, high]: [f32; 2]) -> bool {
    let is_zero = low == 0.0 && high == 0.0;
    low <= 0.0 && high >= 0.0 && (is_zero || ((high - low) / 255.0).is_normal())
}

/// The names of the weights of a network's convolutions, in its order: ranges may be given for
/// these. A linear layer over frames is a convolution; one filter a channel (depthwise) is none.
pub(crate) fn convolutions(graph: &Graph) -> impl Iterator<Item = &str> {
    let is_dense = |groups: usize, input: usize| groups == 1 || groups < input;
    let is_convolution = move |node: &&Node| match &node.op {
        Op::Conv2d(config) => is_dense(config.groups, config.input),
        Op::Conv1d(config) => is_dense(config.groups, config.input),
        Op::Linear => node.size.len() > 1,
        _ => false,
    };
    let weight = move |node: &Node| Some(graph.tensors[*node.tensors.first()?].name.as_str());
    graph.nodes.iter().filter(is_convolution).filter_map(weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoo::Architecture;

    fn activations(input: [f32; 2], output: [f32; 2]) -> Activations {
        let layers = [("a.weight".to_owned(), Ranges { input, output })].into();
        Activations { bits: 8, method: RangeMethod::Mse, utterances: 3, layers }
    }

    #[test]
    fn ranges_hold_0_and_have_steps() {
        let (least, most) = (255.0 * f32::MIN_POSITIVE, f32::MAX);
        for range in [[0.0, 0.0], [-1.0, 2.0], [-0.0, 3.0], [-3.0, 0.0], [0.0, least], [-most, 0.0]]
        {
            assert_eq!(activations(range, [0.0, 1.0]).check(), Ok(()), "{range:?}");
            assert_eq!(activations([0.0, 1.0], range).check(), Ok(()), "{range:?}");
        }
        for range in [
            [0.5, 1.0],
            [-1.0, -0.5],
            [1.0, -1.0],
            [0.0, f32::INFINITY],
            [f32::NEG_INFINITY, 0.0],
            [f32::NAN, 1.0],
            [0.0, f32::NAN],
            [-most, most],
            [0.0, 0.5 * least],
            [0.0, 1e-45],
        ] {
            let error = activations(range, [0.0, 1.0]).check().unwrap_err();
            assert!(error.contains("`a.weight`") && error.contains("input range"), "{error}");
            let error = activations([0.0, 1.0], range).check().unwrap_err();
            assert!(error.contains("`a.weight`") && error.contains("output range"), "{error}");
        }
    }

    #[test]
    fn bits_are_eight_and_a_layer_has_them() {
        let good = activations([0.0, 1.0], [0.0, 1.0]);
        let error = Activations { bits: 4, ..good.clone() }.check().unwrap_err();
        assert!(error.contains("4 bits"), "{error}");
        let error = Activations { layers: BTreeMap::new(), ..good }.check().unwrap_err();
        assert!(error.contains("no layer"), "{error}");
    }

    #[test]
    fn files_have_the_names_of_options_and_every_bit_of_a_range() {
        let given = activations([-0.1, 1.0 / 3.0], [0.0, 6.022e23]);
        let json = serde_json::to_string(&given).unwrap();
        assert_eq!(serde_json::from_str::<Activations>(&json).unwrap(), given);
        for method in [RangeMethod::Percentile, RangeMethod::Mse] {
            assert_eq!(serde_json::json!(method), method.name());
        }
        let more = json.replace("\"bits\"", "\"signed\":true,\"bits\"");
        let error = serde_json::from_str::<Activations>(&more).unwrap_err().to_string();
        assert!(error.contains("signed"), "{error}");
    }

    #[test]
    fn weights_of_convolutions_are_found_in_the_networks_order() {
        let graph = Architecture::named("resnet10").unwrap().layout().unwrap();
        let names: Vec<&str> = convolutions(&graph).collect();
        assert_eq!(names[0], "conv1.weight");
        assert_eq!(names.len(), 12, "{names:?}");
        assert!(names.contains(&"layer3.0.shortcut.0.weight"), "{names:?}");
        assert!(names.iter().all(|name| graph.tensors.iter().any(|t| t.name == *name)));
        // One filter a channel, which DF-ResNets have in every block.
        let graph = Architecture::named("df-resnet32").unwrap().layout().unwrap();
        let filters = graph.nodes.iter().filter(|node| match node.op {
            Op::Conv2d(config) => config.groups > 1,
            _ => false,
        });
        let mut filters = filters.map(|node| graph.tensors[node.tensors[0]].name.as_str());
        assert!(filters.clone().count() > 5);
        assert!(filters.all(|name| !convolutions(&graph).any(|other| other == name)));
    }
}
