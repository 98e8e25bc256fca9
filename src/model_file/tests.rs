//! Model files: whole, of other networks, damaged and hostile.

use burn::tensor::{Device, TensorData};
use safetensors::tensor::SafeTensors;
use serde_json::json;

use super::*;
use crate::audio::FbankConfig;
use crate::nn::{collect_named, names_and_shapes};
use crate::quant::config::SmallLayers;
use crate::quant::{Activations, QuantizeConfig, Quantizer, RangeMethod, Ranges, uniform};
use crate::tensor_file::flipped;
use crate::zoo::Architecture;

fn small() -> Model {
    let arch = Architecture {
        width: 2,
        mels: 16,
        embedding_dim: 8,
        ..Architecture::named("resnet10").unwrap()
    };
    let network = arch.init(&Device::default(), 3).unwrap();
    let fbank = FbankConfig { mels: 16, ..FbankConfig::default() };
    Model { header: Header::new(arch, Frontend { fbank, cmn: true }), network }
}

#[test]
fn a_file_gives_back_the_model() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.safetensors");
    let mut model = small();
    model.header.scoring.embedding_mean = Some(vec![0.5; 8]);
    model.save(&path, NamedTensors::default()).unwrap();
    let again = Model::load(&path, &Device::default()).unwrap();
    assert_eq!(again.header, model.header);
    let values = |m: &Model| {
        collect_named(&m.network)
            .into_iter()
            .map(|(n, d)| (n, d.try_to_vec::<f32>().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(values(&again), values(&model));
}

#[test]
fn speakers_of_the_head_are_kept_and_each_has_one_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.safetensors");
    let mut model = small();
    model.header.speakers = vec!["a".into(), "a x0.9".into()];
    model.save(&path, NamedTensors::default()).unwrap();
    assert_eq!(Model::load(&path, &Device::default()).unwrap().header, model.header);
    for name in ["a", ""] {
        model.header.speakers[1] = name.to_owned();
        model.save(&path, NamedTensors::default()).unwrap();
        let error = Model::load(&path, &Device::default()).unwrap_err().to_string();
        assert!(
            error.contains("m.safetensors") && error.contains(&format!("speaker `{name}`")),
            "{error}"
        );
    }
}

#[test]
fn a_file_of_another_network_says_what_met_what() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.safetensors");
    let mut model = small();
    model.header.arch.width = 4;
    model.save(&path, NamedTensors::default()).unwrap();
    let error = Model::load(&path, &Device::default()).unwrap_err().to_string();
    assert!(
        error.contains("`conv1.weight`")
            && error.contains("[2, 1, 3, 3]")
            && error.contains("[4, 1, 3, 3]"),
        "{error}"
    );
    model.header.arch = Architecture { name: "resnet18".into(), width: 2, ..model.header.arch };
    model.save(&path, NamedTensors::default()).unwrap();
    let error = Model::load(&path, &Device::default()).unwrap_err().to_string();
    assert!(error.contains("no tensor `layer1.1.conv1.weight`"), "{error}");
    let mut model = small();
    model.header.frontend.fbank.mels = 40;
    model.save(&path, NamedTensors::default()).unwrap();
    let error = Model::load(&path, &Device::default()).unwrap_err().to_string();
    assert!(error.contains("40 mels") && error.contains("16"), "{error}");
}

#[test]
fn a_front_end_that_no_audio_has_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.safetensors");
    type Change<'a> = &'a dyn Fn(&mut FbankConfig);
    let changes: [(Change, &str); 4] = [
        (&|f| f.frame_length_ms = 1e12, "frame_length_ms"),
        (&|f| f.sample_rate = 0, "sample_rate"),
        (&|f| f.scale = 1e35, "scale"),
        (&|f| f.frame_length_ms = 1.0, "mel filter"),
    ];
    for (change, wanted) in changes {
        let mut model = small();
        change(&mut model.header.frontend.fbank);
        model.save(&path, NamedTensors::default()).unwrap();
        let error = Model::load(&path, &Device::default()).unwrap_err().to_string();
        assert!(error.contains("m.safetensors") && error.contains(wanted), "{error}");
    }
}

