//! WeSpeaker's networks with weights from a formula, and its numbers of parameters.

use std::collections::HashMap;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use revox::backend::BackendKind;
use revox::nn::{Mode, PoolingKind};
use revox::selftest::reference::network;
use revox::zoo::{Architecture, Network, names};

use crate::shared::{Tensors, fixture, json, sets};
use crate::shared_or_skip;

/// Largest difference allowed, as a fraction of the largest value.
const TOLERANCE: f32 = 1e-5;

/// Compares the embeddings of features `[batch, frames, mels]` with the reference's.
pub fn assert_embeddings(
    what: &str,
    network: &Network,
    device: &Device,
    input: (Vec<f32>, Vec<usize>),
    wanted: &[f32],
) {
    let x = Tensor::<3>::from_data(TensorData::new(input.0, input.1), device);
    let ours = network.forward(x, Mode::Eval).into_data().try_to_vec::<f32>().unwrap();
    assert_eq!(ours.len(), wanted.len(), "{what}");
    assert!(ours.iter().all(|x| x.is_finite()), "{what}");
    let largest = wanted.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    let worst = ours.iter().zip(wanted).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
    assert!(worst <= TOLERANCE * largest, "{what}: off by {worst}, largest value {largest}");
}

/// Every CPU backend of this build with its device.
pub fn cpu_devices() -> Vec<(&'static str, Device)> {
    let devices: Vec<_> = [BackendKind::Flex, BackendKind::Ndarray]
        .into_iter()
        .filter(|k| k.is_compiled())
        .map(|k| (k.name(), k.device(0).unwrap()))
        .collect();
    assert!(!devices.is_empty(), "this build has no CPU backend");
    devices
}

/// Values and shape of a tensor.
pub fn tensor(io: &Tensors, name: &str) -> (Vec<f32>, Vec<usize>) {
    (io.f32(name), io.shape(name))
}

/// A network with weights from a formula against the embeddings of a folder.
fn check_procedural(folder: &Path, reference: &str, arch: &Architecture) {
    let tensors = Tensors::open(folder.join("procedural.safetensors"));
    let table = json(folder.join("procedural.json"));
    let seed = table["seed"].as_u64().unwrap();
    let gain = table["models"][reference]["gain"].as_f64().unwrap();
    let wanted = tensors.f32(&format!("{reference}/emb_f64"));
    for (backend, device) in cpu_devices() {
        let network = network(arch, seed, gain, &device).unwrap();
        let input = tensor(&tensors, &format!("input_f{}", arch.mels));
        let what = format!("{reference} {backend}");
        assert_embeddings(&what, &network, &device, input, &wanted);
    }
}

fn named(name: &str) -> Architecture {
    Architecture::named(name).unwrap()
}

/// Poolings by the names that networks with them have in the fixtures.
const POOLINGS: [(&str, PoolingKind); 3] = [
    ("ResNet34_ASTP", PoolingKind::Astp),
    ("ResNet34_TAP", PoolingKind::Tap),
    ("ResNet34_TSDP", PoolingKind::Tsdp),
];

#[test]
fn full_size_resnet34_with_every_pooling() {
    for (folder, ()) in sets(("networks", ()), ("fixtures/f2_models", ())) {
        check_procedural(&folder, "ResNet34", &named("resnet34"));
        for (reference, pooling) in POOLINGS {
            let arch = Architecture { pooling, ..named("resnet34") };
            check_procedural(&folder, reference, &arch);
        }
        let arch = Architecture { two_embedding_layers: true, ..named("resnet34") };
        check_procedural(&folder, "ResNet34_two_emb_layer", &arch);
    }
}

#[test]
fn full_size_resnet293() {
    check_procedural(&fixture("networks"), "ResNet293", &named("resnet293"));
}

#[test]
fn full_size_gemini_114() {
    check_procedural(&fixture("networks"), "Gemini_DF_ResNet114", &named("gemini-df-resnet114"));
}

#[test]
fn full_size_df_resnet56() {
    check_procedural(&fixture("networks"), "DF_ResNet56", &named("df-resnet56"));
}

