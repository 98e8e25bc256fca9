//! Checkpoints as WeSpeaker saves them, and as users have them.

use std::path::Path;

use burn::tensor::Device;
use revox::error::Remedy;
use revox::model_file::{ImportOptions, Model, import};

use crate::models::{assert_embeddings, cpu_devices, tensor};
use crate::shared::{Tensors, fixture, sets};
use crate::shared_or_skip;

/// The cases of a file with inputs and embeddings: `x2x200` are two utterances of 200 frames.
fn cases(io: &Tensors) -> Vec<String> {
    let mut cases: Vec<String> = io
        .names()
        .iter()
        .filter_map(|name| name.strip_suffix("/input"))
        .filter(|case| case.starts_with('x'))
        .map(str::to_owned)
        .collect();
    cases.sort();
    cases
}

/// Checkpoints of a folder.
struct Checkpoints {
    /// Name of the file and of the network.
    files: &'static [(&'static str, &'static str)],
    /// Those with a projection.
    headed: &'static [&'static str],
    /// Mels, where they are not 80.
    mels: Option<usize>,
}

#[test]
fn checkpoints_give_the_references_embeddings() {
    let committed = Checkpoints {
        files: &[
            ("resnet10_m2", "resnet10"),
            ("resnet10_m2_two", "resnet10"),
            ("resnet50_m2", "resnet50"),
            ("gemini_m2", "gemini-df-resnet60"),
        ],
        headed: &["resnet10_m2"],
        mels: Some(24),
    };
    let large = Checkpoints {
        files: &[
            ("resnet34_m8", "resnet34"),
            ("resnet18_m8_two", "resnet18"),
            ("resnet50_m4", "resnet50"),
            ("gemini_small", "gemini-df-resnet60"),
            ("ecapa_c64", "ecapa-tdnn-512"),
            ("campplus_g8", "campplus"),
        ],
        headed: &["resnet34_m8", "ecapa_c64"],
        mels: None,
    };
    for (folder, of) in sets(("networks", committed), ("fixtures/f2_models", large)) {
        for &(name, arch) in of.files {
            let options = ImportOptions {
                arch: Some(arch.into()),
                mels: of.mels,
                ..ImportOptions::default()
            };
            check_checkpoint(&folder, name, &options, of.headed.contains(&name));
        }
    }
}

fn check_checkpoint(folder: &Path, name: &str, options: &ImportOptions, headed: bool) {
    let io = Tensors::open(folder.join(format!("{name}.io.safetensors")));
    let cases = cases(&io);
    assert_eq!(cases.len(), 3, "{name}: {cases:?}");
    for (backend, device) in cpu_devices() {
        let (model, head) = import(&folder.join(format!("{name}.pt")), options, &device).unwrap();
        assert_eq!(head.0.len(), usize::from(headed), "{name}: tensors of the head");
        for case in &cases {
            // The second opinion is slow: one utterance is enough.
            if backend == "ndarray" && !case.starts_with("x1x") {
                continue;
            }
            let wanted = io.f32(&format!("{case}/emb_f64"));
            let input = tensor(&io, &format!("{case}/input"));
            let what = format!("{name} {case} {backend}");
            assert_embeddings(&what, &model.network, &device, input, &wanted);
        }
    }
}

/// A folder as users have it, with a checkpoint and its configuration.
struct User {
    folder: &'static str,
    mels: usize,
    dim: usize,
    cases: usize,
}

#[test]
fn a_users_model_folder_imports() {
    let committed = User { folder: "folder", mels: 24, dim: 8, cases: 1 };
    let large = User { folder: "resnet18_voxceleb_style", mels: 40, dim: 128, cases: 3 };
    for (folder, user) in sets(("networks", committed), ("fixtures/f2_models", large)) {
        let folder = folder.join(user.folder);
        let options =
            ImportOptions { config: Some(folder.join("config.yaml")), ..ImportOptions::default() };
        let device = Device::default();
        let (model, _) = import(&folder.join("avg_model.pt"), &options, &device).unwrap();
        let header = &model.header;
        assert_eq!((header.arch.mels, header.embedding_dim), (user.mels, user.dim));
        assert_eq!(header.frontend.fbank.dither, 1.0);
        let io = Tensors::open(folder.join("io.safetensors"));
        let cases = cases(&io);
        assert_eq!(cases.len(), user.cases, "{cases:?}");
        for case in &cases {
            let wanted = io.f32(&format!("{case}/emb_f64"));
            let input = tensor(&io, &format!("{case}/input"));
            assert_embeddings(case, &model.network, &device, input, &wanted);
        }
    }
}

