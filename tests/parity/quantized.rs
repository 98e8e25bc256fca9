//! Networks quantized without training: embeddings stay where they are, the better the more bits.

use burn::tensor::{Device, Tensor, TensorData};
use revox::audio::FbankConfig;
use revox::model_file::{Frontend, Header, ImportOptions, Model, import};
use revox::nn::{Mode, names_and_shapes};
use revox::quant::config::SmallLayers;
use revox::quant::{QuantizeConfig, Quantizer, uniform};
use revox::selftest::reference;
use revox::train::quantize::quantize;

use crate::shared::Tensors;
use crate::shared_or_skip;

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(x * y)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Quantizes a model with 8, 6 and 4 bits and compares with the reference's embeddings `[batch,
/// dim]` of `[batch, frames, mels]`.
fn check(name: &str, model: &Model, input: (Vec<f32>, Vec<usize>), wanted: &[f32]) {
    let device = Device::default();
    let batch = input.1[0];
    let x = Tensor::<3>::from_data(TensorData::new(input.0, input.1), &device);
    let off = |bits| {
        let config = QuantizeConfig {
            bits,
            small_layers: SmallLayers::FewerBits,
            ..QuantizeConfig::default()
        };
        let plan = uniform(&names_and_shapes(&model.network), &config).unwrap();
        let packed = quantize(model, &Quantizer::new(plan, config), &device).unwrap();
        let ours = packed.network.forward(x.clone(), Mode::Eval);
        let ours = ours.into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(ours.len(), wanted.len(), "{name}");
        let dim = wanted.len() / batch;
        let rows = ours.chunks_exact(dim).zip(wanted.chunks_exact(dim));
        rows.map(|(ours, wanted)| 1.0 - cosine(ours, wanted)).fold(0.0, f64::max)
    };
    let [eight, six, four] = [8, 6, 4].map(off);
    eprintln!("{name}: 1 - cosine {eight:.2e} with 8 bits, {six:.2e} with 6, {four:.2e} with 4");
    assert!(
        eight < six && six < four && eight < 1e-4 && four < 0.02,
        "{name}: {eight:e}, {six:e}, {four:e}"
    );
}

/// Weights by a formula, embeddings by WeSpeaker.
#[test]
fn embeddings_of_small_networks_stay() {
    let mut checked = 0;
    for reference in reference::networks().unwrap() {
        let name = reference.name;
        // Their layers are too small for 8 bits.
        if ["resnet50_m4", "ecapa_c64", "ReDimNet2B0"].contains(&name) {
            continue;
        }
        let network = reference.network(&Device::default()).unwrap();
        let arch = reference.arch;
        let input = reference::tensor(&format!("input_f{}", arch.mels)).unwrap();
        let fbank = FbankConfig { mels: arch.mels, ..FbankConfig::default() };
        let header = Header::new(arch, Frontend { fbank, cmn: true });
        let model = Model { header, network };
        check(name, &model, input, &reference::tensor(name).unwrap().0);
        checked += 1;
    }
    assert_eq!(checked, 3);
}

#[test]
fn embeddings_of_imported_checkpoints_stay() {
    let folder = shared_or_skip!("fixtures/f2_models");
    for (name, arch) in [
        ("resnet34_m8", "resnet34"),
        ("resnet50_m4", "resnet50"),
        ("gemini_small", "gemini-df-resnet60"),
    ] {
        let options = ImportOptions { arch: Some(arch.into()), ..ImportOptions::default() };
        let file = folder.join(format!("{name}.pt"));
        let (model, _) = import(&file, &options, &Device::default()).unwrap();
        let io = Tensors::open(folder.join(format!("{name}.io.safetensors")));
        let input = (io.f32("x2x200/input"), io.shape("x2x200/input"));
        check(name, &model, input, &io.f32("x2x200/emb_f64"));
    }
}
