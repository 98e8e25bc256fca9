//! Exported ONNX files, run by rten, against the runtime.

mod program;

use std::collections::BTreeSet;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use revox::audio::FbankConfig;
use revox::infer::onnx::{Check, Input, Options, Target, WeightForm, export, verify};
use revox::infer::{Floats, calibrate};
use revox::inference::Features;
use revox::model_file::{Frontend, Header, Model};
use revox::nn::graph::Op;
use revox::nn::{Mode, PoolingKind, names_and_shapes};
use revox::quant::config::SmallLayers;
use revox::quant::{QuantizeConfig, Quantizer, RangeMethod, uniform};
use revox::rng::Stream;
use revox::zoo::{Architecture, names};

/// Networks with every operation of the zoo, with a width at which each is small, and mels. A
/// ReDimNet's mels fit its width.
const NETWORKS: [(&str, usize, usize); 16] = [
    ("resnet18", 8, 16),
    ("resnet50", 8, 16),
    ("df-resnet32", 8, 16),
    ("gemini-df-resnet60", 8, 16),
    ("rev1-resnet10", 8, 16),
    ("rev2-df-resnet32", 8, 16),
    ("ecapa-tdnn-512", 64, 80),
    ("ecapa-tdnn-glob-512", 64, 80),
    ("campplus", 32, 80),
    ("res2net34", 8, 80),
    ("eres2net34", 8, 80),
    ("simam-resnet34", 8, 80),
    ("tdnn", 64, 80),
    ("redimnet-b0", 10, 60),
    ("redimnet-b2", 16, 72),
    ("redimnet2-b0", 12, 72),
];

fn small((name, width, mels): (&str, usize, usize)) -> Architecture {
    Architecture { width, mels, embedding_dim: 16, ..Architecture::named(name).unwrap() }
}

fn resnet18() -> Model {
    model(small(("resnet18", 8, 16)))
}

/// An untrained model whose running statistics have moved.
fn model(arch: Architecture) -> Model {
    let (device, mels) = (Device::default(), arch.mels);
    let network = arch.init(&device, 5).unwrap().train();
    for pass in 0..2 {
        let mut stream = Stream::new(11, "statistics", &[pass]);
        let values: Vec<f32> = (0..4 * 40 * mels).map(|_| stream.normal() as f32).collect();
        let x = Tensor::<3>::from_data(TensorData::new(values, [4, 40, mels]), &device);
        network.forward(x.autodiff(), Mode::Train);
    }
    let fbank = FbankConfig { mels, ..FbankConfig::default() };
    Model { header: Header::new(arch, Frontend { fbank, cmn: true }), network: network.valid() }
}

/// The model with a quantizer attached, and packed.
fn quantized(model: &Model) -> [Model; 2] {
    let small_layers = SmallLayers::FewerBits;
    let config = QuantizeConfig { bits: 4, small_layers, ..QuantizeConfig::default() };
    let plan = uniform(&names_and_shapes(&model.network), &config).unwrap();
    let quantizer = Quantizer::new(plan, config);
    let network = quantizer.attach(model.network.clone()).unwrap();
    let packed = Model::packed(&model.header, &network, &quantizer, &Device::default()).unwrap();
    [Model { header: model.header.clone(), network }, packed]
}

/// The model with ranges of activations, found in noise.
fn calibrated(model: &Model) -> Model {
    let mels = model.header.arch.mels;
    let features = [70, 150].map(|frames: usize| {
        let frames = frames.max(model.network.least_frames());
        let mut stream = Stream::new(13, "calibration", &[frames as u64]);
        let values = (0..frames * mels).map(|_| stream.normal() as f32).collect();
        Features { values, frames, mels }
    });
    let (method, floats) = (RangeMethod::Percentile, Floats::None);
    let found = calibrate(model, &features, method, &floats, &mut |_, _| ()).unwrap();
    let mut model = model.clone();
    model.header.activations = Some(found.activations);
    model
}

/// Exports a model, has rten run the file, and returns the largest difference.
fn off(model: &Model, input: Input, weights: WeightForm) -> f64 {
    let options = Options { input, weights, ..Options::default() };
    let bytes = export(model, &options).unwrap();
    match verify(model, &bytes, &options) {
        Ok(Check::Off(off)) => off,
        other => panic!("{}, {input:?}, {weights:?}: {other:?}", model.header.arch.name),
    }
}

fn refused(model: &Model, options: &Options) -> String {
    export(model, options).unwrap_err().to_string()
}

#[test]
fn every_family_is_run_as_f32_and_as_codes() {
    for network in NETWORKS {
        let model = model(small(network));
        let [_, packed] = quantized(&model);
        for (model, weights) in
            [(&model, WeightForm::F32), (&packed, WeightForm::F32), (&packed, WeightForm::Codes)]
        {
            let off = off(model, Input::Features, weights);
            assert!(off <= 1e-4, "{network:?} {weights:?}: {off}");
        }
    }
}

