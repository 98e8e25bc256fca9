use std::collections::HashSet;

use super::*;
use crate::zoo::tests::small;

/// What a network becomes, traced at a length.
fn written(graph: &Graph) -> (Builder, String) {
    let mut b = Builder::default();
    let (mut weights, integers) = (Weights::zeros(graph), Integers::default());
    let made = network(&mut b, graph, &mut weights, &integers, "image".to_owned()).unwrap();
    (b, made)
}

/// Whatever the length of the utterance that was traced, the nodes are the same. No network has
/// an axis of so many values, so a number of frames among the constants would stand out.
#[test]
fn every_network_is_written_for_any_number_of_frames() {
    let mut seen = 0;
    for arch in small(48) {
        let name = format!("{} {:?}", arch.name, arch.pooling);
        let [(b, made), (other, _)] =
            [331, 1009].map(|frames| written(&arch.graph(frames).unwrap()));
        assert_eq!(b.nodes, other.nodes, "{name}");
        assert!(b.tensors == other.tensors, "{name}");
        let mut known: HashSet<&str> = HashSet::from(["image"]);
        for tensor in &b.tensors {
            assert!(known.insert(&tensor.name), "{name}: {} twice", tensor.name);
        }
        let mut read: HashSet<&str> = HashSet::from([made.as_str()]);
        for node in &b.nodes {
            for input in &node.inputs {
                assert!(known.contains(input.as_str()), "{name}: {input} of {node:?}");
                read.insert(input);
            }
            assert!(known.insert(&node.output), "{name}: {} twice", node.output);
        }
        assert!(known.contains(made.as_str()), "{name}");
        let unread = known.iter().find(|value| !read.contains(*value));
        assert_eq!(unread, None, "{name}");
        seen += 1;
    }
    assert!(seen > 5 * crate::zoo::names().count(), "{seen}");
}

#[test]
fn convolutions_have_every_attribute() {
    for arch in small(48).filter(|arch| arch.name == "tdnn" || arch.name == "resnet18") {
        let graph = arch.graph(331).unwrap();
        let (b, _) = written(&graph);
        let convolutions: Vec<_> = b.nodes.iter().filter(|node| node.op == "Conv").collect();
        assert!(!convolutions.is_empty());
        for node in convolutions {
            let names: Vec<&str> = node.attributes.iter().map(|a| a.0).collect();
            assert_eq!(names, ["dilations", "group", "kernel_shape", "pads", "strides"]);
            let length = |i: usize| match &node.attributes[i].1 {
                Setting::Ints(all) => all.len(),
                other => panic!("{other:?}"),
            };
            assert_eq!(length(3), 2 * length(2), "{node:?}");
        }
    }
}
