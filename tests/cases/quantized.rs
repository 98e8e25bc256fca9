//! Layers that are dead, tiny, or hold an outlier, through every quantizer; and checkpoints that
//! are damaged.

use std::collections::HashMap;
use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use revox::model_file::{Model, read_safetensors};
use revox::nn::{Mode, collect_named, names_and_shapes};
use revox::quant::{QuantizeConfig, Quantizer, uniform};
use revox::rng::Stream;
use revox::zoo::Network;

use crate::place::{Place, arg};
use crate::shared_or_skip;

/// Settings of every method but `mixed`, which needs a size.
const METHODS: [&[&str]; 13] = [
    &["quantize.bits=1"],
    &["quantize.bits=2"],
    &["quantize.bits=3"],
    &["quantize.bits=4"],
    &["quantize.bits=8"],
    &["quantize.method=binary-static"],
    &["quantize.method=binary-static", "quantize.per_channel=true"],
    &["quantize.method=binary-static", "quantize.offset=true"],
    &["quantize.method=binary-static", "quantize.per_channel=true", "quantize.offset=true"],
    &["quantize.method=binary-adaptive"],
    &["quantize.method=binary-adaptive", "quantize.per_channel=true"],
    &["quantize.method=binary-adaptive", "quantize.offset=true"],
    &["quantize.method=binary-adaptive", "quantize.per_channel=true", "quantize.offset=true"],
];

type Weights = HashMap<String, Vec<f32>>;

/// The values that a network computes with.
fn weights(network: &Network) -> Weights {
    let all = collect_named(&network.clone().materialize()).into_iter();
    all.map(|(name, data)| (name, data.iter::<f32>().collect())).collect()
}

fn embedding(network: &Network) -> Vec<f32> {
    let mut stream = Stream::new(5, "noise", &[]);
    let noise: Vec<f32> = (0..2 * 40 * 16).map(|_| stream.normal() as f32).collect();
    let x = Tensor::<3>::from_data(TensorData::new(noise, [2, 40, 16]), &Device::default());
    network.forward(x, Mode::Eval).into_data().iter::<f32>().collect()
}

/// A case as the model file `m.safetensors`.
fn imported(place: &Place, cases: &Path, name: &str) -> Model {
    let [case, config] =
        [name, "c00.yaml"].map(|file| std::fs::canonicalize(cases.join(file)).unwrap());
    place.ok(&["import", arg(&case), "--config", arg(&config), "-o", "m.safetensors", "--quiet"]);
    Model::load(place.path("m.safetensors"), &Device::default()).unwrap()
}

fn sets<'a>(changes: &[&'a str]) -> Vec<&'a str> {
    changes.iter().flat_map(|&change| ["--set", change]).collect()
}

/// Quantizes `m.safetensors` and compares the file with the quantized network of training.
fn quantized(place: &Place, model: &Model, changes: &[&str]) -> (Model, Weights) {
    let changes = [changes, &["quantize.small_layers=fewer-bits"]].concat();
    place.ok(&[
        &["quantize", "m.safetensors", "-o", "q.safetensors", "--quiet"][..],
        &sets(&changes),
    ]
    .concat());
    let packed = Model::load(place.path("q.safetensors"), &Device::default()).unwrap();
    let changes: Vec<String> = changes.into_iter().map(str::to_owned).collect();
    let config = QuantizeConfig::changed(&changes).unwrap();
    let plan = uniform(&names_and_shapes(&model.network), &config).unwrap();
    let quantizer = Quantizer::new(plan, config);
    let fake = quantizer.attach(model.network.clone()).unwrap();
    let (ours, wanted) = (weights(&packed.network), weights(&fake));
    let has_outlier = wanted.values().flatten().any(|w| w.abs() > 1e20);
    assert!(packed.header.quantization.keys().eq(quantizer.plan().keys()));
    assert!(!quantizer.plan().is_empty());
    for name in quantizer.plan().keys() {
        assert!(ours[name].iter().all(|w| w.is_finite()), "{changes:?}, {name}");
        assert_eq!(ours[name], wanted[name], "{changes:?}, {name}");
    }
    let bits =
        |network: &Network| embedding(network).into_iter().map(f32::to_bits).collect::<Vec<_>>();
    match embedding(&fake).iter().all(|x| x.is_finite()) {
        true => assert!(bits(&packed.network) == bits(&fake), "{changes:?}"),
        // Embeddings that overflow cannot be compared.
        false => assert!(has_outlier, "{changes:?}: embeddings that are no numbers"),
    }
    (packed, ours)
}

/// The squared error of a layer relative to its sum of squares.
fn loss(ours: &[f32], wanted: &[f32]) -> f64 {
    let square = |x: f64| x * x;
    let off: f64 =
        ours.iter().zip(wanted).map(|(&a, &b)| square(f64::from(a) - f64::from(b))).sum();
    off / wanted.iter().map(|&b| square(f64::from(b))).sum::<f64>()
}

