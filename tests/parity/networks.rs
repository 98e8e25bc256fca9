//! The networks beyond ResNets: embeddings of WeSpeaker's classes with weights from a formula and
//! of its checkpoints, names and shapes of their tensors.

use std::collections::HashMap;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use revox::model_file::{ImportOptions, import};
use revox::nn::{Mode, PoolingKind};
use revox::selftest::reference::network;
use revox::zoo::{Architecture, Network};
use serde_json::Value;

use crate::models::{cpu_devices, tensor};
use crate::shared::{Tensors, json};
use crate::shared_or_skip;
use crate::wespeaker::architecture;

/// Largest difference allowed, as a fraction of the largest value.
const TOLERANCE: f32 = 1e-5;
/// The same for the difference of two utterances, which is a small part of their embeddings.
const BETWEEN: f32 = 1e-3;

/// Networks by the reference's names.
type Named = Vec<(String, Architecture)>;

fn full(reference: &str, name: &str, embedding_dim: usize) -> (String, Architecture) {
    let arch = Architecture { embedding_dim, ..Architecture::named(name).unwrap() };
    (reference.to_owned(), arch)
}

/// The full-size networks of `f2_models` that `models.rs` does not compare.
fn first() -> Named {
    let (name, resnet) = full("ResNet34_MQMHASTP", "resnet34", 256);
    vec![
        full("ECAPA_TDNN_c512", "ecapa-tdnn-512", 256),
        full("ECAPA_TDNN_c512_emb192", "ecapa-tdnn-512", 192),
        full("ECAPA_TDNN_c1024", "ecapa-tdnn-1024", 256),
        full("ECAPA_TDNN_GLOB_c512", "ecapa-tdnn-glob-512", 256),
        full("ECAPA_TDNN_GLOB_c1024", "ecapa-tdnn-glob-1024", 256),
        full("CAMPPlus", "campplus", 256),
        full("CAMPPlus_emb512", "campplus", 512),
        (name, Architecture { pooling: PoolingKind::Mqmhastp, ..resnet }),
    ]
}

/// The full-size networks of `f9_zoo`.
fn later() -> Named {
    let mut all = vec![
        full("ERes2Net34_Base", "eres2net34", 256),
        full("ERes2Net34_Large", "eres2net34-large", 256),
        full("ERes2Net34_aug", "eres2net34-aug", 256),
        full("Res2Net34_Base", "res2net34", 256),
        full("Res2Net34_Large", "res2net34-large", 256),
        full("SimAM_ResNet34_ASP", "simam-resnet34", 256),
        full("SimAM_ResNet100_ASP", "simam-resnet100", 256),
        full("XVEC", "tdnn", 512),
    ];
    for i in 0..=6 {
        all.push(full(&format!("ReDimNetB{i}"), &format!("redimnet-b{i}"), 192));
        all.push(full(&format!("ReDimNet2B{i}"), &format!("redimnet2-b{i}"), 192));
    }
    let (name, base) = full("ERes2Net34_Base_two_emb_layer", "eres2net34", 256);
    all.push((name, Architecture { two_embedding_layers: true, ..base }));
    let (name, b0) = full("ReDimNetB0_f72", "redimnet-b0", 192);
    all.push((name, Architecture { mels: 72, ..b0 }));
    all
}

/// The reduced networks of a folder that the zoo has.
fn reduced(table: &Value) -> Named {
    let models = table["models"].as_object().unwrap();
    models
        .iter()
        .filter(|(reference, _)| reference.starts_with("small/"))
        .filter_map(|(reference, model)| Some((reference.clone(), architecture(&model["config"])?)))
        .collect()
}

/// The largest difference of two values, and the largest value of the second.
fn worst_and_largest(ours: &[f32], wanted: &[f32]) -> (f32, f32) {
    assert_eq!(ours.len(), wanted.len());
    let worst = ours.iter().zip(wanted).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
    (worst, wanted.iter().fold(0.0f32, |m, x| m.max(x.abs())))
}

