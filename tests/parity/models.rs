//! WeSpeaker's networks, fixture f2: checkpoints as WeSpeaker saves them, and full-size networks
//! with weights from a formula.

use std::collections::HashMap;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use revox::model_file::{ImportOptions, Model, import};
use revox::nn::{Mode, PoolingKind, names_and_shapes};
use revox::selftest::reference::network;
use revox::zoo::{Architecture, Network, ZOO};

use crate::shared::{Tensors, json};
use crate::shared_or_skip;

/// Largest difference allowed, as a fraction of the largest value.
const TOLERANCE: f32 = 1e-5;

fn assert_embeddings(
    what: &str,
    network: &Network,
    device: &Device,
    input: (Vec<f32>, Vec<usize>),
    wanted: &[f32],
) {
    let x = Tensor::<3>::from_data(TensorData::new(input.0, input.1), device);
    let ours = network.forward(x, Mode::Eval).into_data().try_to_vec::<f32>().unwrap();
    assert_eq!(ours.len(), wanted.len(), "{what}");
    let largest = wanted.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    let worst = ours.iter().zip(wanted).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
    assert!(worst <= TOLERANCE * largest, "{what}: off by {worst}, largest value {largest}");
}

fn cpu_devices() -> Vec<(&'static str, Device)> {
    use revox::backend::BackendKind;
    [BackendKind::Flex, BackendKind::Ndarray]
        .into_iter()
        .filter(|k| k.is_compiled())
        .map(|k| (k.name(), k.device(0).unwrap()))
        .collect()
}

fn check_checkpoint(folder: &Path, name: &str, arch: &str) {
    let io = Tensors::open(folder.join(format!("{name}.io.safetensors")));
    for (backend, device) in cpu_devices() {
        let options = ImportOptions { arch: Some(arch.into()), ..ImportOptions::default() };
        let (model, head) = import(&folder.join(format!("{name}.pt")), &options, &device).unwrap();
        assert_eq!(
            head.0.len(),
            usize::from(name == "resnet34_m8"),
            "only resnet34_m8 holds a projection"
        );
        for case in ["x2x200", "x3x137", "x1x64"] {
            // The second opinion is slow: one length is enough.
            if backend == "ndarray" && case != "x1x64" {
                continue;
            }
            let input = (io.f32(&format!("{case}/input")), io.shape(&format!("{case}/input")));
            let wanted = io.f32(&format!("{case}/emb_f64"));
            assert_embeddings(
                &format!("{name} {case} {backend}"),
                &model.network,
                &device,
                input,
                &wanted,
            );
        }
    }
}

#[test]
fn checkpoints_give_the_references_embeddings() {
    let folder = shared_or_skip!("fixtures/f2_models");
    check_checkpoint(&folder, "resnet34_m8", "resnet34");
    check_checkpoint(&folder, "resnet18_m8_two", "resnet18");
    check_checkpoint(&folder, "resnet50_m4", "resnet50");
    check_checkpoint(&folder, "gemini_small", "gemini-df-resnet60");
}

#[test]
fn a_users_model_folder_and_an_averaged_checkpoint_import() {
    let folder = shared_or_skip!("fixtures/f2_models");
    let device = Device::default();
    let user = folder.join("resnet18_voxceleb_style");
    let options =
        ImportOptions { config: Some(user.join("config.yaml")), ..ImportOptions::default() };
    let (model, _) = import(&user.join("avg_model.pt"), &options, &device).unwrap();
    assert_eq!((model.header.arch.mels, model.header.embedding_dim), (40, 128));
    assert_eq!(model.header.frontend.fbank.dither, 1.0);
    let io = Tensors::open(user.join("io.safetensors"));
    for case in ["x2x200", "x3x137", "x1x64"] {
        let input = (io.f32(&format!("{case}/input")), io.shape(&format!("{case}/input")));
        assert_embeddings(
            case,
            &model.network,
            &device,
            input,
            &io.f32(&format!("{case}/emb_f64")),
        );
    }

    // Averaged: counters are f32; 40 mels must be said, since 80 mels with one statistic have the
    // same shapes.
    let average = folder.join("avg_model.pt");
    let mut options = ImportOptions { arch: Some("resnet18".into()), ..ImportOptions::default() };
    let error = import(&average, &options, &device).unwrap_err().to_string();
    assert!(error.contains("--mels") && error.contains("seg_1.weight"), "{error}");
    options.mels = Some(40);
    let (model, head) = import(&average, &options, &device).unwrap();
    assert_eq!(head.0.len(), 1);
    let io = Tensors::open(folder.join("avg_model.io.safetensors"));
    let input = (io.f32("input"), io.shape("input"));
    assert_embeddings("avg_model", &model.network, &device, input.clone(), &io.f32("emb"));

    // Through our own file and back, and as a bare .safetensors state_dict: the same embeddings.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("avg.safetensors");
    model.save(&path, head).unwrap();
    let again = Model::load(&path, &device).unwrap();
    assert_embeddings("model file", &again.network, &device, input.clone(), &io.f32("emb"));
    let (bare, head) = import(&path, &options, &device).unwrap();
    assert_eq!(head.0.len(), 1);
    assert_embeddings("bare safetensors", &bare.network, &device, input, &io.f32("emb"));
}