#[test]
fn a_dead_layer_is_kept_exactly_by_every_method() {
    let cases = shared_or_skip!("cases/models");
    let (place, name) = (Place::make(), "layer1.0.conv2.weight");
    let model = imported(&place, &cases, "q01_dead_layer.safetensors");
    place.wav("a.wav", 1.0, 100.0);
    place.wav("b.wav", 1.0, 180.0);
    let check = |packed: &Model, values: &Weights, what: &[&str]| {
        assert!(packed.header.quantization.contains_key(name), "{what:?}");
        assert_eq!(values[name], [0.0; 36], "{what:?}");
        assert!(embedding(&packed.network).iter().all(|x| x.is_finite()), "{what:?}");
        let compared = place.json(&["compare", "q.safetensors", "a.wav", "b.wav"]);
        assert!(compared["score"].as_f64().is_some_and(f64::is_finite), "{what:?}: {compared}");
    };
    for changes in METHODS {
        let (packed, values) = quantized(&place, &model, changes);
        check(&packed, &values, changes);
    }
    // More bits do not make it better, so it gets one.
    let error = ["--set", "quantize.sensitivity.measure=error", "--quiet"];
    let sizes =
        place.json(&[&["quantize", "m.safetensors", "--pareto", "sizes.svg"][..], &error].concat());
    let points = sizes["points"].as_array().unwrap();
    let target = points[points.len() / 2]["bytes"].to_string();
    let mixed = [
        "quantize",
        "m.safetensors",
        "--method",
        "mixed",
        "--target-size",
        &target,
        "-o",
        "q.safetensors",
    ];
    place.ok(&[&mixed[..], &error].concat());
    let packed = Model::load(place.path("q.safetensors"), &Device::default()).unwrap();
    assert_eq!(packed.header.quantization[name].scheme.bits, 1);
    check(&packed, &weights(&packed.network), &["mixed"]);
}

#[test]
fn a_dead_channel_stays_dead_where_channels_have_scales() {
    let cases = shared_or_skip!("cases/models");
    let (place, name) = (Place::make(), "layer2.0.conv2.weight");
    let model = imported(&place, &cases, "q02_dead_channel.safetensors");
    let before = &weights(&model.network)[name];
    let dead = before.chunks(36).position(|w| w.iter().all(|&w| w == 0.0)).unwrap();
    for changes in METHODS {
        let (_, values) = quantized(&place, &model, changes);
        if changes.contains(&"quantize.per_channel=true") {
            assert_eq!(values[name][36 * dead..][..36], [0.0; 36], "{changes:?}");
        }
    }
}

#[test]
fn tiny_weights_are_quantized_like_others() {
    let cases = shared_or_skip!("cases/models");
    let (place, name) = (Place::make(), "layer2.0.conv1.weight");
    let model = imported(&place, &cases, "q03_denormal_layer.safetensors");
    let before = weights(&model.network);
    for changes in METHODS {
        let (_, values) = quantized(&place, &model, changes);
        if changes == ["quantize.bits=4"] {
            let lost = loss(&values[name], &before[name]);
            assert!(lost < 0.02, "{lost}");
        }
    }
}

/// An outlier has a centroid of its own, and the others share the rest.
#[test]
fn an_outlier_leaves_the_other_weights_as_they_are() {
    let cases = shared_or_skip!("cases/models");
    let (place, name) = (Place::make(), "layer3.0.conv1.weight");
    let model = imported(&place, &cases, "q04_outlier_1e30.safetensors");
    let before = &weights(&model.network)[name];
    let at = before.iter().position(|&w| w == 1e30).unwrap();
    for changes in METHODS {
        let (_, values) = quantized(&place, &model, changes);
        if changes == ["quantize.bits=4"] {
            let (mut ours, mut wanted) = (values[name].clone(), before.clone());
            assert_eq!((ours.remove(at), wanted.remove(at)), (1e30, 1e30));
            let lost = loss(&ours, &wanted);
            assert!(lost < 0.02, "{lost}");
        }
    }
}

/// A corpus for the recipes of `cases/train`.
fn corpus(place: &Place) {
    let flags = [
        "--speakers",
        "6",
        "--dev-speakers",
        "4",
        "--utterances",
        "6",
        "--seconds",
        "1.0",
        "--quiet",
    ];
    place.ok(&[&["synth", "syn"][..], &flags].concat());
}

/// The model of `cases/train` as `m.safetensors`, with some tensors of one value.
fn changed_model(place: &Place, cases: &Path, changes: &[(&str, f32)]) {
    let (mut tensors, metadata) = read_safetensors(&cases.join("base.safetensors")).unwrap();
    for (name, value) in changes {
        let (_, data) = tensors.0.iter_mut().find(|(n, _)| n == name).unwrap();
        *data = TensorData::new(vec![*value; data.num_elements()], data.shape().to_vec());
    }
    let path = place.path("m.safetensors");
    std::fs::write(
        &path,
        tensors.to_safetensors(&path, "revox", metadata["revox"].clone()).unwrap(),
    )
    .unwrap();
}

