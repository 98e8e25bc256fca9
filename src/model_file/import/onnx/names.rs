//! What files of codes call a network's tensors. Such a file is as small as its names are short: it
//! holds the name of a tensor twice, and layers may have fewer bytes than that.

use std::collections::HashMap;

use crate::nn::graph::{Graph, Op};

/// What stands behind a tensor's name, and the letter for it.
const PARTS: [(&str, char); 3] = [("", 'v'), (".codes", 'c'), (".codebook", 'b')];
/// The same behind the name of a BatchNorm layer.
const NORM: [(&str, char); 2] = [(".scale", 's'), (".shift", 't')];

/// Short names of the initialisers of a network, by their full names. A short one is the place in
/// the network's list of tensors, from 0, in upper-case hexadecimal digits, and a letter: `1Fc` are
/// the codes of tensor 31, `1Fb` is their codebook, `1Fv` its values where it is not packed. `20s`
/// and `20t` are factors and summands of the BatchNorm layer whose first tensor is number 32.
pub(crate) fn short_names(graph: &Graph) -> HashMap<String, String> {
    let mut all = HashMap::new();
    for (place, info) in graph.tensors.iter().enumerate() {
        let named = PARTS.map(|(part, letter)| (format!("{}{part}", info.name), (place, letter)));
        all.extend(named);
    }
    for node in graph.nodes.iter().filter(|node| matches!(node.op, Op::Norm { .. })) {
        if let (Some(layer), Some(&place)) = (graph.layer(node), node.tensors.first()) {
            all.extend(NORM.map(|(part, letter)| (format!("{layer}{part}"), (place, letter))));
        }
    }
    all.into_iter().map(|(full, (place, letter))| (full, format!("{place:X}{letter}"))).collect()
}

/// Bits that a code takes in a file: those of 3 bits take 4, those of more than 4 take 8, so that a
/// byte holds whole codes.
pub(crate) fn code_width(bits: usize) -> usize {
    bits.next_power_of_two()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::zoo::Architecture;

    #[test]
    fn tensors_have_names_of_their_own() {
        for name in ["resnet10", "campplus", "redimnet2-b0", "ecapa-tdnn-512"] {
            let graph = Architecture::named(name).unwrap().layout().unwrap();
            let names = short_names(&graph);
            let distinct: HashSet<&String> = names.values().collect();
            assert_eq!(distinct.len(), names.len(), "{name}");
            let last = graph.tensors.len() - 1;
            let full = format!("{}.codes", graph.tensors[last].name);
            assert_eq!(names[&full], format!("{last:X}c"), "{name}");
        }
        let graph = Architecture::named("resnet10").unwrap().layout().unwrap();
        let names = short_names(&graph);
        let place = graph.tensors.iter().position(|t| t.name == "bn1.weight").unwrap();
        assert_eq!(names["bn1.scale"], format!("{place:X}s"));
        assert_eq!(names["bn1.shift"], format!("{place:X}t"));
    }
}
