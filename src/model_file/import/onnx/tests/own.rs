//! Files that we exported.

use std::path::Path;

use burn::tensor::Device;

use super::{embedding, read};
use crate::audio::FbankConfig;
use crate::infer::onnx::{Input, Options, WeightForm, export};
use crate::model_file::import::onnx::{OnnxFile, writer};
use crate::model_file::{Frontend, Header, ImportOptions, Model, NamedTensors, Training};
use crate::nn::{difference, trained};
use crate::quant::config::SmallLayers;
use crate::quant::{Method, QuantizeConfig, Quantizer, uniform};
use crate::zoo::Architecture;

fn model((name, width, mels): (&str, usize, usize)) -> Model {
    let named = Architecture::named(name).unwrap();
    let arch = Architecture { width, mels, embedding_dim: 8, ..named };
    let network = trained(arch.init(&Device::default(), 3).unwrap());
    let fbank = FbankConfig { mels, dither: 1.0, ..FbankConfig::default() };
    let mut header = Header::new(arch, Frontend { fbank, cmn: false });
    header.scoring.threshold_eer = Some(0.25);
    header.training =
        Some(Training { seed: 7, steps: 12, data_hash: "ab".to_owned(), ..Training::default() });
    Model { header, network }
}

fn bytes(model: &Model, options: &Options) -> Vec<u8> {
    export(model, options).unwrap()
}

/// Networks of every kind of layer: BatchNorms with and without weights, LayerNorms, sums with
/// weights, linear layers over frames.
#[test]
fn what_was_exported_comes_back() {
    for kind in [
        ("resnet10", 8, 16),
        ("rev2-df-resnet32", 8, 16),
        ("ecapa-tdnn-512", 64, 80),
        ("campplus", 32, 80),
        ("redimnet-b0", 10, 60),
        ("redimnet2-b0", 12, 72),
    ] {
        let model = model(kind);
        let imported = read(&bytes(&model, &Options::default()), &ImportOptions::default());
        let imported = imported.unwrap();
        assert_eq!(imported.model.header, model.header);
        assert!(imported.own && imported.head.0.is_empty());
        let of = |model: &Model| embedding(&model.network, kind.2);
        let off = difference(&of(&imported.model), &of(&model));
        assert!(off < 1e-5, "{}: {off}", kind.0);
    }
}

fn packed(model: &Model, config: QuantizeConfig) -> Model {
    let tensors = model.header.arch.layout().unwrap().names_and_shapes();
    let config = QuantizeConfig { small_layers: SmallLayers::FewerBits, ..config };
    let quantizer = Quantizer::new(uniform(&tensors, &config).unwrap(), config);
    let attached = quantizer.attach(model.network.clone()).unwrap();
    quantizer.set_stage(quantizer.stages());
    Model::packed(&model.header, &attached, &quantizer, &Device::default()).unwrap()
}

fn of_bits(bits: usize) -> QuantizeConfig {
    QuantizeConfig { bits, ..QuantizeConfig::default() }
}

fn binary(per_channel: bool, offset: bool) -> QuantizeConfig {
    let method = Method::BinaryStatic;
    QuantizeConfig { method, per_channel, offset, ..QuantizeConfig::default() }
}

const CODES: Options =
    Options { input: Input::Features, weights: WeightForm::Codes, target: None, source: None };

fn codes_of(model: &Model) -> Model {
    let imported = read(&bytes(model, &CODES), &ImportOptions::default()).unwrap();
    assert!(imported.own && imported.notes.iter().any(|note| note.contains("stay packed")));
    imported.model
}

/// Codes of any number of bits, scales in the place of codebooks, and layers too small for them.
#[test]
fn codes_come_back_to_the_bit() {
    let small = model(("resnet10", 8, 16));
    let configs = [3, 4, 5].map(of_bits).into_iter();
    let binaries = [(false, false), (true, false), (true, true)].map(|(a, b)| binary(a, b));
    let resnets = configs.chain(binaries).map(|config| packed(&small, config));
    let others = [("ecapa-tdnn-512", 64, 80), ("campplus", 32, 80)];
    let others = others.map(|kind| packed(&model(kind), of_bits(4)));
    for model in resnets.chain(others) {
        let file = |model: &Model| {
            model.to_bytes(Path::new("x.safetensors"), NamedTensors::default()).unwrap()
        };
        let found = codes_of(&model);
        assert_eq!(found.header, model.header);
        assert!(file(&found) == file(&model), "{}", model.header.arch.name);
        assert!(bytes(&found, &CODES) == bytes(&model, &CODES));
    }
    // The weight of a sum of one value is not in the file, and changes nothing.
    let model = packed(&model(("redimnet2-b0", 12, 72)), of_bits(4));
    let bits = |model: &Model| embedding(&model.network, 72).into_iter().map(f32::to_bits);
    assert!(bits(&codes_of(&model)).eq(bits(&model)));
}

#[test]
fn packed_weights_come_back_unpacked_from_f32_files() {
    let model = packed(&model(("resnet10", 8, 16)), of_bits(4));
    let imported = read(&bytes(&model, &Options::default()), &ImportOptions::default()).unwrap();
    assert!(imported.model.header.quantization.is_empty());
    let found = embedding(&imported.model.network, 16);
    let off = difference(&found, &embedding(&model.network, 16));
    assert!(off < 1e-5, "{off}");
    let waveform = Options { input: Input::Waveform, ..Options::default() };
    let error = read(&bytes(&model, &waveform), &ImportOptions::default()).unwrap_err().to_string();
    assert!(error.contains("takes samples") && error.contains("--weights f32"), "{error}");
}

