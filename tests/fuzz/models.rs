//! Model files.

use std::path::Path;

use burn::tensor::Device;
use revox::audio::FbankConfig;
use revox::inference::{Embedder, Extractor};
use revox::model_file::{
    Frontend, Header, ImportOptions, Model, NamedTensors, NamedThreshold, Scoring, import,
    layer_sizes, read_head, read_header, update_header,
};
use revox::nn::{collect_named, names_and_shapes};
use revox::quant::config::SmallLayers;
use revox::quant::{Activations, QuantizeConfig, Quantizer, RangeMethod, Ranges, uniform};
use revox::rng::Stream;
use revox::scoring::{Calibration, Evidence, Fitted, parse_columns};
use revox::train::Start;
use revox::train::quantize::quantize;
use revox::zoo::Architecture;

use crate::mutate::{self, pick};
use crate::runner::{Outcome, Target, Verdict, run, run_with};
use crate::text::text;
use crate::{shared, sign};

pub(super) const NAME: &str = "resnet10";
pub(super) const MELS: usize = 16;

/// Words of headers and configurations.
const WORDS: &[&str] = &[
    "format",
    "arch",
    "name",
    "width",
    "mels",
    "embedding_dim",
    "pooling",
    "frontend",
    "sample_rate",
    "frame_length_ms",
    "frame_shift_ms",
    "scale",
    "dither",
    "preemphasis",
    "low_freq",
    "high_freq",
    "window",
    "quantization",
    "bits",
    "shape",
    "codebook",
    "scheme",
    "activations",
    "method",
    "percentile",
    "mse",
    "utterances",
    "layers",
    "input",
    "output",
    "conv1.weight",
    "seg_1.weight",
    "F32",
    "U8",
    "F16",
    "BF16",
    "dtype",
    "data_offsets",
    "scoring",
    "embedding_mean",
    "thresholds",
    "calibration",
    "columns",
    "score",
    "ratio-norm",
    "weights",
    "bias",
    "fitted",
    "prior",
    "seconds",
    "named_thresholds",
    "false_accept_rate",
    "threshold",
    "resnet293",
    "rev1-resnet10",
    "ASTP",
];

/// A calibration, and thresholds of all kinds.
fn scoring() -> Scoring {
    let columns = parse_columns("min-seconds,ratio-norm").expect("columns");
    let fitted = Fitted { prior: 0.01, seconds: Some([1.5, 30.0]), ..Fitted::default() };
    let calibration = Calibration { columns, weights: vec![13.0, 0.1, -0.5], bias: -2.0, fitted };
    let named = NamedThreshold { false_accept_rate: 0.001, threshold: 0.4375 };
    Scoring {
        thresholds: vec![(0.01, 0.25)],
        threshold_eer: Some(0.125),
        calibration: Some(calibration),
        named_thresholds: [("door".to_owned(), named)].into(),
        ..Scoring::default()
    }
}

/// An untrained model.
pub(super) fn small(width: usize) -> Model {
    let named = Architecture::named(NAME).expect("a known name");
    let arch = Architecture { width, mels: MELS, embedding_dim: 8, ..named };
    let network = arch.init(&Device::default(), 3).expect("a network");
    let fbank = FbankConfig { mels: MELS, ..FbankConfig::default() };
    let mut header = Header::new(arch, Frontend { fbank, cmn: true });
    header.scoring = scoring();
    Model { header, network }
}

fn file(model: &Model) -> Vec<u8> {
    model.to_bytes(Path::new("model"), NamedTensors::default()).expect("a file")
}

/// The same model with 3 bits a weight.
fn packed() -> Model {
    let (model, device) = (small(4), Device::default());
    let config = QuantizeConfig {
        bits: 3,
        small_layers: SmallLayers::FewerBits,
        ..QuantizeConfig::default()
    };
    let plan = uniform(&names_and_shapes(&model.network), &config).expect("a plan");
    quantize(&model, &Quantizer::new(plan, config), &device).expect("a packed model")
}