/// Of f32 weights and of packed ones; and with samples as input.
#[test]
fn every_family_is_run_in_integers() {
    let check = |model: &Model, input| {
        let weights = WeightForm::Int8;
        let options = Options { input, weights, ..Options::default() };
        let bytes = export(model, &options).unwrap();
        let check = verify(model, &bytes, &options);
        let name = &model.header.arch.name;
        assert!(matches!(check, Ok(Check::Cosine(_))), "{name}, {input:?}: {check:?}");
        bytes.len()
    };
    for network in NETWORKS {
        let model = model(small(network));
        let [_, packed] = quantized(&model);
        for model in [model, packed] {
            check(&calibrated(&model), Input::Features);
        }
    }
    let model = calibrated(&model(small(("resnet18", 8, 40))));
    let ints = check(&model, Input::Waveform);
    let floats = export(&model, &Options { input: Input::Waveform, ..Options::default() });
    assert!(ints < floats.unwrap().len());
}

/// A model with ranges becomes the same file as without them, unless integers are wanted.
#[test]
fn ranges_change_no_file_in_floats() {
    let model = resnet18();
    let [_, packed] = quantized(&model);
    for (model, weights) in [(&model, WeightForm::F32), (&packed, WeightForm::Codes)] {
        let options = Options { weights, ..Options::default() };
        let [with, without] = [&calibrated(model), model].map(|model| {
            let bytes = export(model, &options).unwrap();
            assert!(matches!(verify(model, &bytes, &options), Ok(Check::Off(_))), "{weights:?}");
            bytes
        });
        assert!(with == without, "{weights:?}");
    }
}

/// What a network computes, by name: operations, and which function or statistics.
fn operations(arch: &Architecture) -> BTreeSet<String> {
    let graph = arch.graph(200).unwrap();
    let name = |op: &Op| {
        let text = format!("{op:?}");
        let words = text.split(|c: char| !c.is_alphanumeric()).take(2);
        let words: Vec<&str> = words.filter(|w| !w.starts_with(char::is_numeric)).collect();
        words.join(" ")
    };
    graph.nodes.iter().map(|node| name(&node.op)).collect()
}

#[test]
fn no_operation_of_the_zoo_is_left_out() {
    let tested: BTreeSet<String> =
        NETWORKS.into_iter().flat_map(|network| operations(&small(network))).collect();
    assert!(tested.len() > 20, "{tested:?}");
    for name in names() {
        let wanted = operations(&Architecture::named(&name).unwrap());
        let missing: Vec<&String> = wanted.difference(&tested).collect();
        assert!(missing.is_empty(), "{name}: {missing:?} of no exported network");
    }
}

#[test]
fn every_pooling_is_run() {
    for pooling in PoolingKind::ALL {
        let of = |name: &str, two_embedding_layers| {
            let arch = small((name, 8, 16));
            Architecture { pooling, two_embedding_layers, ..arch }
        };
        // ASP is SimAM-ResNets' alone, and TAP's mean wants two layers where a family has them.
        let name = if pooling == PoolingKind::Asp { "simam-resnet34" } else { "resnet18" };
        let two = pooling == PoolingKind::Tap;
        let arch = [of(name, two), of(name, !two)].into_iter().find(|arch| arch.check().is_ok());
        let off = off(&model(arch.unwrap()), Input::Features, WeightForm::F32);
        assert!(off <= 1e-4, "{pooling:?}: {off}");
    }
}

#[test]
fn samples_give_the_embedding_of_our_features() {
    let mut model = model(small(("resnet18", 8, 40)));
    let fbank = model.header.frontend.fbank.clone();
    for frontend in [
        Frontend { fbank: fbank.clone(), cmn: true },
        Frontend { fbank: FbankConfig { scale: 1.0, ..fbank.clone() }, cmn: true },
        Frontend { fbank: FbankConfig { sample_rate: 8000, ..fbank.clone() }, cmn: false },
    ] {
        model.header.frontend = frontend;
        let off = off(&model, Input::Waveform, WeightForm::F32);
        assert!(off <= 1e-3, "{:?}: {off}", model.header.frontend);
    }
    let fbank = FbankConfig { snip_edges: false, ..fbank };
    model.header.frontend = Frontend { fbank, cmn: true };
    let options = Options { input: Input::Waveform, ..Options::default() };
    assert!(refused(&model, &options).contains("snip_edges"));
}

#[test]
fn files_of_another_model_are_found() {
    let model = resnet18();
    let [_, packed] = quantized(&model);
    let bytes = export(&packed, &Options::default()).unwrap();
    let error = verify(&model, &bytes, &Options::default()).unwrap_err().to_string();
    assert!(error.contains("off by") && error.contains("1e-4 at most"), "{error}");
}

#[test]
fn models_that_cannot_be_exported_are_refused() {
    let model = resnet18();
    let [training, _] = quantized(&model);
    for weights in [WeightForm::F32, WeightForm::Codes] {
        let error = refused(&training, &Options { weights, ..Options::default() });
        assert!(error.contains("quantizer attached"), "{error}");
    }
    let codes = Options { weights: WeightForm::Codes, ..Options::default() };
    assert!(refused(&model, &codes).contains("no codes"));
    let int8 = Options { weights: WeightForm::Int8, ..Options::default() };
    assert!(refused(&model, &int8).contains("no ranges of activations"));
    let target = |target| Options { target: Some(target), ..Options::default() };
    assert!(refused(&model, &target(Target::SherpaOnnx)).contains("80 mels"));
    let samples = Options { input: Input::Waveform, ..target(Target::Wespeaker) };
    assert!(refused(&model, &samples).contains("not a waveform"));
}