/// Ranges of a layer.
fn ranges(layer: &str) -> Activations {
    let ranges = Ranges { input: [0.0, 6.5], output: [-0.1, 1.0 / 3.0] };
    let layers = [(layer.to_owned(), ranges)].into();
    let (bits, method) = (Activations::BITS, RangeMethod::Mse);
    Activations { bits, method, utterances: 64, layers }
}

#[test]
fn ranges_of_activations_are_kept_and_belong_to_convolutions() {
    const NAME: &str = "layer3.0.conv1.weight";
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.safetensors");
    let mut model = small();
    let mut load = |activations: Activations| -> Result<Model, String> {
        model.header.activations = Some(activations);
        model.save(&path, NamedTensors::default()).unwrap();
        let found = Model::load(&path, &Device::default()).map_err(|e| e.to_string())?;
        assert_eq!(found.header, model.header);
        assert_eq!(read_header(&path).unwrap(), model.header);
        Ok(found)
    };
    let good = || ranges(NAME);
    assert_eq!(load(good()).unwrap().with_f32_activations().header, small().header);
    type Change<'a> = &'a dyn Fn(&mut Activations);
    let range = |a: &mut Activations, input| a.layers.get_mut(NAME).unwrap().input = input;
    let changes: [(Change, &str); 7] = [
        (&|a| a.bits = 4, "4 bits"),
        (&|a| a.layers.clear(), "no layer"),
        (&|a| range(a, [0.5, 1.0]), "`layer3.0.conv1.weight` have the input range [0.5, 1.0]"),
        (&|a| range(a, [1.0, -1.0]), "input range [1.0, -1.0]"),
        (&|a| *a = ranges("bn1.weight"), "`bn1.weight`, which is no weight of a convolution"),
        (&|a| *a = ranges("conv9.weight"), "`conv9.weight`, which is no weight of a convolution"),
        (&|a| *a = ranges("seg_1.weight"), "`seg_1.weight`, which is no weight of a convolution"),
    ];
    for (change, wanted) in changes {
        let mut activations = good();
        change(&mut activations);
        let error = load(activations).unwrap_err();
        assert!(error.contains("m.safetensors: ") && error.contains(wanted), "{error}");
    }
    let text = |from: &str, to: &str| {
        let mut header = small().header;
        header.activations = Some(good());
        let json = serde_json::to_string(&header).unwrap();
        assert!(json.contains(from), "{json}");
        let json = json.replace(from, to);
        std::fs::write(&path, small().tensors().to_safetensors(&path, KEY, json).unwrap()).unwrap();
        Model::load(&path, &Device::default()).unwrap_err().to_string()
    };
    for (from, to, wanted) in [
        // Beyond f32.
        ("6.5", "1e300", "input range [0.0, inf]"),
        ("6.5", "null", "damaged revox metadata"),
        ("[0.0,6.5]", "[0.0]", "damaged revox metadata"),
        ("\"mse\"", "\"entropy\"", "`entropy`"),
        ("\"utterances\":64", "\"utterances\":64,\"signed\":true", "`signed`"),
    ] {
        let error = text(from, to);
        assert!(error.contains("m.safetensors: ") && error.contains(wanted), "{error}");
    }
}

