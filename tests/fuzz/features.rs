//! Files of features, as `revox fbank` writes and `revox embed --features` reads them; and changes
//! of settings without a recipe.

use std::path::Path;

use burn::tensor::TensorData;
use revox::audio::FbankConfig;
use revox::inference::Extractor;
use revox::model_file::{Frontend, NamedTensors, read_safetensors};
use revox::quant::QuantizeConfig;
use revox::rng::Stream;

use crate::mutate::{self, pick};
use crate::runner::{Outcome, Target, Verdict, run};
use crate::text::text;

const MELS: usize = 8;

/// Features of some utterances, and what made them.
fn file(utterances: &[(&str, usize)]) -> Vec<u8> {
    let features = |frames: usize| {
        let values: Vec<f32> = (0..frames * MELS).map(|i| (i as f32 * 0.1).sin()).collect();
        TensorData::new(values, [frames, MELS])
    };
    let tensors = utterances.iter().map(|(id, frames)| ((*id).to_owned(), features(*frames)));
    let frontend =
        Frontend { fbank: FbankConfig { mels: MELS, ..FbankConfig::default() }, cmn: false };
    let settings = serde_json::to_string(&frontend).expect("settings are plain data");
    let tensors = NamedTensors(tensors.collect());
    tensors.to_safetensors(Path::new("features"), "frontend", settings).expect("a file")
}

fn read(path: &Path, bytes: &[u8]) -> Outcome {
    let (tensors, metadata) = match read_safetensors(path) {
        Ok(read) => read,
        Err(e) if e.to_string().contains("f.safetensors") => return Ok(Verdict::Refused),
        Err(e) => return Err(format!("an error without its file: {e}")),
    };
    let values: usize = tensors.0.iter().map(|(_, data)| data.num_elements()).sum();
    if 4 * values > bytes.len() {
        return Err(format!("{values} values in a file of {} bytes", bytes.len()));
    }
    let Some(text) = metadata.get("frontend") else { return Ok(Verdict::Read) };
    match serde_json::from_str::<Frontend>(text) {
        // An error of the front-end is a refusal.
        Ok(frontend) => {
            Ok(if Extractor::new(&frontend).is_ok() { Verdict::Read } else { Verdict::Refused })
        }
        Err(_) => Ok(Verdict::Refused),
    }
}

#[test]
fn features() {
    let good = vec![file(&[("a", 3), ("sub/b ü", 1)]), file(&[("c", 40)])];
    let words = [
        "frontend",
        "fbank",
        "mels",
        "cmn",
        "F32",
        "F16",
        "I64",
        "shape",
        "dtype",
        "data_offsets",
        "sha256",
    ];
    let make = |stream: &mut Stream| match stream.chance(0.5) {
        true => mutate::bytes(stream, &good, 300),
        false => {
            let seed = pick(stream, &good).clone();
            mutate::with_header(stream, &seed, |stream, header| text(stream, &[header], &words))
        }
    };
    run(&Target { name: "features", file: "f.safetensors", good: &good, make: &make, read: &read });
}

/// `--set quantize.KEY=VALUE` without a recipe: a change a line.
#[test]
fn changes_of_quantization() {
    let texts = [
        "quantize.bits=3\nquantize.small_layers=fewer-bits\n",
        "quantize.method=binary-static\nquantize.per_channel=true\nquantize.offset=true\n",
        "quantize.method=mixed\nquantize.target_bytes=50000\nquantize.sensitivity.measure=error\n",
        "quantize.keep=[\"conv1.weight\"]\nquantize.candidates=[2, 4]\n",
    ];
    let good: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    let words = [
        "quantize",
        "bits",
        "method",
        "mixed",
        "kmeans",
        "binary-adaptive",
        "update",
        "frozen-mean",
        "stages",
        "order",
        "front",
        "refresh_every",
        "target_bytes",
        "sensitivity",
        "probes",
        "candidates",
        "clip",
        "train.epochs",
        "=",
        ".",
    ];
    let read = |_: &Path, bytes: &[u8]| -> Outcome {
        let changes: Vec<String> =
            String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect();
        match QuantizeConfig::changed(&changes) {
            Ok(config) if config.clip.is_some_and(|clip| !clip.is_finite()) => {
                Err("a limit that is no number".into())
            }
            Ok(_) => Ok(Verdict::Read),
            Err(e) if ["override", "quantize"].iter().any(|word| e.to_string().contains(word)) => {
                Ok(Verdict::Refused)
            }
            Err(e) => Err(format!("an error without its key: {e}")),
        }
    };
    let make = |stream: &mut Stream| text(stream, &good, &words);
    run(&Target {
        name: "changes_of_quantization",
        file: "changes",
        good: &good,
        make: &make,
        read: &read,
    });
}
