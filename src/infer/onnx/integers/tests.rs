use super::*;
use crate::infer::onnx::{Input, Options, WeightForm, written};
use crate::infer::tests::integers::calibrated;
use crate::infer::tests::model;
use crate::model_file::Model;
use crate::zoo::tests::small;

const INT8: Options =
    Options { input: Input::Features, weights: WeightForm::Int8, target: None, source: None };

/// A small model with ranges.
fn small_model(name: &str) -> Model {
    calibrated(model(&small(16).find(|arch| arch.name == name).unwrap()))
}

/// A model's graph, and what of it is integers.
fn planned(model: &Model) -> (Graph, Integers) {
    let graph = model.header.arch.graph(331).unwrap();
    let integers = Integers::of(&graph, model.header.activations.as_ref().unwrap()).unwrap();
    (graph, integers)
}

/// Runtimes look for this pattern, in which ReLU may follow the convolution.
#[test]
fn convolutions_stand_between_bytes() {
    for name in ["resnet18", "ecapa-tdnn-512", "tdnn"] {
        let model = small_model(name);
        let (graph, integers) = planned(&model);
        let graph = written(&model, &INT8, &graph, &integers).unwrap().graph;
        let maker = |name: &str| graph.nodes.iter().find(|node| node.output == name);
        let is_made_by = |name: &str, op: &str| maker(name).is_some_and(|node| node.op == op);
        let readers = |name: &str| -> Vec<&str> {
            let reads = |input: &String| input == name;
            let nodes = graph.nodes.iter().filter(|node| node.inputs.iter().any(reads));
            nodes.map(|node| node.output.as_str()).collect()
        };
        let mut seen = 0;
        for node in graph.nodes.iter().filter(|node| node.op == "Conv") {
            if !is_made_by(&node.inputs[1], "DequantizeLinear") {
                continue;
            }
            seen += 1;
            assert_eq!(node.inputs.len(), 3, "{name}: {node:?}");
            for input in &node.inputs {
                assert!(is_made_by(input, "DequantizeLinear"), "{name}: {input} of {node:?}");
            }
            let mut behind = readers(&node.output);
            if is_made_by(behind[0], "Relu") {
                behind = readers(behind[0]);
            }
            assert_eq!(behind.len(), 1, "{name}: {node:?}");
            assert!(is_made_by(behind[0], "QuantizeLinear"), "{name}: {behind:?} of {node:?}");
        }
        assert_eq!(seen, model.header.activations.unwrap().layers.len(), "{name}");
    }
}

/// Without the roundings that a file has of its own, it computes what the runtime computes, but
/// for values between two bytes.
#[cfg(feature = "cli")]
#[test]
fn bytes_are_those_of_the_runtime() {
    use crate::infer::onnx::{Check, verify};

    for name in ["resnet18", "df-resnet32", "ecapa-tdnn-512", "res2net34", "tdnn"] {
        let model = small_model(name);
        let (graph, mut integers) = planned(&model);
        let cosine = |integers: &Integers| {
            let file = written(&model, &INT8, &graph, integers).unwrap();
            match verify(&model, &file.to_bytes(), &INT8).unwrap() {
                Check::Cosine(cosine) => cosine,
                other => panic!("{name}: {other:?}"),
            }
        };
        let whole = cosine(&integers);
        assert!(!integers.further.is_empty(), "{name}");
        integers.further.clear();
        let cosine = cosine(&integers);
        assert!(cosine >= 0.9999 && whole < 1.0, "{name}: {cosine}, {whole}");
    }
}

/// Weights of other signs.
#[cfg(feature = "cli")]
#[test]
fn wrong_integers_are_found() {
    use crate::infer::onnx::proto::Data;
    use crate::infer::onnx::verify;

    let model = small_model("resnet18");
    let (graph, integers) = planned(&model);
    let mut file = written(&model, &INT8, &graph, &integers).unwrap();
    let all = file.graph.tensors.iter_mut().map(|tensor| &mut tensor.data);
    let ints = all.filter_map(|data| if let Data::I8(ints) = data { Some(ints) } else { None });
    ints.flatten().for_each(|int| *int = -*int);
    let error = verify(&model, &file.to_bytes(), &INT8).unwrap_err().to_string();
    assert!(error.contains("a cosine of"), "{error}");
}
