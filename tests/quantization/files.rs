//! Sizes of packed models against the arithmetic of the published networks.

use burn::tensor::Device;
use revox::model_file::{Frontend, Header, Model, NamedTensors};
use revox::quant::config::Coverage;
use revox::quant::{QuantizeConfig, uniform};
use revox::train::quantize::quantize;
use revox::zoo::Architecture;

use crate::quantizer;

/// Megabytes of weights, codebooks, BatchNorm and biases: in f32; with 8, 4, 3, 2, 1 bits per
/// weight in convolutions and the embedding layer; with 4 bits in convolutions only. They were
/// computed from WeSpeaker's layer shapes.
const SIZES: [(&str, f64, [f64; 5], f64); 9] = [
    ("resnet18", 16.42, [4.14, 2.07, 1.56, 1.05, 0.53], 6.66),
    ("resnet34", 26.54, [6.70, 3.35, 2.52, 1.69, 0.86], 7.94),
    ("resnet50", 44.53, [11.27, 5.66, 4.27, 2.88, 1.50], 24.01),
    ("resnet101", 63.57, [16.16, 8.14, 6.15, 4.17, 2.19], 26.49),
    ("resnet152", 79.26, [20.20, 10.18, 7.71, 5.24, 2.77], 28.53),
    ("df-resnet56", 18.78, [4.88, 2.49, 1.91, 1.33, 0.75], 7.08),
    ("df-resnet110", 28.71, [7.54, 3.88, 2.99, 2.11, 1.22], 8.47),
    ("df-resnet179", 39.37, [10.42, 5.39, 4.17, 2.95, 1.73], 9.97),
    ("df-resnet233", 49.30, [13.08, 6.78, 5.25, 3.73, 2.21], 11.36),
];

/// Whether two sizes agree. The table has two decimals.
fn near(ours: f64, wanted: f64) -> bool {
    (ours - wanted).abs() <= 0.005 * wanted + 0.005
}

fn statistic(name: &str) -> bool {
    name.contains("running_")
}

#[test]
fn sizes_are_those_of_the_arithmetic() {
    for (name, f32, sizes, convolutions) in SIZES {
        let arch = Architecture::named(name).unwrap();
        let names = arch.graph(200).unwrap().names_and_shapes();
        let size = |config: &QuantizeConfig| {
            let plan = uniform(&names, config).unwrap();
            let quantized: usize = plan.values().map(|p| p.scheme.bytes(&p.shape)).sum();
            let others = names.iter().filter(|(n, _)| !plan.contains_key(n) && !statistic(n));
            let others: usize = others.map(|(_, shape)| 4 * shape.iter().product::<usize>()).sum();
            1e-6 * (quantized + others) as f64
        };
        let parameters = 4e-6 * arch.account(200).unwrap().parameters() as f64;
        assert!(near(parameters, f32), "{name}: {parameters} MB in f32, {f32} wanted");
        for (bits, wanted) in [8, 4, 3, 2, 1].into_iter().zip(sizes) {
            let ours = size(&QuantizeConfig { bits, ..QuantizeConfig::default() });
            eprintln!(
                "{name}, {bits} bits: {ours:.4} MB ({:.2}x), {wanted} wanted",
                parameters / ours
            );
            assert!(near(ours, wanted), "{name}, {bits} bits: {ours} MB, {wanted} wanted");
        }
        let ours =
            size(&QuantizeConfig { layers: Coverage::Convolutions, ..QuantizeConfig::default() });
        assert!(near(ours, convolutions), "{name}, convolutions: {ours} MB, {convolutions} wanted");
    }
}

/// A file has the counted bytes and its header.
#[test]
fn files_are_as_long_as_that() {
    let device = Device::default();
    for (name, bits, wanted) in
        [("resnet34", 4, 3.35), ("resnet34", 1, 0.86), ("df-resnet56", 2, 1.33)]
    {
        let arch = Architecture::named(name).unwrap();
        let network = arch.init(&device, 1).unwrap();
        let quantizer = quantizer(&network, &QuantizeConfig { bits, ..QuantizeConfig::default() });
        let model = Model { header: Header::new(arch, Frontend::default()), network };
        let file = quantize(&model, &quantizer, &device).unwrap();
        let file = file.to_bytes(std::path::Path::new(name), NamedTensors::default()).unwrap();
        let header = 8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
        let ours = 1e-6 * (file.len() - header) as f64;
        eprintln!("{name}, {bits} bits: {ours:.4} MB and {header} bytes of header");
        assert!(near(ours, wanted), "{name}, {bits} bits: {ours} MB, {wanted} wanted");
    }
}