/// The same model with layers that compute in integers.
fn in_integers() -> Model {
    let mut model = small(4);
    let names = ["layer1.0.conv2", "layer3.0.conv1", "layer3.0.shortcut.0", "layer4.0.conv2"];
    let ranges = Ranges { input: [-0.5, 4.0], output: [0.0, 6.5] };
    let layers = names.map(|name| (format!("{name}.weight"), ranges)).into();
    let (bits, method) = (Activations::BITS, RangeMethod::Percentile);
    model.header.activations = Some(Activations { bits, method, utterances: 64, layers });
    model
}

/// A file of the shared data, if it is there.
pub(super) fn given(name: &str) -> Option<Vec<u8>> {
    let path = shared::shared(&format!("cases/models/{name}"))?;
    Some(std::fs::read(path).expect("a file"))
}

/// What a user does with a model that was read. Nothing may panic, and all numbers are finite.
pub(super) fn sound(model: &Model) -> Result<(), String> {
    for (name, data) in collect_named(&model.network) {
        if let Some(x) = data.iter::<f32>().find(|x| !x.is_finite()) {
            return Err(format!("`{name}` was read with the value {x}"));
        }
    }
    layer_sizes(model);
    let header = &model.header;
    if let Some(calibration) = &header.scoring.calibration {
        let side = Evidence { seconds: Some(2.5), norm: Some(0.5), cohort: Some(0.25) };
        // Where the longest speech is none, a ratio of seconds is undefined.
        let _ = calibration.llr(0.5, &side, &side);
        let _ = calibration.to_string();
    }
    header.arch.account(200).map_err(|e| format!("cannot be accounted for: {e}"))?;
    let extractor = Extractor::new(&header.frontend)
        .map_err(|e| format!("read, but without a front-end: {e}"))?;
    let mut stream = Stream::new(1, "noise", &[]);
    let samples: Vec<f32> = (0..4000).map(|_| stream.between(-0.5, 0.5) as f32).collect();
    // Audio that is shorter than a frame is refused.
    if let Ok(features) = extractor.features(&samples, None)
        && features.frames <= 64
    {
        let embedder = Embedder::of(model, &Device::default())
            .map_err(|e| format!("read, but without an embedder: {e}"))?;
        let rows = embedder.features(&[&features], &|_| ());
        if rows[0].len() != header.embedding_dim {
            return Err(format!(
                "{} values in an embedding of {}",
                rows[0].len(),
                header.embedding_dim
            ));
        }
    }
    Ok(())
}

/// A refusal has to name one of these files.
pub(super) fn refused(error: &revox::Error, names: &[&str]) -> Outcome {
    let text = error.to_string();
    match names.iter().any(|name| text.contains(name)) {
        true => Ok(Verdict::Refused),
        false => Err(format!("an error without a file's name: {text}")),
    }
}

/// What else is done with the file of a model: training from it, and changing its header.
fn used(path: &Path, model: &Model) -> Result<(), String> {
    let told = |e: revox::Error| format!("read, and then: {e}");
    let header = read_header(path).map_err(told)?;
    if header != model.header {
        return Err("its header is read as another one".into());
    }
    read_head(path).map_err(told)?;
    // Packed weights are lost, and a head may have other rows than speakers.
    if let Err(e) = Start::load(path, &Device::default()) {
        refused(&e, &["m.safetensors"])?;
    }
    let copy = path.with_file_name("copy.safetensors");
    update_header(path, &copy, |header| header.scoring.threshold_eer = Some(0.5)).map_err(told)?;
    let scoring = read_header(&copy).map_err(told)?.scoring;
    let shape = |scoring: &Scoring| {
        let columns = scoring.calibration.as_ref().map(|c| c.columns.clone());
        (columns, scoring.named_thresholds.keys().cloned().collect::<Vec<String>>())
    };
    if shape(&scoring) != shape(&header.scoring) {
        return Err("another calibration or other named thresholds after writing them".into());
    }
    match scoring.threshold_eer {
        Some(0.5) => Ok(()),
        other => Err(format!("a threshold of 0.5 became {other:?}")),
    }
}

fn read_model(path: &Path, _bytes: &[u8]) -> Outcome {
    match Model::load(path, &Device::default()) {
        Ok(model) => sound(&model).and_then(|()| used(path, &model)).map(|()| Verdict::Read),
        Err(e) => refused(&e, &["m.safetensors"]),
    }
}