/// The average of several checkpoints.
struct Average {
    checkpoint: &'static str,
    io: &'static str,
    tensors: [&'static str; 2],
    arch: &'static str,
    mels: usize,
}

#[test]
fn an_averaged_checkpoint_imports() {
    let committed = Average {
        checkpoint: "folder/avg_model.pt",
        io: "folder/io.safetensors",
        tensors: ["x2x50/input", "x2x50/emb_f64"],
        arch: "resnet10",
        mels: 24,
    };
    let large = Average {
        checkpoint: "avg_model.pt",
        io: "avg_model.io.safetensors",
        tensors: ["input", "emb"],
        arch: "resnet18",
        mels: 40,
    };
    for (folder, average) in sets(("networks", committed), ("fixtures/f2_models", large)) {
        check_average(&folder, &average);
    }
}

/// Its counters are f32. Its mels must be said, since other numbers of mels with another pooling
/// have the same shapes.
fn check_average(folder: &Path, average: &Average) {
    let device = Device::default();
    let checkpoint = folder.join(average.checkpoint);
    let mut options = ImportOptions { arch: Some(average.arch.into()), ..ImportOptions::default() };
    let error = import(&checkpoint, &options, &device).unwrap_err();
    assert_eq!(error.remedy(), Some(&Remedy::SayFrontEnd), "{error}");
    assert!(error.to_string().contains("seg_1.weight"), "{error}");
    options.mels = Some(average.mels);
    let (model, head) = import(&checkpoint, &options, &device).unwrap();
    assert_eq!(head.0.len(), 1);
    let io = Tensors::open(folder.join(average.io));
    let [input, wanted] = average.tensors;
    let (input, wanted) = (tensor(&io, input), io.f32(wanted));
    assert_embeddings("average", &model.network, &device, input.clone(), &wanted);

    // Through our own file and back, and as a bare .safetensors state_dict: the same embeddings.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("avg.safetensors");
    model.save(&path, head).unwrap();
    let again = Model::load(&path, &device).unwrap();
    assert_embeddings("model file", &again.network, &device, input.clone(), &wanted);
    let (bare, head) = import(&path, &options, &device).unwrap();
    assert_eq!(head.0.len(), 1);
    assert_embeddings("bare safetensors", &bare.network, &device, input, &wanted);
}

/// Imports a checkpoint as another network than its own: the error names what does not fit.
fn assert_refused(file: &Path, arch: &str, mels: Option<usize>, wanted: &str) {
    let options = ImportOptions { arch: Some(arch.into()), mels, ..ImportOptions::default() };
    let error = import(file, &options, &Device::default()).unwrap_err().to_string();
    assert!(error.contains(wanted), "{} as {arch}: {error}", file.display());
}

#[test]
fn checkpoints_of_another_network_are_refused() {
    let folder = fixture("networks");
    let refused = |file: &str, arch: &str, wanted: &str| {
        assert_refused(&folder.join(file), arch, Some(24), wanted);
    };
    refused("resnet10_m2.pt", "resnet18", "no tensor `layer1.1.conv1.weight`");
    refused("resnet50_m2.pt", "resnet101", "no tensor `layer3.6.conv1.weight`");
    refused("resnet50_m2.pt", "resnet34", "`seg_1.weight` takes 384 values");
    refused("gemini_m2.pt", "resnet10", "so this is not a resnet10");
    refused("resnet10_m2.pt", "gemini-df-resnet60", "no tensor `downsample_layers.0.0.weight`");
    refused("folder/config.yaml", "resnet10", "neither");
    let file = folder.join("resnet10_m2.pt");
    let error = import(&file, &ImportOptions::default(), &Device::default()).unwrap_err();
    assert_eq!(error.remedy(), Some(&Remedy::SayArchitecture), "{error}");
    // Files that were cut off.
    let dir = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(file).unwrap();
    for cut in [0, 3, 1000, bytes.len() / 2, bytes.len() - 100] {
        let path = dir.path().join("cut.pt");
        std::fs::write(&path, &bytes[..cut]).unwrap();
        assert_refused(&path, "resnet10", Some(24), "cut.pt");
    }
}

#[test]
fn large_checkpoints_of_another_network_are_refused() {
    let folder = shared_or_skip!("fixtures/f2_models");
    let refused = |file: &str, arch: &str, wanted: &str| {
        assert_refused(&folder.join(file), arch, None, wanted);
    };
    refused("resnet34_m8.pt", "resnet18", "has no place in resnet18");
    refused("resnet34_m8.pt", "resnet152", "seg_1.weight");
    refused("resnet34_m8.pt", "gemini-df-resnet60", "downsample_layers.0.0.weight");
    refused("ecapa_c64.pt", "resnet34", "conv1.weight");
    refused("ecapa_c64.pt", "campplus", "it looks like ecapa-tdnn-512 or ecapa-tdnn-1024");
    refused("resnet50_m4.pt", "resnet34", "it looks like resnet50");
}
