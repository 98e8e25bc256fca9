use std::collections::HashMap;

use safetensors::tensor::SafeTensors;

use super::*;
use crate::audio::FbankConfig;
use crate::model_file::{Frontend, NamedThreshold, stored_graph};
use crate::scoring::{Calibration, Fitted, parse_columns};
use crate::tensor_file::Contents;
use crate::zoo::Architecture;

fn header() -> Header {
    let arch = Architecture {
        width: 2,
        mels: 16,
        embedding_dim: 8,
        ..Architecture::named("resnet10").unwrap()
    };
    let fbank = FbankConfig { mels: 16, ..FbankConfig::default() };
    Header::new(arch, Frontend { fbank, cmn: true })
}

/// A file with tensors of several formats, and what it says of itself.
fn file(metadata: Option<String>) -> Vec<u8> {
    let bytes: Vec<u8> = (0..16).map(|i| i * 16 + 3).collect();
    let parts = [
        ("conv1.weight", Dtype::F32, vec![2], &bytes[..8]),
        ("conv2.weight.codes", Dtype::U8, vec![3], &bytes[8..11]),
        ("projection.weight", Dtype::F32, vec![1, 1], &bytes[12..16]),
        ("bn1.num_batches_tracked", Dtype::I64, vec![], &bytes[4..12]),
    ]
    .map(|(name, dtype, shape, bytes)| Part {
        name: name.into(),
        dtype,
        shape,
        bytes: bytes.into(),
    });
    let entry = metadata.as_ref().map(|json| (KEY, json.as_str()));
    tensor_file::to_bytes("m".as_ref(), entry.as_slice(), &parts).unwrap()
}

/// The bytes behind the header.
fn tensors(bytes: &[u8]) -> &[u8] {
    &bytes[8 + SafeTensors::read_metadata(bytes).unwrap().0..]
}

#[test]
fn thresholds_change_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (path, copy) = (dir.path().join("m.safetensors"), dir.path().join("copy.safetensors"));
    let old = header();
    let before = file(Some(serde_json::to_string(&old).unwrap()));
    std::fs::write(&path, &before).unwrap();
    let scores = (0..100).map(|i| (f64::from(i) / 100.0, i >= 40));
    let curve = Curve::new(scores.chain([(0.85, false)])).unwrap();
    update_header(&path, &copy, |header| header.scoring.set_thresholds(&curve)).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let after = std::fs::read(&copy).unwrap();
    assert_eq!(tensors(&after), tensors(&before));
    let new = read_header(&copy).unwrap();
    // JSON may cost the last bit.
    assert!((new.scoring.threshold_eer.unwrap() - curve.eer().threshold).abs() < 1e-15);
    let fars: Vec<f64> = new.scoring.thresholds.iter().map(|t| t.0).collect();
    assert_eq!(fars, MODEL_FALSE_ACCEPT_RATES);
    assert_eq!(Header { scoring: old.scoring.clone(), ..new }, old);
    // Changed back in place, the file is the same, including its checksum.
    update_header(&copy, &copy, |header| header.scoring = old.scoring.clone()).unwrap();
    assert_eq!(std::fs::read(&copy).unwrap(), before);
}

#[test]
fn files_of_older_versions_get_their_networks_graph_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (path, copy) = (dir.path().join("m.safetensors"), dir.path().join("copy.safetensors"));
    std::fs::write(&path, file(Some(serde_json::to_string(&header()).unwrap()))).unwrap();
    write_anew(&path, &copy).unwrap();
    let [old, new] = [&path, &copy].map(|path| open(path).unwrap());
    assert_eq!(new.metadata, old.metadata);
    assert_eq!(new.tensors().len(), old.tensors().len() + 1);
    for (name, tensor) in old.tensors().iter() {
        assert_eq!(new.tensors().tensor(name).unwrap(), tensor, "{name}");
    }
    let stored = |file: &Contents| stored_graph(&copy, file).unwrap();
    assert_eq!(stored(&old), None);
    assert_eq!(stored(&new).unwrap(), header().arch.stored_graph().unwrap());
    // What has one gets the same again, and changes of metadata keep it.
    let before = std::fs::read(&copy).unwrap();
    write_anew(&copy, &copy).unwrap();
    assert_eq!(std::fs::read(&copy).unwrap(), before);
    update_header(&copy, &copy, |header| header.scoring.threshold_eer = Some(0.5)).unwrap();
    assert_eq!(stored(&open(&copy).unwrap()), stored(&new));
}

