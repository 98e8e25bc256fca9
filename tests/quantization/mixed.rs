//! Bits by layer, chosen by the error of the weights alone, on every family behind the ResNets.

use std::collections::BTreeSet;

use burn::tensor::Device;
use revox::model_file::{Model, NamedTensors};
use revox::nn::Mode;
use revox::quant::Method;
use revox::quant::sensitivity::Measure;
use revox::train::quantize::{Layer, outline, quantize};

use crate::families::{model, utterances};
use crate::{bits, config, quantizer};

/// One network of each family, with the least width that is a multiple of 8; widths of ReDimNets
/// fit their mels and stay.
const NETWORKS: [(&str, usize); 7] = [
    ("ecapa-tdnn-512", 8),
    ("campplus", 8),
    ("redimnet-b0", 10),
    ("redimnet2-b0", 12),
    ("eres2net34", 8),
    ("simam-resnet34", 8),
    ("tdnn", 8),
];

/// The fewest bytes by which a layer grows that gets more bits than these.
fn raise(layer: &Layer, bits: usize) -> Option<usize> {
    let now = layer.choices.iter().find(|choice| choice.bits == bits).unwrap();
    let better = layer.choices.iter().filter(|choice| choice.cost < now.cost);
    better.map(|choice| choice.bytes - now.bytes).min()
}

/// The size to be met is nine tenths of that with 4 bits for every layer, which no choice of the
/// same bits for all meets.
#[test]
fn bits_by_layer_are_packed_and_loaded() {
    let (device, dir) = (Device::default(), tempfile::tempdir().unwrap());
    for (name, width) in NETWORKS {
        let model = model(name, width);
        let x = utterances(&model);
        let path = dir.path().join(name);
        let size = || std::fs::metadata(&path).unwrap().len() as usize;
        let uniform = quantizer(&model.network, &config(|c| c.bits = 4));
        let uniform = quantize(&model, &uniform, &device).unwrap();
        uniform.save(&path, NamedTensors::default()).unwrap();
        let target = size() * 9 / 10;
        let config = config(|c| {
            (c.method, c.target_bytes) = (Method::Mixed, Some(target));
            c.candidates = vec![2, 3, 4, 5];
            c.sensitivity.measure = Measure::Error;
        });
        let outline = outline(&model, &config, None, None, &mut |_, _| ()).unwrap();
        let (quantizer, layers) = (outline.quantizer, outline.layers);
        let plan = quantizer.plan();
        let chosen: BTreeSet<usize> = plan.values().map(|p| p.scheme.bits).collect();
        assert!(chosen.len() > 1, "{name}: {chosen:?} bits");
        assert!(chosen.iter().all(|bits| config.candidates.contains(bits)), "{name}: {chosen:?}");
        assert_eq!(plan.len(), layers.len(), "{name}");
        assert!(layers.iter().all(|layer| layer.trace.is_none()), "{name}");

        let fake = quantizer.attach(model.network.clone()).unwrap();
        let wanted = bits(fake.forward(x.clone(), Mode::Eval));
        assert_ne!(wanted, bits(model.network.forward(x.clone(), Mode::Eval)), "{name}");
        let packed = Model::packed(&model.header, &fake, &quantizer, &device).unwrap();
        packed.save(&path, NamedTensors::default()).unwrap();
        let loaded = Model::load(&path, &device).unwrap();
        assert_eq!(loaded.header, packed.header, "{name}");
        assert!(bits(loaded.network.forward(x, Mode::Eval)) == wanted, "{name}");

        assert!(size() <= target, "{name}: {} bytes, {target} wanted", size());
        let raises = layers.iter().filter_map(|l| raise(l, plan[&l.name].scheme.bits));
        let left = target - size();
        // The header's digits, not known when bits are chosen, take less than a hundredth.
        let least = raises.min().unwrap() + target / 100;
        assert!(left < least, "{name}: {left} bytes are left, {least} give a layer more bits");
    }
}