#[test]
fn checkpoints_of_another_network_are_refused() {
    let folder = shared_or_skip!("fixtures/f2_models");
    let device = Device::default();
    let fails = |file: &str, arch: Option<&str>, wanted: &str| {
        let options = ImportOptions { arch: arch.map(str::to_owned), ..ImportOptions::default() };
        let error = import(&folder.join(file), &options, &device).unwrap_err().to_string();
        assert!(error.contains(wanted), "{file}: {error}");
    };
    fails("resnet34_m8.pt", None, "--arch");
    fails("resnet34_m8.pt", Some("resnet18"), "has no place in resnet18");
    fails("resnet34_m8.pt", Some("resnet152"), "seg_1.weight");
    fails("resnet34_m8.pt", Some("gemini-df-resnet60"), "downsample_layers.0.0.weight");
    fails("ecapa_c64.pt", Some("resnet34"), "conv1.weight");
    fails("README.md", Some("resnet34"), "neither");
    let dir = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(folder.join("resnet34_m8.pt")).unwrap();
    for cut in [0, 3, 1000, bytes.len() / 2, bytes.len() - 100] {
        let path = dir.path().join("cut.pt");
        std::fs::write(&path, &bytes[..cut]).unwrap();
        let options = ImportOptions { arch: Some("resnet34".into()), ..ImportOptions::default() };
        let error = import(&path, &options, &device).unwrap_err().to_string();
        assert!(error.contains("cut.pt"), "{error}");
    }
}

fn check_procedural(reference: &str, arch: &Architecture) {
    let folder = shared_or_skip!("fixtures/f2_models");
    let tensors = Tensors::open(folder.join("procedural.safetensors"));
    let table = json(folder.join("procedural.json"));
    let seed = table["seed"].as_u64().unwrap();
    let gain = table["models"][reference]["gain"].as_f64().unwrap();
    let input = format!("input_f{}", arch.mels);
    let wanted = tensors.f32(&format!("{reference}/emb_f64"));
    for (backend, device) in cpu_devices() {
        let network = network(arch, seed, gain, &device).unwrap();
        let input = (tensors.f32(&input), tensors.shape(&input));
        assert_embeddings(&format!("{reference} {backend}"), &network, &device, input, &wanted);
    }
}

fn named(name: &str) -> Architecture {
    Architecture::named(name).unwrap()
}

#[test]
fn full_size_resnet34_with_every_pooling() {
    check_procedural("ResNet34", &named("resnet34"));
    for (reference, pooling) in [
        ("ResNet34_ASTP", PoolingKind::Astp),
        ("ResNet34_TAP", PoolingKind::Tap),
        ("ResNet34_TSDP", PoolingKind::Tsdp),
    ] {
        check_procedural(reference, &Architecture { pooling, ..named("resnet34") });
    }
    check_procedural(
        "ResNet34_two_emb_layer",
        &Architecture { two_embedding_layers: true, ..named("resnet34") },
    );
}

#[test]
fn full_size_resnet293() {
    check_procedural("ResNet293", &named("resnet293"));
}

#[test]
fn full_size_gemini_114() {
    check_procedural("Gemini_DF_ResNet114", &named("gemini-df-resnet114"));
}

#[test]
#[ignore = "the family's extremes run always; the eight between them take a gigabyte and some time"]
fn full_size_others() {
    for depth in [18, 50, 101, 152, 221] {
        check_procedural(&format!("ResNet{depth}"), &named(&format!("resnet{depth}")));
    }
    for depth in [60, 183, 237] {
        check_procedural(
            &format!("Gemini_DF_ResNet{depth}"),
            &named(&format!("gemini-df-resnet{depth}")),
        );
    }
}

#[test]
fn parameter_counts_and_names_are_the_references() {
    let folder = shared_or_skip!("fixtures/f2_models");
    let counts = json(folder.join("param_counts.json"));
    let tables = json(folder.join("param_tables.json"));
    let mut checked = 0;
    for (name, _) in ZOO {
        let reference =
            name.replace("gemini-df-resnet", "Gemini_DF_ResNet").replace("resnet", "ResNet");
        let Some(count) = counts[&reference].as_u64() else { continue };
        let arch = named(name);
        assert_eq!(arch.account(200).unwrap().parameters() as u64, count, "{name}");
        let ours: HashMap<String, Vec<usize>> =
            names_and_shapes(&arch.init(&Device::default(), 0).unwrap()).into_iter().collect();
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
    let variant = |pooling| {
        Architecture { pooling, ..named("resnet34") }.account(200).unwrap().parameters() as u64
    };
    for (key, pooling) in [
        ("ResNet34_ASTP", PoolingKind::Astp),
        ("ResNet34_TAP", PoolingKind::Tap),
        ("ResNet34_TSDP", PoolingKind::Tsdp),
    ] {
        assert_eq!(Some(variant(pooling)), counts[key].as_u64(), "{key}");
    }
    // The original DF-ResNet layout is a reconstruction; its counts are arithmetic on the table of
    // stages.
    for (name, count) in [
        ("df-resnet56", 4_693_920),
        ("df-resnet110", 7_177_632),
        ("df-resnet179", 9_842_464),
        ("df-resnet233", 12_326_176),
    ] {
        assert_eq!(named(name).account(200).unwrap().parameters(), count, "{name}");
    }
}
