//! Normalisation, a sum and ReLU, which are one operation
//! ([`Exec::norm_add_relu`](crate::nn::Exec::norm_add_relu)) and three nodes of the graph.

use crate::nn::graph::{Node, Op, Value};
use crate::nn::{Combine, Map};

/// Whether the operation that makes this value, what is normalised, also makes the sum that reads
/// it and the sum's ReLU. `behind` are the nodes behind the normalisation.
pub(super) fn is_summed(value: Value, behind: &[Node]) -> bool {
    let reads = |node: &Node| node.inputs.contains(&value);
    let Some(at) = behind.iter().position(reads) else { return false };
    let (sum, rest) = (&behind[at], &behind[at + 1..]);
    sum.op == Op::Combine(Combine::Add)
        && sum.inputs[0] == value
        && rest.first().is_some_and(|next| next.op == Op::Map(Map::Relu))
        && !rest.iter().any(reads)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::BackendKind;
    use crate::memory::Setting;
    use crate::memory::account::player;
    use crate::nn::graph::Span;
    use crate::train::OptimizerConfig;
    use crate::zoo::Architecture;

    #[test]
    fn a_block_has_one_such_operation() {
        for (name, operations) in
            [("resnet18", 8), ("resnet50", 16), ("simam-resnet34", 0), ("ecapa-tdnn-512", 0)]
        {
            let graph = Architecture::named(name).unwrap().graph(200).unwrap();
            let is_one = |i: &usize| {
                matches!(graph.nodes[*i].op, Op::Norm { relu: false, .. })
                    && is_summed(Value(i + 1), &graph.nodes[i + 1..])
            };
            assert_eq!((0..graph.nodes.len()).filter(is_one).count(), operations, "{name}");
        }
    }

    /// The sum takes the place of what a projection makes, and what is normalised has none. There
    /// are a narrow input, four narrow activations, and three that are four times as wide: the
    /// inputs of two normalisations, and the output. In a block without a projection, the input is
    /// wide, and one normalisation has a wide input.
    #[test]
    fn what_is_normalised_has_no_place() {
        let arch = Architecture::named("resnet50").unwrap();
        let setting = Setting { batch: 4, ..Setting::new(arch, OptimizerConfig::default()) };
        let graph = setting.arch.graph(setting.frames).unwrap();
        // Behind the stem's convolution, its normalisation, and each block.
        let cuts = graph.cuts();
        for kind in [BackendKind::Flex, BackendKind::Wgpu] {
            for (block, narrow) in [(1, 5), (2, 4)] {
                let nodes = cuts[block]..cuts[block + 1];
                let mut player = player(&setting, kind, &graph, Vec::new());
                let bytes = [nodes.start, nodes.end, cuts[1]].map(|v| player.bytes(Value(v)));
                let [input, wide, one] = bytes;
                assert_eq!(wide, 4 * one);
                let x = player.ledger.new_buffer(input);
                let f = &Span::new(nodes, true).pieces()[0];
                player.forward(f, vec![x], true);
                let most = player.ledger.peak.activations;
                assert_eq!(most, narrow * one + 3 * wide, "block {block} on {kind:?}");
            }
        }
    }
}