/// Ranges belong to weights. What changes these leaves them out.
#[test]
fn packing_leaves_ranges_out_and_changes_of_metadata_keep_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.safetensors");
    let mut model = small();
    model.header.activations = Some(ranges("layer3.0.conv1.weight"));
    let small_layers = SmallLayers::FewerBits;
    let config = QuantizeConfig { small_layers, ..QuantizeConfig::default() };
    let plan = uniform(&names_and_shapes(&model.network), &config).unwrap();
    let quantizer = Quantizer::new(plan, config);
    let attached = quantizer.attach(model.network.clone()).unwrap();
    let packed = Model::packed(&model.header, &attached, &quantizer, &Device::default()).unwrap();
    assert!(packed.header.activations.is_none() && !packed.header.quantization.is_empty());
    model.save(&path, NamedTensors::default()).unwrap();
    update_header(&path, &path, |header| header.scoring.threshold_eer = Some(0.5)).unwrap();
    assert_eq!(read_header(&path).unwrap().activations, model.header.activations);
}

/// A file of a header and eight bytes of values.
fn headed(header: &str) -> Vec<u8> {
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], header.as_bytes(), &[0; 8]].concat()
}

#[test]
fn cut_and_hostile_files_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.safetensors");
    small().save(&path, NamedTensors::default()).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let fails = |content: &[u8]| {
        std::fs::write(&path, content).unwrap();
        let error = Model::load(&path, &Device::default()).unwrap_err().to_string();
        assert!(error.contains("m.safetensors"), "{error}");
        error
    };
    for cut in [0, 7, 8, 100, bytes.len() / 2, bytes.len() - 1] {
        fails(&bytes[..cut]);
    }
    // A header length, tensor sizes and offsets beyond the file's end.
    let mut long = bytes.clone();
    long[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    fails(&long);
    for header in [
        r#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}"#,
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#,
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,80000000000]}}"#,
        r#"{"__metadata__":{"revox":"{}"}}"#,
        "[[[[[[",
    ] {
        fails(&headed(header));
    }
    // A network beyond all bounds.
    let mut wide = serde_json::to_value(small().header).unwrap();
    wide["arch"]["width"] = 99_999_999_999u64.into();
    let tensor = json!({"dtype": "F32", "shape": [2], "data_offsets": [0, 8]});
    let header = json!({"__metadata__": {KEY: wide.to_string()}, "a": tensor});
    let error = fails(&headed(&header.to_string()));
    assert!(error.contains("width = 99999999999"), "{error}");
    // Bytes of the header damaged one at a time, without a checksum to tell: an error or a model,
    // never a panic.
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let entries = header.metadata().iter().flatten().filter(|(key, _)| *key == KEY);
    let entries = entries.map(|(key, value)| (key.clone(), value.clone())).collect();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let unchecked = safetensors::serialize(tensors.iter(), Some(entries)).unwrap();
    std::fs::write(&path, &unchecked).unwrap();
    Model::load(&path, &Device::default()).unwrap();
    let header_end = 8 + SafeTensors::read_metadata(&unchecked).unwrap().0;
    assert!(header_end > 1000, "{header_end} bytes of header");
    for i in (0..header_end).step_by(23) {
        let mut damaged = unchecked.clone();
        damaged[i] ^= 0x15;
        std::fs::write(&path, &damaged).unwrap();
        if let Err(error) = Model::load(&path, &Device::default()) {
            assert!(error.to_string().contains("m.safetensors"), "byte {i}: {error}");
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.safetensors");
    let weight = TensorData::new(vec![0.25f32; 2 * 8], [2, 8]);
    let head = NamedTensors(vec![(format!("{HEAD_PREFIX}weight"), weight)]);
    small().save(&path, head).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for (bit, damaged) in flipped(&bytes, 300) {
        std::fs::write(&path, &damaged).unwrap();
        let error = Model::load(&path, &Device::default()).unwrap_err().to_string();
        assert!(error.contains("m.safetensors: "), "bit {bit}: {error}");
        // The header and the head are read alone too.
        assert!(read_header(&path).is_err() && read_head(&path).is_err(), "bit {bit}");
    }
    std::fs::write(&path, &bytes).unwrap();
    assert!(
        Model::load(&path, &Device::default()).is_ok() && read_head(&path).unwrap().0.len() == 1
    );
}
