//! Checkpoints and configurations of other programs: imported correctly, or refused by name.

mod torch;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor, TensorData, bf16, f16};
use revox::audio::FbankConfig;
use revox::model_file::{Frontend, ImportOptions, Imported, Model, import_noted};
use revox::nn::{Mode, collect_named, names_and_shapes};
use revox::zoo::{Architecture, Network};
use zip::CompressionMethod;

use crate::place::{Place, arg};
use crate::shared_or_skip;
use torch::{Object, dict, pickle, save};

/// Imports a checkpoint of the small network that the cases hold.
fn small(path: &Path, config: Option<PathBuf>) -> Result<Imported, String> {
    let arch = config.is_none().then(|| "resnet10".to_owned());
    let options = ImportOptions { arch, config, mels: Some(16), ..ImportOptions::default() };
    import_noted(path, &options, &Device::default()).map_err(|e| e.to_string())
}

fn values(network: &Network) -> Vec<(String, Vec<f32>)> {
    collect_named(network)
        .into_iter()
        .map(|(name, data)| (name, data.iter::<f32>().collect()))
        .collect()
}

/// An embedding of 50 frames.
fn embedding(network: &Network) -> Vec<f32> {
    let features: Vec<f32> =
        (0..50 * 16).map(|i| ((i * 37 % 101) as f32 / 50.0 - 1.0) * 3.0).collect();
    let input = Tensor::<3>::from_data(TensorData::new(features, [1, 50, 16]), &Device::default());
    network.forward(input, Mode::Eval).into_data().try_to_vec::<f32>().unwrap()
}

#[test]
fn configurations_are_honoured() {
    let folder = shared_or_skip!("cases/models");
    let frontend = |name: &str| {
        let imported = small(&folder.join("p00_plain.pt"), Some(folder.join(name)));
        imported.unwrap_or_else(|e| panic!("{name}: {e}")).model.header.frontend
    };
    let fbank = FbankConfig { mels: 16, dither: 1.0, ..FbankConfig::default() };
    let plain = Frontend { fbank: fbank.clone(), cmn: true };
    assert_eq!(frontend("c00.yaml"), plain);
    assert_eq!(frontend("c01_cmvn_false.yaml"), Frontend { cmn: false, ..plain.clone() });
    assert_eq!(frontend("c02_norm_mean_false.yaml"), Frontend { cmn: false, ..plain.clone() });
    let narrow = Frontend { fbank: FbankConfig { sample_rate: 8000, ..fbank.clone() }, cmn: true };
    assert_eq!(frontend("c03_rate_text.yaml"), narrow);
    assert_eq!(frontend("c08_rate_float.yaml"), narrow);
    let band =
        Frontend { fbank: FbankConfig { low_freq: 300.0, high_freq: 3400.0, ..fbank }, cmn: true };
    assert_eq!(frontend("c09_fbank_extra.yaml"), band);
}

#[test]
fn configurations_of_other_features_are_refused_by_name() {
    let folder = shared_or_skip!("cases/models");
    let place = Place::make();
    let checkpoint = folder.join("p00_plain.pt");
    for (name, wanted) in [
        ("c04_frontend_s3prl.yaml", ["dataset_args.frontend", "s3prl"]),
        ("c05_rate_negative.yaml", ["dataset_args.resample_rate", "-16000"]),
        ("c07_mels_differ.yaml", ["dataset_args.fbank_args.num_mel_bins", "40"]),
        ("c10_raw_wav.yaml", ["dataset_args.frontend", "lfcc"]),
    ] {
        let config = folder.join(name);
        let line = format!("{name}:");
        let args = ["import", arg(&checkpoint), "--config", arg(&config), "-o", "m.safetensors"];
        place.fails(&args, &[&line, wanted[0], wanted[1]]);
        assert!(!place.path("m.safetensors").exists());
    }
}

/// What is noted of all of them.
const WIDTH: &str = "the width is 2; the published resnet10 has 32";

