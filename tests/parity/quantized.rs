//! WeSpeaker's checkpoints quantized without training: embeddings stay where they are, the better
//! the more bits.

use burn::tensor::{Device, Tensor, TensorData};
use revox::model_file::{ImportOptions, import};
use revox::nn::{Mode, names_and_shapes};
use revox::quant::config::SmallLayers;
use revox::quant::{QuantizeConfig, Quantizer, uniform};
use revox::train::quantize::quantize;

use crate::shared::Tensors;
use crate::shared_or_skip;

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(x * y)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn embeddings_of_imported_checkpoints_stay() {
    let folder = shared_or_skip!("fixtures/f2_models");
    let device = Device::default();
    for (name, arch) in [
        ("resnet34_m8", "resnet34"),
        ("resnet50_m4", "resnet50"),
        ("gemini_small", "gemini-df-resnet60"),
    ] {
        let options = ImportOptions { arch: Some(arch.into()), ..ImportOptions::default() };
        let (model, _) = import(&folder.join(format!("{name}.pt")), &options, &device).unwrap();
        let io = Tensors::open(folder.join(format!("{name}.io.safetensors")));
        let (input, shape) = (io.f32("x2x200/input"), io.shape("x2x200/input"));
        let x = Tensor::<3>::from_data(TensorData::new(input, shape), &device);
        let wanted = io.f32("x2x200/emb_f64");
        let off = |bits| {
            let config = QuantizeConfig {
                bits,
                small_layers: SmallLayers::FewerBits,
                ..QuantizeConfig::default()
            };
            let plan = uniform(&names_and_shapes(&model.network), &config).unwrap();
            let packed = quantize(&model, &Quantizer::new(plan, config), &device).unwrap();
            let ours = packed
                .network
                .forward(x.clone(), Mode::Eval)
                .into_data()
                .try_to_vec::<f32>()
                .unwrap();
            let half = ours.len() / 2;
            let worst =
                cosine(&ours[..half], &wanted[..half]).min(cosine(&ours[half..], &wanted[half..]));
            1.0 - worst
        };
        let [eight, six, four] = [8, 6, 4].map(off);
        eprintln!(
            "{name}: 1 - cosine {eight:.2e} with 8 bits, {six:.2e} with 6, {four:.2e} with 4"
        );
        assert!(
            eight < six && six < four && eight < 1e-4 && four < 0.02,
            "{name}: {eight:e}, {six:e}, {four:e}"
        );
    }
}
