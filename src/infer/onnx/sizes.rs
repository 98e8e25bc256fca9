//! How large files of 4-bit codes are, beside the packed model files: for networks of full size,
//! without weights.

use super::*;
use crate::backend::codes::packed_len;
use crate::model_file::{Frontend, PackedTensor, planned_bytes};
use crate::quant::config::SmallLayers;
use crate::quant::{QuantizeConfig, uniform};
use crate::zoo::{Architecture, names};

/// Bytes of both files. Of the packed file, no more than it has: text of a tensor is longer.
fn bytes(name: &str) -> [usize; 2] {
    let arch = Architecture::named(name).unwrap();
    let graph = arch.graph(FRAMES.max(arch.least_frames().unwrap())).unwrap();
    let tensors = graph.names_and_shapes();
    let config =
        QuantizeConfig { bits: 4, small_layers: SmallLayers::Keep, ..QuantizeConfig::default() };
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
    // Sizes in front of codes take a few bytes more than those in front of none.
    let codes: usize = plan.values().map(|planned| codes(&planned.shape) + 12).sum();
    let onnx = file.to_bytes().len() + codes;

    // The header is text within text, in which a quotation mark takes two bytes.
    let json = serde_json::to_string(&header).unwrap();
    let json = json.len() + json.matches('"').count();
    // `"NAME":{"dtype":"F32","shape":[1],"data_offsets":[1,2]},`, of codes and of codebooks.
    let text = |name: &str| name.len() + 52;
    let is_there = |(name, _): &&(String, Vec<usize>)| {
        let layer =
            name.strip_suffix(".running_mean").or_else(|| name.strip_suffix(".running_var"));
        let weight = layer.map(|layer| format!("{layer}.weight"));
        weight.is_none_or(|weight| tensors.iter().all(|(name, _)| *name != weight))
    };
    let text: usize = tensors
        .iter()
        .filter(is_there)
        .map(|(name, _)| match plan.contains_key(name) {
            true => text(name) + ".codes".len() + text(name) + ".codebook".len(),
            false => text(name),
        })
        .sum();
    [onnx, planned_bytes(&tensors, &plan) + json + text]
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
