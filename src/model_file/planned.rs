//! The size of a model's file before the model is there.

use std::collections::HashSet;

use safetensors::tensor::Dtype;

use super::graph::{self, GRAPH};
use super::packing::{codebook_name, codes_name, statistic};
use super::{Header, KEY, PackedTensor};
use crate::backend::codes::packed_len;
use crate::error::{Error, Result};
use crate::quant::Plan;
use crate::tensor_file;

/// Bytes of the tensors in a model's file, without its header. The tensors of the network are given
/// by name and shape. Those of the plan are packed, all others stay f32; an empty plan is that of
/// an f32 model. A codebook counts as full: weights with fewer distinct values have a shorter one.
pub fn planned_bytes(tensors: &[(String, Vec<usize>)], plan: &Plan) -> usize {
    let names: HashSet<&str> = tensors.iter().map(|(name, _)| name.as_str()).collect();
    let is_there = |name: &str| names.contains(name);
    let size = |(name, shape): &(String, Vec<usize>)| match plan.get(name) {
        Some(planned) => planned.scheme.bytes(shape),
        // The packed form has no running statistics.
        None if !plan.is_empty() && statistic(name, &is_there).is_some() => 0,
        None => 4 * shape.iter().product::<usize>(),
    };
    tensors.iter().map(size).sum()
}

/// Bytes of a model's file beside those of [`planned_bytes`]: of its header, which has the name,
/// shape and place of each tensor and how it is packed, and of the network's graph. `header` is
/// that of the model before it is packed.
///
/// # Errors
/// An impossible architecture.
pub fn planned_beside(
    header: &Header,
    tensors: &[(String, Vec<usize>)],
    plan: &Plan,
) -> Result<usize> {
    let names: HashSet<&str> = tensors.iter().map(|(name, _)| name.as_str()).collect();
    let is_there = |name: &str| names.contains(name);
    let mut header = header.clone();
    let mut stored: Vec<(String, Dtype, Vec<usize>)> = Vec::new();
    for (name, shape) in tensors {
        let Some(scheme) = plan.get(name).map(|planned| planned.scheme) else {
            if plan.is_empty() || statistic(name, &is_there).is_none() {
                stored.push((name.clone(), Dtype::F32, shape.clone()));
            }
            continue;
        };
        let codes = packed_len(shape.iter().product(), scheme.bits);
        stored.push((codes_name(name), Dtype::U8, vec![codes]));
        let (codebook, values) =
            (codebook_name(name), scheme.codebook_shape(shape, 1 << scheme.bits));
        stored.push((codebook.clone(), Dtype::F32, values));
        let packed = PackedTensor { scheme, codebook, shape: shape.clone() };
        header.quantization.insert(name.clone(), packed);
    }
    let graph = graph::bytes_of(&header)?.len();
    stored.push((GRAPH.to_owned(), Dtype::U8, vec![graph]));
    let json = serde_json::to_string(&header).map_err(|e| Error::invalid(e.to_string()))?;
    Ok(tensor_file::head_bytes(&[(KEY, &json)], &stored)? + graph)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use burn::tensor::Device;

    use super::*;
    use crate::audio::FbankConfig;
    use crate::model_file::{Frontend, Model, NamedTensors, layer_sizes};
    use crate::quant::config::SmallLayers;
    use crate::quant::{QuantizeConfig, Quantizer, uniform};
    use crate::zoo::Architecture;

    #[test]
    fn a_plan_has_the_size_of_the_model_that_it_makes() {
        let arch = Architecture {
            width: 8,
            mels: 40,
            embedding_dim: 16,
            two_embedding_layers: true,
            ..Architecture::named("resnet10").unwrap()
        };
        let device = Device::default();
        let network = arch.init(&device, 3).unwrap();
        let fbank = FbankConfig { mels: 40, ..FbankConfig::default() };
        let header = Header::new(arch, Frontend { fbank, cmn: true });
        let tensors = header.arch.layout().unwrap().names_and_shapes();
        let model = Model { header, network };
        let bytes = |model: &Model| layer_sizes(model).iter().map(|l| l.bytes).sum::<usize>();
        let file =
            |model: &Model| model.to_bytes(Path::new("m"), NamedTensors::default()).unwrap().len();
        let beside = |plan: &Plan| planned_beside(&model.header, &tensors, plan).unwrap();
        assert_eq!(planned_bytes(&tensors, &Plan::new()), bytes(&model));
        assert_eq!(beside(&Plan::new()) + bytes(&model), file(&model));
        for bits in [1, 4, 8] {
            let small_layers = SmallLayers::FewerBits;
            let config = QuantizeConfig { bits, small_layers, ..QuantizeConfig::default() };
            let quantizer = Quantizer::new(uniform(&tensors, &config).unwrap(), config);
            let attached = quantizer.attach(model.network.clone()).unwrap();
            quantizer.set_stage(quantizer.stages());
            let packed = Model::packed(&model.header, &attached, &quantizer, &device).unwrap();
            assert_eq!(planned_bytes(&tensors, quantizer.plan()), bytes(&packed), "{bits} bits");
            assert_eq!(beside(quantizer.plan()) + bytes(&packed), file(&packed), "{bits} bits");
        }
    }
}