#[test]
fn small_networks_of_every_family() {
    let folder = fixture("networks");
    let table = json(folder.join("procedural.json"));
    let mut checked = 0;
    for (reference, model) in table["models"].as_object().unwrap() {
        if !reference.starts_with("small/") {
            continue;
        }
        let options = &model["options"];
        let number = |key: &str| options[key].as_u64().unwrap() as usize;
        let mut arch = Architecture {
            width: number("width"),
            mels: number("mels"),
            embedding_dim: number("embedding_dim"),
            two_embedding_layers: options["two"].as_bool().unwrap_or(false),
            ..named(model["name"].as_str().unwrap())
        };
        if options.get("pooling").is_some() {
            arch.pooling = serde_json::from_value(options["pooling"].clone()).unwrap();
        }
        assert_eq!(Some(arch.account(64).unwrap().parameters() as u64), parameters(model));
        check_procedural(&folder, reference, &arch);
        checked += 1;
    }
    assert_eq!(checked, 4);
}

/// Parameters of a network by PyTorch.
fn parameters(model: &serde_json::Value) -> Option<u64> {
    model["parameters"].as_u64()
}

#[test]
#[ignore = "the family's extremes run always; the eight between them take a gigabyte and some time"]
fn full_size_others() {
    for (folder, ()) in sets(("networks", ()), ("fixtures/f2_models", ())) {
        for depth in [18, 50, 101, 152, 221, 293] {
            let (reference, name) = (format!("ResNet{depth}"), format!("resnet{depth}"));
            check_procedural(&folder, &reference, &named(&name));
        }
        for depth in [60, 114, 183, 237] {
            let reference = format!("Gemini_DF_ResNet{depth}");
            check_procedural(&folder, &reference, &named(&format!("gemini-df-resnet{depth}")));
        }
    }
}

/// The reference's name of a network.
fn reference_name(name: &str) -> String {
    name.replace("gemini-df-resnet", "Gemini_DF_ResNet")
        .replace("df-resnet", "DF_ResNet")
        .replace("resnet", "ResNet")
}

#[test]
fn parameter_counts_are_the_references() {
    let table = json(fixture("networks/procedural.json"));
    let models = &table["models"];
    let count = |arch: &Architecture| Some(arch.account(200).unwrap().parameters() as u64);
    let mut checked = 0;
    for name in names() {
        let Some(model) = models.get(reference_name(&name)) else { continue };
        assert_eq!(count(&named(&name)), parameters(model), "{name}");
        checked += 1;
    }
    // WeSpeaker's eleven, and DF-ResNet56.
    assert_eq!(checked, 12);
    for (reference, pooling) in POOLINGS {
        let arch = Architecture { pooling, ..named("resnet34") };
        assert_eq!(count(&arch), parameters(&models[reference]), "{reference}");
    }
    // The original DF-ResNet layout is a reconstruction; its counts are arithmetic on the table of
    // stages.
    for (name, wanted) in [
        ("df-resnet56", 4_693_920),
        ("df-resnet110", 7_177_632),
        ("df-resnet179", 9_842_464),
        ("df-resnet233", 12_326_176),
    ] {
        assert_eq!(count(&named(name)), Some(wanted), "{name}");
    }
}

#[test]
fn parameter_names_and_shapes_are_the_references() {
    let folder = shared_or_skip!("fixtures/f2_models");
    let counts = json(folder.join("param_counts.json"));
    let tables = json(folder.join("param_tables.json"));
    let mut checked = 0;
    for name in names() {
        let reference = reference_name(&name);
        let Some(count) = counts[&reference].as_u64() else { continue };
        let graph = named(&name).graph(200).unwrap();
        assert_eq!(graph.parameters() as u64, count, "{name}");
        let ours: HashMap<String, Vec<usize>> = graph.names_and_shapes().into_iter().collect();
        let mut entries = 0;
        for (key, shape) in tables[&reference]["state_dict"].as_object().unwrap() {
            if key.ends_with("num_batches_tracked") {
                continue;
            }
            let shape: Vec<usize> =
                shape.as_array().unwrap().iter().map(|d| d.as_u64().unwrap() as usize).collect();
            assert_eq!(ours.get(key), Some(&shape), "{name} {key}");
            entries += 1;
        }
        assert_eq!(entries, ours.len(), "{name}");
        checked += 1;
    }
    assert_eq!(checked, 11);
}
