//! Embeddings of two recordings, and how alike their speakers sound.
//!
//!     cargo run --release --example embed -- model.safetensors a.wav b.wav
//!
//! Without arguments, a network with random weights embeds two tones.

use std::path::PathBuf;

use burn::tensor::Device;
use revox::inference::Embedder;
use revox::model_file::{Frontend, Header, Model};
use revox::scoring::{Embeddings, Scorer};
use revox::zoo::Architecture;
use revox::{Error, Result};

fn main() -> Result<()> {
    let args: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let device = Device::default();
    let model = match args.first() {
        Some(path) => Model::load(path, &device)?,
        None => untrained(&device)?,
    };
    let embedder = Embedder::of(&model, &device)?;
    let [a, b] = match args.as_slice() {
        [_, a, b] => [embedder.file(a)?, embedder.file(b)?],
        [] => [embedder.samples(&tone(110.0))?, embedder.samples(&tone(180.0))?],
        _ => return Err(Error::invalid("give MODEL A.wav B.wav, or nothing")),
    };
    println!("{} values: {:.3?} ...", a.len(), &a[..4]);
    let mut pair = Embeddings::new(a.len());
    pair.push("a", &a)?;
    pair.push("b", &b)?;
    println!("cosine {:.4}", Scorer::new(&pair, None)?.score(0, 1));
    if let Some(threshold) = model.header.scoring.threshold_eer {
        println!("one speaker from {threshold:.4} on, by the model's own threshold");
    }
    Ok(())
}

/// A small network with random weights.
fn untrained(device: &Device) -> Result<Model> {
    let arch = Architecture::named("resnet10")?;
    let network = arch.init(device, 1)?;
    Ok(Model { header: Header::new(arch, Frontend::default()), network })
}

/// A second of a hum with overtones, at the front-end's 16 kHz.
fn tone(frequency: f32) -> Vec<f32> {
    let wave = |overtone: usize, seconds: f32| {
        let k = overtone as f32;
        (std::f32::consts::TAU * k * frequency * seconds).sin() / k
    };
    (0..16_000).map(|i| (1..20).map(|k| 0.1 * wave(k, i as f32 / 16_000.0)).sum()).collect()
}