#[test]
fn checkpoints_give_one_network_however_they_were_saved() {
    let folder = shared_or_skip!("cases/models");
    let open =
        |name: &str| small(&folder.join(name), None).unwrap_or_else(|e| panic!("{name}: {e}"));
    let plain = open("p00_plain.pt");
    let (wanted, embedded) = (values(&plain.model.network), embedding(&plain.model.network));
    assert!(
        plain.notes == [WIDTH] && embedded.iter().any(|x| x.abs() > 0.01),
        "{:?} {embedded:?}",
        plain.notes
    );
    for (name, found) in [
        ("p00b_protocol4.pt", ""),
        ("p01_legacy.pt", ""),
        ("p02_module.pt", "`module`"),
        ("p02b_orig_mod.pt", "`_orig_mod`"),
        ("p02c_module_orig_mod.pt", "`module._orig_mod`"),
        ("p03_trainer_dict.pt", "`state_dict`"),
        ("p03b_model_key.pt", "`model.module`"),
        ("p03c_lightning.ckpt", "`state_dict.model`"),
        ("p03d_front_prefix.pt", "`front`"),
        ("p04c_double.pt", "F64"),
        ("p05_noncontiguous.pt", ""),
        ("p05b_one_storage.pt", ""),
        ("p06_no_counters.pt", ""),
    ] {
        let imported = open(name);
        assert_eq!(values(&imported.model.network), wanted, "{name}");
        assert_eq!(embedding(&imported.model.network), embedded, "{name}");
        let others = imported.notes.iter().filter(|note| **note != WIDTH).cloned();
        let notes = others.collect::<Vec<_>>().join("\n");
        assert!(notes.contains(found) && notes.is_empty() == found.is_empty(), "{name}: {notes}");
    }
    // Rounded when they were saved, to bfloat16 towards zero, and never again.
    let half = |x: f32| f16::from_f32(x).to_f32();
    let brain = |x: f32| bf16::from_bits((x.to_bits() >> 16) as u16).to_f32();
    type Rounding<'a> = &'a dyn Fn(f32) -> f32;
    let cases: [(&str, Rounding, &str); 3] = [
        ("p04_half.pt", &half, "F16"),
        ("s01_f16.safetensors", &half, "F16"),
        ("p04b_bfloat16.pt", &brain, "BF16"),
    ];
    for (name, round, format) in cases {
        let imported = open(name);
        let found = values(&imported.model.network);
        assert_eq!(found.len(), wanted.len(), "{name}");
        for ((tensor, ours), (_, exact)) in found.iter().zip(&wanted) {
            let rounded: Vec<f32> = exact.iter().map(|&x| round(x)).collect();
            assert_eq!(*ours, rounded, "{name} {tensor}");
        }
        assert!(imported.notes.join("\n").contains(format), "{name}: {:?}", imported.notes);
        // Three digits of bfloat16 are left of an embedding's direction at least.
        let ours = embedding(&imported.model.network);
        let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
        let cosine = product(&ours, &embedded)
            / (product(&ours, &ours) * product(&embedded, &embedded)).sqrt();
        assert!(cosine > 0.999, "{name}: {cosine}");
    }
}

#[test]
fn what_was_found_is_said_by_the_program() {
    let folder = shared_or_skip!("cases/models");
    let place = Place::make();
    let (trainer, config) =
        (folder.join("p03_trainer_dict.pt"), folder.join("c01_cmvn_false.yaml"));
    let args = ["import", arg(&trainer), "--config", arg(&config), "-o", "m.safetensors"];
    let ran = place.run(&args);
    assert_eq!(ran.code, 0, "{}", ran.err);
    for wanted in ["note: ", "`state_dict`", "1 tensor under `optimizer`"] {
        assert!(ran.err.contains(wanted), "{}", ran.err);
    }
    assert!(
        !Model::load(place.path("m.safetensors"), &Device::default()).unwrap().header.frontend.cmn
    );
    let report = place.json(&args);
    let notes = report["notes"].as_array().unwrap();
    assert!(notes.iter().any(|n| n.as_str().unwrap().contains("`state_dict`")), "{report}");
    assert_eq!(report["frontend"]["cmn"], false);
    // Nothing that is read is written over, whatever its spelling.
    std::fs::copy(&trainer, place.path("c.pt")).unwrap();
    std::fs::copy(&config, place.path("c.yaml")).unwrap();
    let before = std::fs::read(place.path("c.pt")).unwrap();
    for output in ["c.pt", "./c.pt", "c.yaml"] {
        place.fails(&["import", "c.pt", "--config", "c.yaml", "-o", output], &[output, "lost"]);
    }
    assert_eq!(std::fs::read(place.path("c.pt")).unwrap(), before);
}

type Tensors = Vec<(String, torch::Tensor)>;
type Storages = Vec<(String, Vec<u8>)>;

