//! State_dicts with the prefixes, neighbours and number formats with which people save them.

mod families;
mod options;

use burn::tensor::{bf16, f16};
use safetensors::tensor::{Dtype, TensorView};

use super::*;
use crate::nn::collect_named;

/// A tensor of a file: name, format, shape, bytes.
type Saved = (String, Dtype, Vec<usize>, Vec<u8>);

fn arch() -> Architecture {
    Architecture {
        width: 2,
        mels: 16,
        embedding_dim: 8,
        ..Architecture::named("resnet10").unwrap()
    }
}

/// The values of a network, by name.
fn values(network: &crate::zoo::Network) -> Vec<(String, Vec<f32>)> {
    collect_named(network)
        .into_iter()
        .map(|(name, data)| (name, data.iter::<f32>().collect()))
        .collect()
}

/// A network's tensors with `prefix` before each name, and PyTorch's counters beside them.
fn state(prefix: &str, seed: u64) -> Vec<Saved> {
    state_of(&arch(), prefix, seed)
}

fn state_of(arch: &Architecture, prefix: &str, seed: u64) -> Vec<Saved> {
    let mut saved = Vec::new();
    for (name, data) in collect_named(&arch.init(&Device::default(), seed).unwrap()) {
        let bytes = data.iter::<f32>().flat_map(f32::to_le_bytes).collect();
        if name.ends_with("running_mean") {
            let counter =
                format!("{prefix}{}num_batches_tracked", name.trim_end_matches("running_mean"));
            saved.push((counter, Dtype::I64, vec![], vec![0; 8]));
        }
        saved.push((format!("{prefix}{name}"), Dtype::F32, data.shape().to_vec(), bytes));
    }
    saved
}

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn write(&self, saved: &[Saved]) -> PathBuf {
        let views = saved.iter().map(|(name, dtype, shape, bytes)| {
            (name.as_str(), TensorView::new(*dtype, shape.clone(), bytes).unwrap())
        });
        let path = self.dir.path().join("x.pt");
        std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
        path
    }

    fn import(&self, saved: &[Saved], key: Option<&str>) -> Result<Imported> {
        let (arch, key) = (Some("resnet10".to_owned()), key.map(str::to_owned));
        let options = ImportOptions { arch, mels: Some(16), key, ..ImportOptions::default() };
        import_noted(&self.write(saved), &options, &Device::default())
    }

    #[track_caller]
    fn fails(&self, saved: &[Saved], key: Option<&str>, wanted: &[&str]) -> Error {
        let error = self.import(saved, key).unwrap_err();
        for wanted in wanted {
            assert!(error.to_string().contains(wanted), "`{wanted}` is not in: {error}");
        }
        error
    }
}

fn tensor(name: &str, shape: &[usize]) -> Saved {
    let count: usize = shape.iter().product();
    (name.to_owned(), Dtype::F32, shape.to_vec(), vec![0; 4 * count])
}

#[test]
fn a_network_is_found_behind_any_prefix() {
    let place = Place::new();
    let wanted = values(&arch().init(&Device::default(), 3).unwrap());
    let prefixes = [
        "",
        "module.",
        "_orig_mod.",
        "module._orig_mod.",
        "_orig_mod.module.",
        "model.",
        "state_dict.module.model.",
        "net.speaker_encoder.",
        "front.",
    ];
    for prefix in prefixes {
        let imported = place.import(&state(prefix, 3), None).unwrap();
        assert_eq!(values(&imported.model.network), wanted, "{prefix}");
        let notes = imported.notes.join("\n");
        assert_eq!(
            notes.contains(&format!("`{}`", prefix.trim_end_matches('.'))),
            !prefix.is_empty(),
            "{notes}"
        );
    }
}

