//! Checkpoints of others and their configurations.

use std::path::Path;

use burn::tensor::Device;
use revox::model_file::{ImportOptions, import};
use revox::nn::collect_named;
use revox::rng::Stream;

use crate::models::{MELS, NAME, given, refused, small, sound};
use crate::mutate::{self, pick};
use crate::runner::{Outcome, Target, Verdict, run};
use crate::text::text;
use crate::torch_file::{Entry, OPCODES, archive, checkpoint, entries};

/// The small model as PyTorch would have saved it.
fn torch() -> Vec<u8> {
    let tensors = collect_named(&small(2).network).into_iter();
    let parts = tensors.map(|(name, data)| {
        (name, data.shape().to_vec(), data.iter::<f32>().collect::<Vec<f32>>())
    });
    checkpoint(&parts.collect::<Vec<_>>())
}

/// An archive whose entries were changed, mostly the pickle.
fn repacked(stream: &mut Stream, archives: &[Vec<Entry>]) -> Vec<u8> {
    let mut all = pick(stream, archives).clone();
    for _ in 0..1 + stream.below(3) {
        let i = if stream.chance(0.7) { 0 } else { stream.below(all.len()) };
        let pickle = all[i].1.clone();
        let at = stream.below(all[i].1.len() + 1);
        match stream.below(10) {
            0..=5 => mutate::change(stream, &mut all[i].1, &[pickle], 0),
            6 | 7 => {
                let code = *pick(stream, OPCODES);
                all[i].1.splice(at..at, code.iter().copied());
            }
            8 => {
                // Objects inside objects, as deep as the reader follows.
                let (code, depth) = (*pick(stream, OPCODES), 1usize << stream.below(15));
                let nested = [b")".to_vec(), code.repeat(depth), b"0".to_vec()].concat();
                all[i].1.splice(at..at, nested);
            }
            _ => {
                let j = stream.below(all.len());
                let name = all[j].0.clone();
                all[i].0 = name;
            }
        }
    }
    archive(&all, stream.chance(0.5))
}

#[test]
fn checkpoints() {
    let good = vec![torch()];
    let names = [
        "p00_plain.pt",
        "p00b_protocol4.pt",
        "p01_legacy.pt",
        "p02_module.pt",
        "p05b_one_storage.pt",
    ];
    let seeds = [good.clone(), names.iter().filter_map(|name| given(name)).collect()].concat();
    let archives: Vec<Vec<Entry>> = seeds.iter().filter_map(|seed| entries(seed)).collect();
    let make = |stream: &mut Stream| match stream.chance(0.7) {
        true => repacked(stream, &archives),
        false => mutate::bytes(stream, &seeds, 8000),
    };
    let options =
        ImportOptions { arch: Some(NAME.into()), mels: Some(MELS), ..ImportOptions::default() };
    let read = |path: &Path, _: &[u8]| match import(path, &options, &Device::default()) {
        Ok((model, _)) => sound(&model).map(|()| Verdict::Read),
        Err(e) => refused(&e, &["model.pt"]),
    };
    run(&Target { name: "checkpoints", file: "model.pt", good: &good, make: &make, read: &read });
}

#[test]
fn configurations() {
    let plain = "model: ResNet10\nmodel_args:\n  feat_dim: 16\n  embed_dim: 8\n\
                 \x20 pooling_func: TSTP\n  m_channels: 2\n  two_emb_layer: false\n\
                 dataset_args:\n  resample_rate: 16000\n  cmvn: true\n  cmvn_args:\n\
                 \x20   norm_mean: true\n    norm_var: false\n  fbank_args:\n\
                 \x20   num_mel_bins: 16\n    frame_length: 25\n    frame_shift: 10\n\
                 \x20   dither: 1.0\n    window_type: hamming\n";
    // Aliases of aliases: a few lines that stand for a million.
    let mut aliases = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..7 {
        let one = format!("*a{}", i - 1);
        aliases += &format!("a{i}: &a{i} [{}]\n", vec![one; 10].join(", "));
    }
    let good = vec![plain.as_bytes().to_vec()];
    let seeds = [good.clone(), vec![[aliases.as_bytes(), plain.as_bytes()].concat()]].concat();
    let words = [
        "model",
        "model_args",
        "dataset_args",
        "fbank_args",
        "cmvn_args",
        "norm_mean",
        "norm_var",
        "frontend",
        "s3prl",
        "fbank",
        "frame_length",
        "frame_shift",
        "resample_rate",
        "num_mel_bins",
        "feat_dim",
        "low_freq",
        "high_freq",
        "window_type",
        "povey",
        "raw_wav",
        "ResNet34",
        "ASTP",
        "\"8000\"",
        "8000.0",
        "&a",
        "*a",
        "!!float",
        "<<: *a0",
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let weights = folder.path().join("model.pt");
    std::fs::write(&weights, torch()).expect("a file");
    let read = |path: &Path, _: &[u8]| -> Outcome {
        let options = ImportOptions { config: Some(path.to_owned()), ..ImportOptions::default() };
        match import(&weights, &options, &Device::default()) {
            Ok((model, _)) => sound(&model).map(|()| Verdict::Read),
            Err(e) => refused(&e, &["config.yaml", "model.pt"]),
        }
    };
    let make = |stream: &mut Stream| text(stream, &seeds, &words);
    run(&Target {
        name: "configurations",
        file: "config.yaml",
        good: &good,
        make: &make,
        read: &read,
    });
}