/// The small network, as `torch.save` divides it into views and storages.
fn saved(seed: u64) -> (Tensors, Storages) {
    let arch = Architecture {
        width: 2,
        mels: 16,
        embedding_dim: 8,
        ..Architecture::named("resnet10").unwrap()
    };
    let (mut tensors, mut storages) = (Vec::new(), Vec::new());
    for (i, (name, data)) in
        collect_named(&arch.init(&Device::default(), seed).unwrap()).into_iter().enumerate()
    {
        let key = 1000 * seed + i as u64;
        tensors.push((name, torch::Tensor::contiguous(key, &data.shape().to_vec())));
        storages.push((key.to_string(), data.iter::<f32>().flat_map(f32::to_le_bytes).collect()));
    }
    (tensors, storages)
}

#[test]
fn of_two_networks_in_a_checkpoint_one_is_chosen() {
    let place = Place::make();
    let ((first, mut storages), (second, more)) = (saved(1), saved(2));
    storages.extend(more);
    let both = Object::Dict(vec![
        ("model".into(), dict(first)),
        ("model_ema".into(), Object::Dict(vec![("module".into(), dict(second))])),
        ("epoch".into(), Object::Int(3)),
    ]);
    save(&place.path("c.pt"), &pickle(&both), &storages, CompressionMethod::Stored);
    let import = ["import", "c.pt", "--arch", "resnet10", "--mels", "16", "-o", "m.safetensors"];
    place.fails(&import, &["c.pt", "`model` and `model_ema.module`", "--key"]);
    for (key, seed) in [("model", 1), ("model_ema", 2), ("model_ema.module", 2)] {
        place.ok(&[&import[..], &["--key", key]].concat());
        let model = Model::load(place.path("m.safetensors"), &Device::default()).unwrap();
        let wanted = model.header.arch.init(&Device::default(), seed).unwrap();
        assert_eq!(values(&model.network), values(&wanted), "{key}");
    }
    // Two tensors whose names are one once keys are joined: any of them could be meant.
    let (mut tensors, storages) = saved(1);
    let (name, again) = tensors.iter().find(|(name, _)| name == "bn1.weight").cloned().unwrap();
    tensors.retain(|(n, _)| *n != name);
    let Object::Dict(mut entries) = dict(tensors) else { unreachable!() };
    entries.push((name, Object::Tensor(again.clone())));
    entries.push(("bn1".into(), dict(vec![("weight".into(), again)])));
    save(
        &place.path("c.pt"),
        &pickle(&Object::Dict(entries)),
        &storages,
        CompressionMethod::Stored,
    );
    place.fails(&import, &["c.pt", "two tensors are called `bn1.weight`"]);
}

#[test]
fn deflated_checkpoints_are_read() {
    let place = Place::make();
    let (tensors, storages) = saved(5);
    save(&place.path("c.pt"), &pickle(&dict(tensors)), &storages, CompressionMethod::Deflated);
    let imported = small(&place.path("c.pt"), None).unwrap();
    let wanted = imported.model.header.arch.init(&Device::default(), 5).unwrap();
    assert_eq!(values(&imported.model.network), values(&wanted));
}