#[test]
fn what_lies_beside_the_network_is_left_aside_and_said() {
    let place = Place::new();
    let beside =
        [tensor("optimizer.state.0.exp_avg", &[3]), tensor("optimizer.state.1.exp_avg", &[4])];
    for prefix in ["", "state_dict."] {
        let saved = [state(prefix, 3), beside.to_vec()].concat();
        let notes = place.import(&saved, None).unwrap().notes.join("\n");
        assert!(notes.contains("2 tensors") && notes.contains("`optimizer`"), "{notes}");
    }
    // A superfluous tensor among the network's own is refused.
    let saved = [state("state_dict.", 3), vec![tensor("state_dict.layer9.weight", &[3])]].concat();
    place.fails(&saved, None, &["x.pt", "`layer9.weight` has no place in resnet10"]);
    let saved = [state("", 3), vec![tensor("spectrogram.window", &[3])]].concat();
    place.fails(&saved, None, &["`spectrogram.window` has no place"]);
}

#[test]
fn of_several_networks_one_is_chosen() {
    let place = Place::new();
    let both = [state("model.module.", 3), state("model_ema.", 4)].concat();
    let error = place.fails(&both, None, &["more than once", "`model.module` and `model_ema`"]);
    assert_eq!(error.remedy(), Some(&Remedy::ChooseNetwork));
    place.fails(&both, Some("teacher"), &["the key teacher", "`model.module`"]);
    for (key, seed) in [("model", 3), ("model.module", 3), ("model.module.", 3), ("model_ema", 4)] {
        let network = place.import(&both, Some(key)).unwrap().model.network;
        assert_eq!(
            values(&network),
            values(&arch().init(&Device::default(), seed).unwrap()),
            "{key}"
        );
    }
    let alike = [state("nets.a.", 3), state("nets.b.", 4)].concat();
    place.fails(&alike, Some("nets"), &["`nets.a` and `nets.b`", "give more of the key"]);
    // One of them at the top level.
    let both = [state("", 3), state("ema.", 4)].concat();
    place.fails(&both, None, &["top level", "`ema`"]);
    for (key, seed) in [("", 3), ("ema", 4)] {
        let network = place.import(&both, Some(key)).unwrap().model.network;
        assert_eq!(
            values(&network),
            values(&arch().init(&Device::default(), seed).unwrap()),
            "{key}"
        );
    }
}

#[test]
fn other_networks_are_told_what_is_missing() {
    let place = Place::new();
    place.fails(
        &[tensor("a", &[1]), tensor("b", &[1])],
        None,
        &["`conv1.weight`", "resnet10", "`a`, `b`"],
    );
    place.fails(&[tensor("m.conv1.weight", &[2, 1, 3, 3])], None, &["`seg_1.weight`"]);
    let mut saved = state("module.", 3);
    saved.retain(|(name, ..)| name != "module.layer2.0.conv1.weight");
    place.fails(&saved, None, &["no tensor `layer2.0.conv1.weight`"]);
    let mut saved = state("module.", 3);
    let at = saved.iter().position(|(name, ..)| name == "module.bn1.bias").unwrap();
    saved[at] = tensor("module.bn1.bias", &[3]);
    place.fails(&saved, None, &["`bn1.bias` has shape [3]", "[2]"]);
    // Shapes that would overflow the arithmetic of sizes.
    let huge = [("conv1.weight", vec![1 << 60, 0, 3, 3]), ("seg_1.weight", vec![0, 1 << 60])];
    let saved: Vec<Saved> =
        huge.map(|(name, shape)| (name.to_owned(), Dtype::F32, shape, vec![])).into();
    place.fails(&saved, None, &["x.pt", "width = "]);
}

