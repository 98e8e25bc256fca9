//! Sizes of packed models against the arithmetic of the published ones.

use burn::tensor::Device;
use revox::model_file::{Frontend, Header, Model, layer_sizes};
use revox::quant::QuantizeConfig;
use revox::zoo::Architecture;

use crate::quantizer;

/// Megabytes of weights, codebooks, BatchNorm and biases with 4, 2 and 1 bits a weight in convolutions and the embedding layer; computed from
/// WeSpeaker's layer shapes.
const SIZES: [(&str, f64, [f64; 3]); 4] = [
    ("resnet18", 16.42, [2.07, 1.05, 0.53]),
    ("resnet34", 26.54, [3.35, 1.69, 0.86]),
    ("df-resnet56", 18.78, [2.49, 1.33, 0.75]),
    ("df-resnet110", 28.71, [3.88, 2.11, 1.22]),
];

#[test]
fn sizes_are_those_of_the_arithmetic() {
    let device = Device::default();
    for (name, f32, sizes) in SIZES {
        let arch = Architecture::named(name).unwrap();
        let parameters = 4e-6 * arch.account(200).unwrap().parameters() as f64;
        // The table has two decimals; DF-ResNets' original layout is ours, 1 % off at most in its smallest member.
        let near = |ours: f64, wanted: f64, part: f64| (ours - wanted).abs() <= part * wanted + 0.005;
        assert!(near(parameters, f32, 0.01), "{name}: {parameters} MB in f32, {f32} wanted");
        let network = arch.init(&device, 1).unwrap();
        let header = Header::new(arch, Frontend::default());
        for (bits, wanted) in [4, 2, 1].into_iter().zip(sizes) {
            let quantizer = quantizer(&network, &QuantizeConfig { bits, ..QuantizeConfig::default() });
            let fake = quantizer.attach(network.clone()).unwrap();
            let packed = Model::packed(&header, &fake, &quantizer, &device).unwrap();
            let bytes: usize = layer_sizes(&packed).iter().map(|l| l.bytes).sum();
            let ours = 1e-6 * bytes as f64;
            eprintln!("{name}, {bits} bits: {ours:.4} MB ({:.2}x), {wanted} wanted", parameters / ours);
            assert!(near(ours, wanted, 0.005), "{name}, {bits} bits: {ours} MB, {wanted} wanted");
        }
    }
}