/// Runs, expects a refusal, and that it came at once: what these files ask for takes minutes or
/// gigabytes.
#[track_caller]
fn refused_at_once(place: &Place, args: &[&str], wanted: &[&str]) {
    let began = Instant::now();
    place.fails(args, wanted);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn tensors_of_one_value_are_not_expanded() {
    let place = Place::make();
    // Names and shapes of a network of 1024 channels, gigabytes of weights, each a view of one
    // value.
    let arch = Architecture { width: 1024, ..Architecture::named("resnet10").unwrap() };
    let shapes = names_and_shapes(&arch.init(&Device::default(), 0).unwrap());
    let bytes: usize = shapes.iter().map(|(_, shape)| 4 * shape.iter().product::<usize>()).sum();
    assert!(bytes > 4 << 30);
    let tensors = shapes
        .iter()
        .map(|(name, shape)| (name.clone(), torch::Tensor::repeated("0", shape)))
        .collect();
    save(
        &place.path("big.pt"),
        &pickle(&dict(tensors)),
        &[("0".into(), vec![0; 4])],
        CompressionMethod::Stored,
    );
    let import = ["import", "big.pt", "--arch", "resnet10", "-o", "m.safetensors"];
    refused_at_once(&place, &import, &["big.pt", "the file holds"]);
    // A small one is refused as well: what it holds are not weights.
    let (tensors, _) = saved(1);
    let repeat =
        |(name, t): (String, torch::Tensor)| (name, torch::Tensor::repeated("0", &t.shape));
    let tensors: Vec<_> = tensors.into_iter().map(repeat).collect();
    save(
        &place.path("small.pt"),
        &pickle(&dict(tensors)),
        &[("0".into(), vec![0; 4])],
        CompressionMethod::Stored,
    );
    let import =
        ["import", "small.pt", "--arch", "resnet10", "--mels", "16", "-o", "m.safetensors"];
    refused_at_once(&place, &import, &["small.pt", "the file holds"]);
    // A head of gigabytes beside an honest network.
    let (mut tensors, mut storages) = saved(1);
    tensors.push(("projection.weight".into(), torch::Tensor::repeated("h", &[300_000_000, 8])));
    storages.push(("h".into(), vec![0; 4]));
    save(&place.path("head.pt"), &pickle(&dict(tensors)), &storages, CompressionMethod::Stored);
    let import = ["import", "head.pt", "--arch", "resnet10", "--mels", "16", "-o", "m.safetensors"];
    refused_at_once(&place, &import, &["head.pt", "expand to", "the file holds"]);
    assert!(!place.path("m.safetensors").exists());
}

#[test]
fn archives_and_pickles_that_blow_up_are_refused() {
    let place = Place::make();
    let import = ["import", "x.pt", "--arch", "resnet10", "--mels", "16", "-o", "m.safetensors"];
    let (tensors, mut storages) = saved(1);
    storages.push(("zeros".into(), vec![0; 64 << 20]));
    save(&place.path("x.pt"), &pickle(&dict(tensors)), &storages, CompressionMethod::Deflated);
    assert!(std::fs::metadata(place.path("x.pt")).unwrap().len() < 1 << 20);
    refused_at_once(&place, &import, &["x.pt", "expands to"]);
    // Instructions by the million: in an archive, deflated, and in the old format, where nothing
    // says how long a pickle is.
    let mut many = b"\x80\x02".to_vec();
    many.resize(12 << 20, b'N');
    save(&place.path("x.pt"), &many, &[], CompressionMethod::Deflated);
    refused_at_once(&place, &import, &["x.pt", "instructions"]);
    let magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
    std::fs::write(
        place.path("x.pt"),
        [&magic[..], &b"\x80\x02M\xe9\x03."[..], &many[..]].concat(),
    )
    .unwrap();
    refused_at_once(&place, &import, &["x.pt", "instructions"]);
    // Other formats by their names.
    std::fs::write(place.path("x.pt"), b"\x80\x04}q\0.").unwrap();
    place.fails(&import, &["x.pt", "a pickle", "torch.save"]);
    let mut tar = vec![0; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    std::fs::write(place.path("x.pt"), tar).unwrap();
    place.fails(&import, &["x.pt", "0.1.10"]);
}

#[test]
fn configurations_that_blow_up_are_refused() {
    let place = Place::make();
    let (tensors, storages) = saved(1);
    save(&place.path("c.pt"), &pickle(&dict(tensors)), &storages, CompressionMethod::Stored);
    let import = ["import", "c.pt", "--config", "c.yaml", "-o", "m.safetensors"];
    let model = "model: ResNet10\nmodel_args: {feat_dim: 16}\n";
    // Aliases of aliases: ten to the ninth of them, if they were copied.
    let mut bomb = format!("{model}a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..9 {
        let alias = format!("*a{}", i - 1);
        bomb += &format!("a{i}: &a{i} [{}]\n", vec![alias; 10].join(", "));
    }
    assert!(bomb.len() < 700);
    place.write("c.yaml", &format!("{bomb}dataset_args: {{fbank_args: *a8}}\n"));
    refused_at_once(&place, &import, &["c.yaml", "dataset_args.fbank_args"]);
    // They do no harm in a part that is not read.
    place.write("c.yaml", &bomb);
    place.ok(&import);
    for (text, wanted) in [
        (format!("{model}a: {}{}\n", "[".repeat(240), "]".repeat(240)), "nested deeper"),
        (format!("{model}a:\n  {}x\n", "- ".repeat(100_000)), "nested deeper"),
        (format!("{model}# {}\n", "x".repeat(2 << 20)), "bytes"),
        (
            format!("{model}dataset_args: {{resample_rate: 4294983296}}\n"),
            "dataset_args.resample_rate",
        ),
        (
            format!("{model}dataset_args: {{fbank_args: {{frame_length: 1e12}}}}\n"),
            "fbank_args.frame_length",
        ),
    ] {
        place.write("c.yaml", &text);
        refused_at_once(&place, &import, &["c.yaml", wanted]);
    }
}

#[test]
fn a_safetensors_header_may_have_any_length() {
    let folder = shared_or_skip!("cases/models");
    let place = Place::make();
    let file = std::fs::read(folder.join("tiny.safetensors")).unwrap();
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let wanted = values(&small(&folder.join("p00_plain.pt"), None).unwrap().model.network);
    // Low bytes that begin a pickle (0x80, of any protocol) and an archive (PK).
    for low in [0x80usize, 0x0280, 0x0580, 0x4b50] {
        let mask = if low > 0xff { 0xffff } else { 0xff };
        let padded = (length..).find(|n| n & mask == low).unwrap();
        let mut again = (padded as u64).to_le_bytes().to_vec();
        again.extend(&file[8..8 + length]);
        again.resize(8 + padded, b' ');
        again.extend(&file[8 + length..]);
        for name in ["x.safetensors", "x.pt"] {
            std::fs::write(place.path(name), &again).unwrap();
            assert_eq!(
                values(&small(&place.path(name), None).unwrap().model.network),
                wanted,
                "{low:#x} {name}"
            );
        }
    }
}

#[test]
fn front_ends_that_no_audio_has_are_refused_everywhere() {
    let place = Place::make();
    place.wav("a.wav", 1.0, 120.0);
    place.wav("b.wav", 1.0, 210.0);
    for (option, value, wanted) in [
        ("--scale", "1e35", "scale"),
        ("--scale", "nan", "scale"),
        ("--dither", "-1", "dither"),
        ("--mels", "600", "mel filter"),
        ("--mels", "128", "mel filter"),
    ] {
        let option = format!("{option}={value}");
        place.fails(&["fbank", "a.wav", "-o", "f.safetensors", &option], &[wanted]);
    }
    // The header of a model file may ask for them too.
    let arch = Architecture {
        width: 2,
        mels: 40,
        embedding_dim: 16,
        ..Architecture::named("resnet10").unwrap()
    };
    let header = |fbank: FbankConfig| {
        let header = revox::model_file::Header::new(arch.clone(), Frontend { fbank, cmn: true });
        let network = arch.init(&Device::default(), 1).unwrap();
        Model { header, network }.save(place.path("m.safetensors"), Default::default()).unwrap();
    };
    let base = FbankConfig { mels: 40, ..FbankConfig::default() };
    for (fbank, wanted) in [
        (FbankConfig { frame_length_ms: 1e12, ..base.clone() }, "frame_length_ms"),
        (FbankConfig { frame_shift_ms: 0.0, ..base.clone() }, "frame_shift_ms"),
        (FbankConfig { sample_rate: u32::MAX, ..base.clone() }, "sample_rate"),
        (FbankConfig { scale: 1e35, ..base.clone() }, "scale"),
        (FbankConfig { dither: -1.0, ..base.clone() }, "dither"),
        (FbankConfig { frame_length_ms: 2.0, ..base.clone() }, "mel filter"),
    ] {
        header(fbank);
        refused_at_once(
            &place,
            &["compare", "m.safetensors", "a.wav", "b.wav"],
            &["m.safetensors", wanted],
        );
    }
    // Samples so large that every feature would be the floor: two tones are not one speaker.
    header(base);
    for (name, pitch) in [("x.wav", 0.05f32), ("y.wav", 0.3)] {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 16000,
            bits_per_sample: 32,
            sample_format: hound::SampleFormat::Float,
        };
        let mut writer = hound::WavWriter::create(place.path(name), spec).unwrap();
        (0..16000).for_each(|i| writer.write_sample(1e35 * (i as f32 * pitch).sin()).unwrap());
        writer.finalize().unwrap();
    }
    place.fails(&["compare", "m.safetensors", "x.wav", "y.wav"], &["x.wav", "not finite"]);
    place.fails(&["fbank", "x.wav", "-o", "f.safetensors"], &["x.wav", "frame 0", "not finite"]);
}