#[test]
fn half_precision_and_doubles_become_f32() {
    let place = Place::new();
    let convert = |dtype: Dtype, of: &dyn Fn(f32) -> Vec<u8>| -> Vec<Saved> {
        let mut saved = state("", 3);
        for (_, format, _, bytes) in
            saved.iter_mut().filter(|(_, format, ..)| *format == Dtype::F32)
        {
            *format = dtype;
            *bytes = crate::bytes::to_f32(bytes).into_iter().flat_map(of).collect();
        }
        saved
    };
    let wanted = |round: &dyn Fn(f32) -> f32| -> Vec<(String, Vec<f32>)> {
        let exact = values(&arch().init(&Device::default(), 3).unwrap());
        exact.into_iter().map(|(name, v)| (name, v.into_iter().map(round).collect())).collect()
    };
    let halves = convert(Dtype::F16, &|x| f16::from_f32(x).to_le_bytes().to_vec());
    let imported = place.import(&halves, None).unwrap();
    assert_eq!(values(&imported.model.network), wanted(&|x| f16::from_f32(x).to_f32()));
    assert!(imported.notes.iter().any(|n| n.contains("F16")), "{:?}", imported.notes);
    let brains = convert(Dtype::BF16, &|x| bf16::from_f32(x).to_le_bytes().to_vec());
    let imported = place.import(&brains, None).unwrap();
    assert_eq!(values(&imported.model.network), wanted(&|x| bf16::from_f32(x).to_f32()));
    let doubles = convert(Dtype::F64, &|x| f64::from(x).to_le_bytes().to_vec());
    assert_eq!(values(&place.import(&doubles, None).unwrap().model.network), wanted(&|x| x));

    let at = |name: &str, dtype: Dtype, bytes: Vec<u8>| -> Vec<Saved> {
        let mut saved = state("", 3);
        let found = saved.iter_mut().find(|(n, ..)| n == name).unwrap();
        (found.1, found.3) = (dtype, bytes);
        saved
    };
    let integers = at("bn1.weight", Dtype::I64, vec![0; 16]);
    place.fails(&integers, None, &["`bn1.weight` is I64", "F32, F64, F16 or BF16"]);
    // Beyond f32, and infinite from the start.
    let double = at(
        "bn1.weight",
        Dtype::F64,
        [1e300f64, 0.0].iter().flat_map(|x| x.to_le_bytes()).collect(),
    );
    place.fails(&double, None, &["`bn1.weight`", "not numbers"]);
    let half = at("bn1.weight", Dtype::F16, vec![0, 0x7c, 0, 0]);
    place.fails(&half, None, &["`bn1.weight`", "not numbers"]);
}

#[test]
fn a_head_comes_along_if_it_fits() {
    let place = Place::new();
    for prefix in ["", "module."] {
        let head = [
            tensor(&format!("{prefix}projection.weight"), &[20, 8]),
            tensor(&format!("{prefix}projection.bias"), &[1, 1]),
        ];
        let imported = place.import(&[state(prefix, 3), head.to_vec()].concat(), None).unwrap();
        let names: Vec<&str> = imported.head.0.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["projection.bias", "projection.weight"]);
    }
    for shape in [vec![20, 9], vec![160], vec![20, 8, 1]] {
        let saved = [state("", 3), vec![tensor("projection.weight", &shape)]].concat();
        let imported = place.import(&saved, None).unwrap();
        assert!(imported.head.0.is_empty());
        assert!(
            imported.notes.iter().any(|n| n.contains("head was left out")),
            "{:?}",
            imported.notes
        );
    }
}

#[test]
fn a_header_may_have_any_length() {
    let place = Place::new();
    let wanted = values(&arch().init(&Device::default(), 3).unwrap());
    let path = place.write(&state("", 3));
    let file = std::fs::read(&path).unwrap();
    let (length, rest) = file.split_first_chunk::<8>().unwrap();
    let length = u64::from_le_bytes(*length) as usize;
    // The low bytes of a pickle of protocol 2 and 4, of an archive, and of old pickles.
    for low in [0x0280usize, 0x0480, 0x4b50, 0x5d, 0x28, 0x63] {
        let padded = (length..)
            .find(|n| if low > 0xff { n & 0xffff == low } else { n & 0xff == low })
            .unwrap();
        let mut again = (padded as u64).to_le_bytes().to_vec();
        again.extend(&rest[..length]);
        again.resize(8 + padded, b' ');
        again.extend(&rest[length..]);
        std::fs::write(&path, again).unwrap();
        let options = ImportOptions {
            arch: Some("resnet10".into()),
            mels: Some(16),
            ..ImportOptions::default()
        };
        let (model, _) = import(&path, &options, &Device::default()).unwrap();
        assert_eq!(values(&model.network), wanted, "{low:#x}");
    }
}
