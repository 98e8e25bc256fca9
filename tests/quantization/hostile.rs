//! Packed files that are damaged or contradict themselves: an error that names the tensor, never a
//! panic.

use burn::tensor::Device;
use proptest::prelude::*;
use revox::model_file::{Model, NamedTensors};
use revox::nn::PoolingKind;

use crate::{config, model, quantizer};

const NAME: &str = "layer1.0.conv1.weight";

/// A packed file's bytes.
fn file(bits: usize) -> Vec<u8> {
    let model = model("resnet10", PoolingKind::Tstp);
    let quantizer = quantizer(&model.network, &config(|c| c.bits = bits));
    let fake = quantizer.attach(model.network.clone()).unwrap();
    let packed = Model::packed(&model.header, &fake, &quantizer, &Device::default()).unwrap();
    packed.to_bytes(std::path::Path::new("m"), NamedTensors::default()).unwrap()
}

fn load(bytes: &[u8]) -> Result<Model, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("packed.safetensors");
    // The checksum is right, so that the fault itself must be found.
    let mut bytes = bytes.to_vec();
    crate::sign::sign(&mut bytes);
    std::fs::write(&path, &bytes).unwrap();
    Model::load(&path, &Device::default()).map_err(|e| e.to_string())
}

/// The header's JSON, and the offset of the tensors.
fn header(bytes: &[u8]) -> (serde_json::Value, usize) {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    (serde_json::from_slice(&bytes[8..8 + length]).unwrap(), 8 + length)
}

/// The file with another header.
fn with_header(bytes: &[u8], change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let (mut json, begin) = header(bytes);
    change(&mut json);
    let text = json.to_string();
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes(), &bytes[begin..]].concat()
}

/// The file with another `revox` entry.
fn with_metadata(bytes: &[u8], change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    with_header(bytes, |json| {
        let entry = &mut json["__metadata__"]["revox"];
        let mut inside: serde_json::Value = serde_json::from_str(entry.as_str().unwrap()).unwrap();
        change(&mut inside);
        *entry = inside.to_string().into();
    })
}

/// The place of a tensor's bytes.
fn range(bytes: &[u8], name: &str) -> std::ops::Range<usize> {
    let (json, begin) = header(bytes);
    let offset = |i: usize| begin + json[name]["data_offsets"][i].as_u64().unwrap() as usize;
    offset(0)..offset(1)
}

#[track_caller]
fn refused(bytes: &[u8], wanted: &[&str]) {
    let error = load(bytes).expect_err("a damaged file was read");
    for part in [&["packed.safetensors"], wanted].concat() {
        assert!(error.contains(part), "no `{part}` in: {error}");
    }
}

#[test]
fn lies_are_refused_with_the_tensor_and_the_reason() {
    let good = file(3);
    load(&good).unwrap();
    let scheme = |key: &'static str, value: serde_json::Value| {
        with_metadata(&good, |m| m["quantization"][NAME][key] = value)
    };
    let named = &format!("`{NAME}`")[..];
    refused(&scheme("bits", 0.into()), &[named, "0 bits"]);
    refused(&scheme("bits", 9.into()), &[named, "9 bits"]);
    refused(&scheme("bits", 2.into()), &[named, "144 codes of 2 bits are 36 bytes", "[54]"]);
    refused(&scheme("bits", u64::MAX.into()), &[named]);
    refused(&scheme("scheme", "binary-static".into()), &[named, "3 bits"]);
    refused(&scheme("scheme", "ternary".into()), &["ternary"]);
    refused(
        &scheme("shape", [4, 4, 3, 4].as_slice().into()),
        &[named, "[4, 4, 3, 4]", "[4, 4, 3, 3]"],
    );
    refused(&scheme("shape", [u64::MAX, 2, 2, 2].as_slice().into()), &[named]);
    refused(&scheme("per_channel", true.into()), &[named, "contradicts itself"]);
    refused(
        &scheme("codebook", "layer1.0.conv2.weight.codebook".into()),
        &[named, "contradicts itself"],
    );
    let more =
        |m: &mut serde_json::Value| m["quantization"]["nowhere"] = m["quantization"][NAME].clone();
    refused(&with_metadata(&good, more), &["`nowhere`", "has no place"]);
    let fewer =
        |m: &mut serde_json::Value| drop(m["quantization"].as_object_mut().unwrap().remove(NAME));
    refused(&with_metadata(&good, fewer), &[named, "no tensor"]);
    let none = |m: &mut serde_json::Value| drop(m.as_object_mut().unwrap().remove("quantization"));
    refused(&with_metadata(&good, none), &["no tensor `conv1.weight`"]);
    for part in ["codes", "codebook"] {
        let name = format!("{NAME}.{part}");
        let absent = with_header(&good, |h| {
            let moved = h.as_object_mut().unwrap().remove(&name).unwrap();
            h["elsewhere"] = moved;
        });
        refused(&absent, &[named, &format!("no tensor `{name}`")]);
    }
    let cut = with_header(&good, |h| h[&format!("{NAME}.codes")]["shape"] = [53].as_slice().into());
    refused(&cut, &["safetensors"]);
    refused(&good[..good.len() - 1], &["safetensors"]);
}

