//! The size of a model's file before the model is there.

use std::collections::HashSet;

use super::packing::statistic;
use crate::quant::Plan;

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

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::audio::FbankConfig;
    use crate::model_file::{Frontend, Header, Model, layer_sizes};
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
        assert_eq!(planned_bytes(&tensors, &Plan::new()), bytes(&model));
        for bits in [1, 4, 8] {
            let small_layers = SmallLayers::FewerBits;
            let config = QuantizeConfig { bits, small_layers, ..QuantizeConfig::default() };
            let quantizer = Quantizer::new(uniform(&tensors, &config).unwrap(), config);
            let attached = quantizer.attach(model.network.clone()).unwrap();
            quantizer.set_stage(quantizer.stages());
            let packed = Model::packed(&model.header, &attached, &quantizer, &device).unwrap();
            assert_eq!(planned_bytes(&tensors, quantizer.plan()), bytes(&packed), "{bits} bits");
        }
    }
}