/// A model with a weight that is not finite, with a correct checksum and without any.
fn poisoned(value: f32) -> [Vec<u8>; 2] {
    let mut signed = file(&small(2));
    let first = 8 + mutate::parts(&signed).0.len();
    signed[first..first + 4].copy_from_slice(&value.to_le_bytes());
    sign::sign(&mut signed);
    let mut unsigned = signed.clone();
    sign::unsign(&mut unsigned);
    [signed, unsigned]
}

/// The tests sign files as the library does.
#[test]
fn a_signed_model_is_signed_again_as_it_was() {
    for good in [file(&small(2)), file(&packed()), file(&in_integers())] {
        assert!(sign::is_signed(&good));
        let mut again = good.clone();
        sign::sign(&mut again);
        assert!(again == good);
        let mut changed = good.clone();
        *changed.last_mut().expect("bytes") ^= 1;
        assert!(!sign::is_signed(&changed));
        sign::sign(&mut changed);
        assert!(sign::is_signed(&changed) && changed != good);
        sign::unsign(&mut changed);
        assert!(!sign::is_signed(&changed) && changed.len() == good.len());
        safetensors::SafeTensors::deserialize(&changed).expect("a file without a checksum");
    }
}

/// Model files, read as models and as checkpoints of another program.
#[test]
fn model_files() {
    let mut seeds = vec![file(&small(2)), file(&packed()), file(&in_integers())];
    let good = seeds.clone();
    let names = ["tiny.safetensors", "q01_dead_layer.safetensors", "s01_f16.safetensors"];
    seeds.extend(names.iter().filter_map(|name| given(name)));
    let make = |stream: &mut Stream| match stream.chance(0.5) {
        true => mutate::bytes(stream, &seeds, 9000),
        false => {
            let seed = pick(stream, &seeds).clone();
            mutate::with_header(stream, &seed, |stream, header| text(stream, &[header], WORDS))
        }
    };
    let options =
        ImportOptions { arch: Some(NAME.into()), mels: Some(MELS), ..ImportOptions::default() };
    let read = |path: &Path, bytes: &[u8]| -> Outcome {
        let verdict = read_model(path, bytes)?;
        match import(path, &options, &Device::default()) {
            Ok((model, _)) => sound(&model).map(|()| Verdict::Read),
            Err(e) => refused(&e, &["m.safetensors"]).map(|_| verdict),
        }
    };
    let values = [("NaN", f32::NAN), ("infinity", f32::INFINITY)];
    let made = values.map(|(name, value)| poisoned(value).map(|file| (name, file)));
    let target = Target {
        name: "model_files",
        file: "m.safetensors",
        good: &good,
        make: &make,
        read: &read,
    };
    run_with(&target, made.as_flattened());
}

/// Changed descriptions of a model with the tensors of a good one.
#[test]
fn model_headers() {
    let good = vec![file(&small(2)), file(&packed()), file(&in_integers())];
    let described = |file: &Vec<u8>| {
        let header: serde_json::Value =
            serde_json::from_slice(mutate::parts(file).0).expect("a header");
        header["__metadata__"]["revox"].as_str().expect("a description").as_bytes().to_vec()
    };
    let descriptions: Vec<Vec<u8>> = good.iter().map(described).collect();
    let make = |stream: &mut Stream| {
        let i = stream.below(good.len());
        let (header, tensors) = mutate::parts(&good[i]);
        let mut header: serde_json::Value = serde_json::from_slice(header).expect("a header");
        let mut description = descriptions[i].clone();
        (0..1 + stream.below(3))
            .for_each(|_| crate::text::change(stream, &mut description, &descriptions, WORDS));
        header["__metadata__"]["revox"] = String::from_utf8_lossy(&description).into();
        let header = header.to_string().into_bytes();
        let mut file =
            [&(header.len() as u64).to_le_bytes()[..], header.as_slice(), tensors].concat();
        mutate::seal(stream, &mut file);
        file
    };
    run(&Target {
        name: "model_headers",
        file: "m.safetensors",
        good: &good,
        make: &make,
        read: &read_model,
    });
}