/// Compares embeddings of features `[batch, frames, mels]`, and how much utterances differ.
fn assert_near(
    what: &str,
    network: &Network,
    device: &Device,
    input: (Vec<f32>, Vec<usize>),
    wanted: &[f32],
) {
    let dim = wanted.len() / input.1[0];
    let x = Tensor::<3>::from_data(TensorData::new(input.0, input.1), device);
    let ours = network.forward(x, Mode::Eval).into_data().try_to_vec::<f32>().unwrap();
    assert!(ours.iter().all(|x| x.is_finite()), "{what}");
    let (worst, largest) = worst_and_largest(&ours, wanted);
    assert!(worst <= TOLERANCE * largest, "{what}: off by {worst}, largest value {largest}");
    let between = |all: &[f32]| -> Vec<f32> {
        let (one, others) = all.split_at(dim);
        others.iter().zip(one.iter().cycle()).map(|(a, b)| a - b).collect()
    };
    let (worst, largest) = worst_and_largest(&between(&ours), &between(wanted));
    assert!(worst <= BETWEEN * largest, "{what}: differences off by {worst} of {largest}");
}

/// The first utterance of a batch, with its embedding.
fn first_row(
    (mut values, mut shape): (Vec<f32>, Vec<usize>),
    mut wanted: Vec<f32>,
) -> ((Vec<f32>, Vec<usize>), Vec<f32>) {
    values.truncate(values.len() / shape[0]);
    wanted.truncate(wanted.len() / shape[0]);
    shape[0] = 1;
    ((values, shape), wanted)
}

/// A network with weights from a formula, on every input that a folder has for it.
fn check_procedural(folder: &Path, reference: &str, arch: &Architecture) {
    let tensors = Tensors::open(folder.join("procedural.safetensors"));
    let table = json(folder.join("procedural.json"));
    let seed = table["seed"].as_u64().unwrap();
    let gain = table["models"][reference]["gain"].as_f64().unwrap();
    let mut inputs = vec![(format!("input_f{}", arch.mels), format!("{reference}/emb_f64"))];
    for name in tensors.names() {
        let other = name.strip_prefix(reference).and_then(|name| name.strip_prefix("/f"));
        if let Some(input) = other.and_then(|name| name.strip_suffix("/emb_f64")) {
            inputs.push((format!("input_f{input}"), name.clone()));
        }
    }
    for (backend, device) in cpu_devices() {
        let network = network(arch, seed, gain, &device).unwrap();
        for (input, wanted) in &inputs {
            let what = format!("{reference} {input} {backend}");
            let (mut input, mut wanted) = (tensor(&tensors, input), tensors.f32(wanted));
            // The second opinion is slow.
            if backend == "ndarray" && !reference.starts_with("small/") {
                (input, wanted) = first_row(input, wanted);
            }
            assert_near(&what, &network, &device, input, &wanted);
        }
    }
}

#[test]
fn reduced_networks_of_every_family() {
    for (folder, wanted) in [("fixtures/f2_models", 3), ("fixtures/f9_zoo", 10)] {
        let folder = shared_or_skip!(folder);
        let all = reduced(&json(folder.join("procedural.json")));
        for (reference, arch) in &all {
            check_procedural(&folder, reference, arch);
        }
        assert_eq!(all.len(), wanted, "{}", folder.display());
    }
}

/// Full-size networks that run always: one of each family whose embedding takes a moment.
const OFTEN: [&str; 6] =
    ["ECAPA_TDNN_c512", "CAMPPlus", "Res2Net34_Base", "XVEC", "ReDimNetB0", "ReDimNet2B0"];

/// Compares the full-size networks, those of [`OFTEN`] or the others.
fn check_full_size(often: bool) -> usize {
    let mut checked = 0;
    for (folder, all) in [("fixtures/f2_models", first()), ("fixtures/f9_zoo", later())] {
        let Some(folder) = crate::shared::shared(folder) else { continue };
        for (reference, arch) in &all {
            if OFTEN.contains(&reference.as_str()) == often {
                check_procedural(&folder, reference, arch);
                checked += 1;
            }
        }
    }
    checked
}