/// Headers that say other codes than the file holds.
#[test]
fn codes_that_contradict_their_header_are_refused() {
    let file = bytes(&packed(&model(("resnet10", 8, 16)), of_bits(4)), &CODES);
    let with = |old: &str, new: &str| {
        let (mut changed, text) = (file.clone(), old.as_bytes());
        let places = (0..file.len() - text.len()).filter(|&i| file[i..].starts_with(text));
        let places: Vec<usize> = places.collect();
        assert!(!places.is_empty() && old.len() == new.len());
        places.iter().for_each(|&i| changed[i..i + text.len()].copy_from_slice(new.as_bytes()));
        read(&changed, &ImportOptions::default()).unwrap_err().to_string()
    };
    for (old, new, wanted) in [
        ("\"bits\":4", "\"bits\":8", "parameters; the file holds"),
        ("\"bits\":4", "\"bits\":3", "has more than 3 bits"),
        ("\"bits\":4", "\"bits\":9", "codes of 9 bits"),
        ("\"bits\":4", "\"bits\":0", "codes of 0 bits"),
        ("\"width\":8", "\"width\":9", "x.onnx: "),
        ("\"shape\":[8,8,3,3]", "\"shape\":[8,8,9,1]", "has shape [8, 8, 9, 1]"),
    ] {
        let error = with(old, new);
        assert!(error.contains("x.onnx") && error.contains(wanted), "{new}: {error}");
    }
}

#[test]
fn options_may_only_agree() {
    let file = bytes(&model(("resnet10", 8, 16)), &Options::default());
    let of = |arch: &str, mels: Option<usize>, key: Option<&str>| {
        let (arch, key) = (Some(arch.to_owned()), key.map(str::to_owned));
        let options = ImportOptions { arch, mels, key, ..ImportOptions::default() };
        read(&file, &options).map(|_| ()).map_err(|e| e.to_string())
    };
    of("resnet10", Some(16), None).unwrap();
    for (result, wanted) in [
        (of("resnet18", None, None), "its network is resnet10, not resnet18"),
        (of("resnet10", Some(80), None), "its number of mels is 16, not 80"),
        (of("resnet10", None, Some("model")), "leave key and layers out"),
    ] {
        let error = result.unwrap_err();
        assert!(error.contains("x.onnx: ") && error.contains(wanted), "{error}");
    }
}

/// A file of our header alone.
#[test]
fn changed_files_are_refused() {
    let model = model(("resnet10", 8, 16));
    let header = |header: &Header| {
        let json = serde_json::to_string(header).unwrap();
        let entry = [writer::bytes(1, b"revox"), writer::bytes(2, json.as_bytes())].concat();
        [writer::number(1, 8), writer::bytes(7, &[]), writer::bytes(14, &entry)].concat()
    };
    let error = |file: &[u8]| read(file, &ImportOptions::default()).unwrap_err().to_string();
    let mut large = model.header.clone();
    large.arch.width = 512;
    assert!(error(&header(&large)).contains("parameters; the file holds"));
    let file = bytes(&model, &Options::default());
    for (name, other) in
        [("layer1.0.conv1.weight", "layer1.0.conv1.weighs"), ("bn1.scale", "bn1.scalf")]
    {
        // Of the same length, wherever it stands.
        let text = name.as_bytes();
        let places: Vec<usize> =
            (0..file.len() - text.len()).filter(|&i| file[i..].starts_with(text)).collect();
        let mut changed = file.clone();
        places.iter().for_each(|&i| changed[i..i + text.len()].copy_from_slice(other.as_bytes()));
        let error = error(&changed);
        assert!(error.contains("another program has changed the file"), "{error}");
    }
}

#[test]
fn files_are_described() {
    let model = model(("resnet10", 8, 16));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.onnx");
    std::fs::write(&path, bytes(&model, &Options::default())).unwrap();
    assert!(OnnxFile::is_one(&path) && !OnnxFile::is_one(dir.path()));
    let file = OnnxFile::read(&path).unwrap();
    assert!(file.producer.starts_with("revox "), "{}", file.producer);
    assert_eq!(file.opset, 13);
    assert_eq!(file.inputs, [("feats".to_owned(), vec![0, 0, 16])]);
    assert_eq!(file.outputs, [("embs".to_owned(), vec![0, 8])]);
    assert_eq!(file.operations["Conv"], 12);
    let header: Header = serde_json::from_str(&file.metadata["revox"]).unwrap();
    assert_eq!(header, model.header);
    let floats = file.tensors.iter().filter(|tensor| tensor.dtype == "F32");
    let held: usize = floats.map(|tensor| tensor.bytes).sum();
    assert!(held >= 4 * model.header.arch.layout().unwrap().parameters(), "{held}");
    // Those of short names are told by the names of the model.
    std::fs::write(&path, bytes(&packed(&model, of_bits(4)), &CODES)).unwrap();
    let told = OnnxFile::read(&path).unwrap().tensors;
    for name in ["conv1.weight.codes", "conv1.weight.codebook", "bn1.scale", "seg_1.bias"] {
        assert!(told.iter().any(|tensor| tensor.name == name), "{name}: {told:?}");
    }
    assert!(told.is_sorted_by_key(|tensor| &tensor.name));
}