#[test]
fn other_metadata_stays_and_a_checksum_comes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.safetensors");
    let json = serde_json::to_string(&header()).unwrap();
    let entries = [(KEY, json.as_str()), ("license", "MIT"), ("a", "\u{fc}\"")];
    let metadata = HashMap::from(entries.map(|(key, value)| (key.to_owned(), value.to_owned())));
    // As another program would write it.
    let plain = file(None);
    let tensors = SafeTensors::deserialize(&plain).unwrap();
    std::fs::write(&path, safetensors::serialize(tensors.iter(), Some(metadata.clone())).unwrap())
        .unwrap();
    assert!(!open(&path).unwrap().has_checksum());
    update_header(&path, &path, |header| header.scoring.threshold_eer = Some(0.5)).unwrap();
    let after = open(&path).unwrap();
    assert!(after.has_checksum() && after.metadata.len() == 3);
    assert!(after.metadata.iter().all(|(key, value)| key == KEY || metadata[key] == *value));
    assert_eq!(header_of(&path, &after.metadata).unwrap().scoring.threshold_eer, Some(0.5));
    for (name, tensor) in tensors.iter() {
        assert_eq!(after.tensors().tensor(name).unwrap(), tensor, "{name}");
    }
}

#[test]
fn what_is_stored_is_finite() {
    let mut scoring = Scoring::default();
    let all_equal = [(f64::NEG_INFINITY, true), (f64::NEG_INFINITY, false)];
    scoring.set_thresholds(&Curve::new(all_equal).unwrap());
    assert_eq!(scoring, Scoring::default());
    scoring.set_thresholds(&Curve::new([(f64::INFINITY, true), (0.5, false)]).unwrap());
    assert!(scoring.threshold_eer.is_some_and(|t| t > 0.5 && t.is_finite()));
    assert!(
        scoring.thresholds.len() == 4
            && scoring.thresholds.iter().all(|t| t.1 > 0.5 && t.1.is_finite())
    );
}

#[test]
fn calibrations_and_named_thresholds_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.safetensors");
    std::fs::write(&path, file(Some(serde_json::to_string(&header()).unwrap()))).unwrap();
    let mut wanted = Scoring {
        calibration: Some(Calibration {
            columns: parse_columns("ratio-norm").unwrap(),
            weights: vec![12.5, -0.25],
            bias: -1.75,
            fitted: Fitted { prior: 0.25, seconds: Some([0.5, 8.0]), ..Fitted::default() },
        }),
        ..Scoring::default()
    };
    let strict = NamedThreshold { false_accept_rate: 0.125, threshold: 0.75 };
    wanted.named_thresholds.insert("strict".into(), strict);
    update_header(&path, &path, |header| header.scoring = wanted.clone()).unwrap();
    assert_eq!(read_header(&path).unwrap().scoring, wanted);
    let before = std::fs::read(&path).unwrap();
    let fails = |change: &dyn Fn(&mut Scoring), text: &str| {
        let error = update_header(&path, &path, |h| change(&mut h.scoring)).unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    };
    let named = |name: &str, false_accept_rate: f64, threshold: f64| {
        let (name, named) = (name.to_owned(), NamedThreshold { false_accept_rate, threshold });
        move |scoring: &mut Scoring| {
            scoring.named_thresholds.insert(name.clone(), named);
        }
    };
    fails(&named(" ", 0.5, 0.5), "a threshold has no name");
    fails(&named("x", 1.5, 0.5), "threshold `x` is 0.5 at false-accept rate 1.5");
    fails(&named("x", 0.5, f64::INFINITY), "threshold `x` is inf");
    let weigh = |scoring: &mut Scoring| {
        scoring.calibration.iter_mut().for_each(|c| c.weights[0] = f64::NAN);
    };
    fails(&weigh, "a weight is not finite");
}

#[test]
fn only_models_are_changed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.safetensors");
    let fails = |content: &[u8], change: &dyn Fn(&mut Header), wanted: &str| {
        std::fs::write(&path, content).unwrap();
        let error = update_header(&path, &path, change).unwrap_err().to_string();
        assert!(error.contains("m.safetensors") && error.contains(wanted), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), content);
    };
    let good = file(Some(serde_json::to_string(&header()).unwrap()));
    fails(&file(None), &|_| (), "without revox metadata");
    fails(&file(Some("{}".into())), &|_| (), "damaged revox metadata");
    fails(b"a b 0.5 target\n", &|_| (), "not a readable safetensors file");
    fails(&good[..good.len() - 1], &|_| (), "not a readable safetensors file");
    let mut damaged = good.clone();
    *damaged.last_mut().unwrap() ^= 4;
    fails(&damaged, &|_| (), "is damaged");
    fails(&good, &|header| header.scoring.embedding_mean = Some(vec![0.0; 7]), "7 values");
}