#[test]
fn full_size_networks() {
    let checked = check_full_size(true);
    assert!(checked == 0 || checked == OFTEN.len(), "{checked}");
}

#[test]
#[ignore = "26 large networks, which take some minutes; one of each family runs always"]
fn full_size_others() {
    let all = first().len() + later().len();
    let checked = check_full_size(false);
    assert!(checked == 0 || checked == all - OFTEN.len(), "{checked}");
}

/// A checkpoint as the reference saves it.
fn check_checkpoint(folder: &Path, name: &str, arch: &Architecture, head: usize) {
    let io = Tensors::open(folder.join(format!("{name}.io.safetensors")));
    let options = ImportOptions {
        arch: Some(arch.name.clone()),
        mels: Some(arch.mels),
        pooling: Some(arch.pooling),
        layers: arch.layers.clone(),
        ..ImportOptions::default()
    };
    for (backend, device) in cpu_devices() {
        let file = folder.join(format!("{name}.pt"));
        let (model, found) = import(&file, &options, &device).unwrap();
        assert_eq!(&model.header.arch, arch, "{name}");
        assert_eq!(found.0.len(), head, "{name}: tensors of the head");
        let mut cases = vec![("x1x64/input", "x1x64/emb_f64")];
        // The second opinion is slow: one utterance is enough.
        if backend != "ndarray" {
            cases.push(("x2x200/input", "x2x200/emb_f64"));
            cases.push(("x3x137/input", "x3x137/emb_f64"));
            if io.has("two/embed_b") {
                cases.push(("two/input", "two/embed_b"));
            }
        }
        for (input, wanted) in cases {
            let what = format!("{name} {input} {backend}");
            assert_near(&what, &model.network, &device, tensor(&io, input), &io.f32(wanted));
        }
    }
}

#[test]
fn checkpoints_of_every_family() {
    for (folder, wanted) in [("fixtures/f2_models", 2), ("fixtures/f9_zoo", 10)] {
        let folder = shared_or_skip!(folder);
        let table = json(folder.join("small_models.json"));
        let mut checked = 0;
        for (name, model) in table.as_object().unwrap() {
            let Some(arch) = architecture(&model["config"]) else { continue };
            check_checkpoint(&folder, name, &arch, usize::from(name == "ecapa_c64"));
            checked += 1;
        }
        assert_eq!(checked, wanted, "{}", folder.display());
    }
}

/// Names and shapes of a reference's table, without the counters of BatchNorm.
fn table_of(model: &Value) -> HashMap<String, Vec<usize>> {
    let all: HashMap<String, Vec<usize>> =
        serde_json::from_value(model["state_dict"].clone()).unwrap();
    all.into_iter().filter(|(name, _)| !name.ends_with("num_batches_tracked")).collect()
}

#[test]
fn parameter_names_and_shapes_are_the_references() {
    for (folder, mut all) in [("fixtures/f2_models", first()), ("fixtures/f9_zoo", later())] {
        let folder = shared_or_skip!(folder);
        let tables = json(folder.join("param_tables.json"));
        let procedural = json(folder.join("procedural.json"));
        all.extend(reduced(&procedural));
        let mut checked = 0;
        for (reference, arch) in &all {
            let graph = arch.graph(200).unwrap();
            let count = procedural["models"][reference]["params"].as_u64();
            assert_eq!(Some(graph.parameters() as u64), count, "{reference}");
            // The tables of one folder leave out reduced networks.
            let Some(table) = tables.get(reference) else { continue };
            let wanted = table_of(table);
            for (name, shape) in graph.names_and_shapes() {
                assert_eq!(wanted.get(&name), Some(&shape), "{reference} {name}");
            }
            assert_eq!(graph.names_and_shapes().len(), wanted.len(), "{reference}");
            checked += 1;
        }
        assert!(checked >= 8, "{}: {checked}", folder.display());
    }
}