#[test]
fn codes_beyond_the_codebook_are_refused() {
    // Weights with five distinct values: a codebook of five entries for three bits.
    let mut model = model("resnet10", PoolingKind::Tstp);
    let data =
        revox::nn::collect_named(&model.network).into_iter().find(|(n, _)| n == NAME).unwrap().1;
    let values: Vec<f32> = (0..data.num_elements()).map(|i| (i % 5) as f32 * 0.1 - 0.2).collect();
    let data = burn::tensor::TensorData::new(values, data.shape().to_vec());
    model.network = revox::nn::assign_named(model.network, [(NAME.to_owned(), data)].into());
    let quantizer = quantizer(&model.network, &config(|c| c.bits = 3));
    let fake = quantizer.attach(model.network.clone()).unwrap();
    let packed = Model::packed(&model.header, &fake, &quantizer, &Device::default()).unwrap();
    let good = packed.to_bytes(std::path::Path::new("m"), NamedTensors::default()).unwrap();
    assert_eq!(range(&good, &format!("{NAME}.codebook")).len(), 4 * 5);
    load(&good).unwrap();
    let mut bad = good.clone();
    bad[range(&good, &format!("{NAME}.codes")).start] |= 0b101;
    refused(&bad, &[NAME, "code 0 is 5, the codebook has 5 entries"]);
    let mut bad = good.clone();
    let book = range(&good, &format!("{NAME}.codebook"));
    bad[book.start..book.start + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    refused(&bad, &[NAME, "codebook", "not finite"]);
}

#[test]
fn bits_behind_the_last_code_are_refused() {
    // 36 weights of 3 bits in the first layer are 108 bits: 14 bytes have 4 more.
    let good = file(3);
    let name = "conv1.weight";
    let (json, _) = header(&good);
    let entry: serde_json::Value =
        serde_json::from_str(json["__metadata__"]["revox"].as_str().unwrap()).unwrap();
    let bits = entry["quantization"][name]["bits"].as_u64().unwrap() as usize;
    assert_ne!(36 * bits % 8, 0);
    let mut bad = good.clone();
    bad[range(&good, &format!("{name}.codes")).end - 1] |= 0x80;
    refused(&bad, &[name, "bits behind the last code"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    /// With any bytes changed, or the end cut off: a model or an error that names the file, never a
    /// panic.
    #[test]
    fn damage_never_panics(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
        in_header in any::<bool>(),
    ) {
        static GOOD: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        let good = GOOD.get_or_init(|| file(3));
        let mut bytes = good.clone();
        let end = if in_header { header(good).1 } else { bytes.len() };
        for (at, value) in damage {
            bytes[at.index(end)] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Err(error) = load(&bytes) {
            prop_assert!(error.contains("packed.safetensors"), "{}", error);
        }
    }
}