/// Trains `m.safetensors` through a quantizer in two stages, front to back, and gives the values
/// of a layer that is quantized.
fn trained(place: &Place, layer: &str, changes: &[&str]) -> Vec<f32> {
    let stages = ["quantize.stages=2", "quantize.order=front", "quantize.refresh_every=2"];
    let changes = [changes, &stages].concat();
    let verb =
        ["quantize", "m.safetensors", "--recipe", "ft.toml", "-o", "q.safetensors", "--quiet"];
    place.ok(&[&verb[..], &sets(&changes)].concat());
    let packed = Model::load(place.path("q.safetensors"), &Device::default()).unwrap();
    assert!(packed.header.quantization.contains_key(layer), "{changes:?}");
    weights(&packed.network).remove(layer).unwrap()
}

/// A layer whose input is dead has no gradient: its zeros stay zeros.
#[test]
fn a_dead_layer_is_trained_with() {
    let cases = shared_or_skip!("cases/train");
    let (place, dead) = (Place::make(), "layer1.0.conv2.weight");
    corpus(&place);
    std::fs::copy(cases.join("ft.toml"), place.path("ft.toml")).unwrap();
    changed_model(
        &place,
        &cases,
        &[("layer1.0.bn1.weight", 0.0), ("layer1.0.bn1.bias", -1.0), (dead, 0.0)],
    );
    for method in [
        &["quantize.update=lloyd"][..],
        &["quantize.update=frozen-mean"],
        &["quantize.update=frozen-gradient"],
        &["quantize.method=binary-static", "quantize.per_channel=true"],
        &["quantize.method=binary-adaptive", "quantize.offset=true"],
    ] {
        assert_eq!(trained(&place, dead, method), [0.0; 36], "{method:?}");
    }
}

/// A layer without gradient waits for the second stage. Weight decay makes it zero before that.
#[test]
fn a_layer_that_becomes_constant_begins_its_stage() {
    let cases = shared_or_skip!("cases/train");
    let (place, layer) = (Place::make(), "layer4.0.conv2.weight");
    corpus(&place);
    std::fs::copy(cases.join("ft.toml"), place.path("ft.toml")).unwrap();
    changed_model(&place, &cases, &[("layer4.0.bn1.weight", 0.0), ("layer4.0.bn1.bias", -1.0)]);
    let model = Model::load(place.path("m.safetensors"), &Device::default()).unwrap();
    let before = &weights(&model.network)[layer];
    assert!(before.iter().any(|w| w != &before[0]));
    // Rate times decay is 1, so AdamW keeps nothing of the weights, and its own step is 0.
    let decay = ["optimizer.kind=adamw", "optimizer.weight_decay=1.0", "schedule.initial_lr=1.0"];
    let changes = [&decay[..], &["schedule.final_lr=1.0"]].concat();
    assert_eq!(trained(&place, layer, &changes), [0.0; 2304]);
}

/// A bit that flips in a checkpoint is found before the run goes on with it.
#[test]
fn a_damaged_checkpoint_is_named() {
    let cases = shared_or_skip!("cases/train");
    let place = Place::make();
    corpus(&place);
    std::fs::copy(cases.join("r.toml"), place.path("r.toml")).unwrap();
    let short =
        ["--out", "run", "--set", "train.epochs=2", "--set", "schedule.initial_lr=0.01", "--quiet"];
    for optimizer in ["sgd", "adamw", "sgd8bit"] {
        let optimizer = format!("optimizer={optimizer}");
        let train = [&["train", "r.toml", "--set", &optimizer][..], &short].concat();
        place.ok(&train);
        let path = place.path("run/checkpoint.safetensors");
        let good = std::fs::read(&path).unwrap();
        let resume = [&train[..], &["--resume"]].concat();
        // No architecture checks the optimizer's record, so it is damaged most.
        let header = 8 + u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
        let json: serde_json::Value = serde_json::from_slice(&good[8..header]).unwrap();
        let record = header + json["optimizer"]["data_offsets"][0].as_u64().unwrap() as usize;
        for at in [
            20,
            header - 40,
            header + 5,
            record,
            record + 60,
            record + 700,
            record + 5000,
            good.len() - 3,
        ] {
            let mut damaged = good.clone();
            damaged[at] ^= 0x10;
            std::fs::write(&path, damaged).unwrap();
            place.fails(&resume, &["run/checkpoint.safetensors:"]);
        }
        std::fs::write(&path, &good).unwrap();
        place.ok(&resume);
        std::fs::remove_dir_all(place.path("run")).unwrap();
    }
}
