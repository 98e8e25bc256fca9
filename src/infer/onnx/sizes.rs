//! How large files of 4-bit codes are, beside the packed model files: for networks of full size,
//! without weights.

use super::*;
use crate::backend::codes::packed_len;
use crate::model_file::{Frontend, PackedTensor, planned_bytes};
use crate::quant::config::SmallLayers;
use crate::quant::{QuantizeConfig, uniform};
use crate::zoo::{Architecture, names};

/// Bytes that the sizes in front of a tensor's codes take, beyond those in front of none: sizes of
/// values, of an axis and of the message, of three bytes more at most.
const SIZES: usize = 9;

/// Bytes of the file of codes, at most, and of the packed file.
fn bytes(name: &str) -> [usize; 2] {
    let arch = Architecture::named(name).unwrap();
    let graph = arch.graph(FRAMES.max(arch.least_frames().unwrap())).unwrap();
    let tensors = graph.names_and_shapes();
    let small_layers = SmallLayers::Keep;
    let config = QuantizeConfig { bits: 4, small_layers, ..QuantizeConfig::default() };
    let plan = uniform(&tensors, &config).unwrap();
    let mut header = Header::new(arch, Frontend::default());
    for (name, planned) in &plan {
        let (codebook, shape) = (format!("{name}.codebook"), planned.shape.clone());
        let packed = PackedTensor { scheme: planned.scheme, codebook, shape };
        header.quantization.insert(name.clone(), packed);
    }
    let options = Options { weights: WeightForm::Codes, ..Options::default() };
    let weights = Weights::without_codes(&graph, &plan);
    let file = composed(&header, &options, &graph, &Integers::default(), weights).unwrap();
    let codes = |shape: &[usize]| packed_len(shape.iter().product(), 4);
    let all: usize = plan.values().map(|planned| codes(&planned.shape) + SIZES).sum();
    let onnx = file.to_bytes().len() + all;

    // In front of a safetensors file's tensors is JSON, and in that a model's header as text, in
    // which a quotation mark takes two bytes.
    let json = serde_json::to_string(&header).unwrap();
    let mut text = json.len() + json.matches('"').count();
    let mut end = 0;
    let mut add = |name: &str, dtype: &str, shape: &[usize], bytes: usize| {
        let (start, shape) = (end, serde_json::to_string(shape).unwrap());
        end += bytes;
        let entry = format!(
            r#""{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{start},{end}]}},"#
        );
        text += entry.len();
    };
    for (name, shape) in &tensors {
        let layer = name.strip_suffix(".running_mean").or(name.strip_suffix(".running_var"));
        let weight = layer.map(|layer| format!("{layer}.weight"));
        // Statistics beside a weight are a part of that.
        let is_there = weight.is_none_or(|weight| tensors.iter().all(|(name, _)| *name != weight));
        if plan.contains_key(name) {
            add(&format!("{name}.codes"), "U8", &[codes(shape)], codes(shape));
            add(&format!("{name}.codebook"), "F32", &[16], 64);
        } else if is_there {
            add(name, "F32", shape, 4 * shape.iter().product::<usize>());
        }
    }
    assert_eq!(end, planned_bytes(&tensors, &plan), "{name}");
    [onnx, end + text]
}

/// Among the networks are those with the most layers for their weights.
#[test]
fn files_of_codes_are_as_small_as_packed_models() {
    let mut seen = 0;
    // Reversible networks have the layers of others.
    for name in names().filter(|name| !name.starts_with("rev")) {
        let [onnx, packed] = bytes(&name);
        let ratio = onnx as f64 / packed as f64;
        assert!(ratio < 1.015, "{name}: {onnx} bytes, {packed} packed, {ratio:.4}");
        seen += 1;
    }
    assert!(seen > 30, "{seen}");
}
