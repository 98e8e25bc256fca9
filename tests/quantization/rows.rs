//! Bytes of every row of the registry with 4 bits a weight, against a count of this test's own.

use std::collections::BTreeSet;
use std::path::Path;

use burn::tensor::Device;
use revox::audio::FbankConfig;
use revox::model_file::{Frontend, Header, Model, NamedTensors, planned_bytes};
use revox::quant::uniform;
use revox::train::quantize::quantize;
use revox::zoo::{Architecture, ROWS, names};

use crate::{config, quantizer};

const BITS: usize = 4;
/// How far bytes may be from 4 bits a weight and a full codebook for each layer.
const NEAR: f64 = 0.005;
/// Narrower networks have layers of a few weights only.
const NARROW: usize = 4;
/// Networks of more values run at full size alone.
const MOST: usize = 8_000_000;

type Tensors = [(String, Vec<usize>)];

fn count(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// Weights of convolutions and linear layers. Everything else stays f32.
fn is_weight(name: &str, shape: &[usize]) -> bool {
    shape.len() > 1 && name.ends_with("weight")
}

/// Codes of so many bits, rounded up to bytes, and a codebook of f32.
fn packed(weights: usize, bits: usize) -> usize {
    (weights * bits).div_ceil(8) + 4 * (1 << bits)
}

/// Bytes of one tensor. Layers too small for a codebook of 16 values get the most bits that take
/// fewer bytes than f32. A packed BatchNorm has no running statistics, unless it has no weight.
fn bytes(name: &str, shape: &[usize], all: &BTreeSet<&str>) -> usize {
    let n = count(shape);
    if is_weight(name, shape) {
        let fits = |bits: &usize| n >= 1 << *bits && packed(n, *bits) < 4 * n;
        return (1..=BITS).rev().find(fits).map_or(4 * n, |bits| packed(n, bits));
    }
    let layer = name.strip_suffix("running_mean").or_else(|| name.strip_suffix("running_var"));
    match layer.is_some_and(|layer| all.contains(format!("{layer}weight").as_str())) {
        true => 0,
        false => 4 * n,
    }
}

/// Bytes of all tensors.
fn counted(tensors: &Tensors) -> usize {
    let all = tensors.iter().map(|(name, _)| name.as_str()).collect();
    tensors.iter().map(|(name, shape)| bytes(name, shape, &all)).sum()
}

/// The same by the arithmetic of papers: half a byte a weight and 16 f32 a layer, and an f32 for
/// each other value that is kept.
fn theory(tensors: &Tensors) -> f64 {
    let all = tensors.iter().map(|(name, _)| name.as_str()).collect();
    let of = |(name, shape): &(String, Vec<usize>)| match is_weight(name, shape) {
        true => 0.5 * count(shape) as f64 + 64.0,
        false => bytes(name, shape, &all) as f64,
    };
    tensors.iter().map(of).sum()
}

#[test]
fn plans_of_all_names_take_the_bytes_counted() {
    let mut seen = 0;
    for name in names() {
        let tensors = Architecture::named(&name).unwrap().layout().unwrap().names_and_shapes();
        let plan = uniform(&tensors, &config(|c| c.bits = BITS)).unwrap();
        let (planned, wanted) = (planned_bytes(&tensors, &plan), counted(&tensors));
        assert_eq!(planned, wanted, "{name}");
        let off = planned as f64 / theory(&tensors) - 1.0;
        assert!(off.abs() <= NEAR, "{name}: {:+.2} %", 100.0 * off);
        seen += 1;
    }
    assert!(seen > ROWS.len());
}

/// Packs a network and compares its file.
fn check(arch: Architecture) {
    let (name, device) = (arch.name.clone(), Device::default());
    let tensors = arch.layout().unwrap().names_and_shapes();
    let network = arch.init(&device, 1).unwrap();
    let quantizer = quantizer(&network, &config(|c| c.bits = BITS));
    let fbank = FbankConfig { mels: arch.mels, ..FbankConfig::default() };
    let model = Model { header: Header::new(arch, Frontend { fbank, cmn: true }), network };
    let file = quantize(&model, &quantizer, &device).unwrap();
    let file = file.to_bytes(Path::new(&name), NamedTensors::default()).unwrap();
    let header = 8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let read = safetensors::SafeTensors::deserialize(&file).unwrap();
    let graph = read.tensor("graph").unwrap().data().len();
    assert_eq!(file.len(), header + counted(&tensors) + graph, "{name}");
}

/// The row's network as narrow as it can be; nothing if even that is large.
fn narrow(name: &str) -> Option<Architecture> {
    let own = Architecture::named(name).unwrap();
    let of = |width| Architecture { width, embedding_dim: 16, ..own.clone() };
    let arch = (NARROW..=own.width).map(of).find(|arch| arch.check().is_ok()).unwrap();
    (arch.layout().unwrap().parameters() <= MOST).then_some(arch)
}

#[test]
fn files_of_narrow_networks_take_the_bytes_counted() {
    let mut large = Vec::new();
    for row in ROWS {
        match narrow(row.name) {
            Some(arch) => check(arch),
            None => large.push(row.name),
        }
    }
    assert_eq!(large, ["redimnet-b6"]);
}

#[test]
#[ignore = "44 networks at full size, of up to 58 million weights, take some minutes"]
fn files_of_full_size_networks_take_the_bytes_counted() {
    ROWS.iter().for_each(|row| check(Architecture::named(row.name).unwrap()));
}
