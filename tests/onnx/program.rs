//! `revox export`.

use std::path::Path;
use std::process::{Command, Output};

use burn::tensor::Device;
use revox::model_file::{Header, Model, NamedTensors};
use serde_json::Value;

use crate::resnet18;

/// The model inside the program, with 4 bits a weight.
const PACKED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/default/model.safetensors");

fn export(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_revox"));
    command.arg("export").args(args).current_dir(folder).output().unwrap()
}

/// What is told with `--json`.
fn told(folder: &Path, args: &[&str]) -> Value {
    let done = export(folder, &[args, &["--json"]].concat());
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

/// Expects exit 1 with `wanted` on stderr and no file.
fn fails(folder: &Path, args: &[&str], wanted: &str) {
    let done = export(folder, &[args, &["-o", "none.onnx"]].concat());
    let words = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(1), "{args:?}: {words}");
    assert!(words.contains(wanted), "{args:?}: {words}");
    assert!(!folder.join("none.onnx").exists(), "{args:?}");
}

#[test]
fn files_are_run_before_they_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut sizes = Vec::new();
    for (weights, input) in [("codes", "features"), ("f32", "features"), ("f32", "waveform")] {
        let args = [PACKED, "--weights", weights, "--input", input, "-o", "a.onnx"];
        let told = told(dir.path(), &args);
        let most = if input == "features" { 1e-4 } else { 1e-3 };
        assert!(told["rten"].as_f64().is_some_and(|off| off <= most), "{told}");
        assert!(told["unchecked"].is_null(), "{told}");
        let name = if input == "features" { "feats" } else { input };
        assert!(told["tensors"][name].is_string() && told["tensors"]["embs"].is_string(), "{told}");
        let bytes = std::fs::metadata(dir.path().join("a.onnx")).unwrap().len();
        assert_eq!(told["bytes"], bytes, "{told}");
        sizes.push(bytes);
    }
    assert!(sizes[0] * 5 < sizes[1], "{sizes:?}");
    let done = export(dir.path(), &[PACKED, "-o", "-"]);
    let words = String::from_utf8_lossy(&done.stderr);
    assert!(words.contains("run by rten: embeddings apart by"), "{words}");
    assert!(words.contains("input `feats` [batch, frames, 40]: log mel"), "{words}");
    assert!(words.contains("output `embs` [batch, "), "{words}");
    assert_eq!(done.stdout.len() as u64, sizes[1]);
}

#[test]
fn integers_are_told_by_their_cosine() {
    let dir = tempfile::tempdir().unwrap();
    let model = crate::calibrated(&resnet18());
    model.save(dir.path().join("m.safetensors"), NamedTensors::default()).unwrap();
    let told = told(dir.path(), &["m.safetensors", "--weights", "int8", "-o", "a.onnx"]);
    assert!(told["rten_cosine"].as_f64().is_some_and(|cosine| cosine >= 0.99), "{told}");
    assert!(told["rten"].is_null() && told["unchecked"].is_null(), "{told}");
    // Without being asked for they stay out, which is said.
    let done = export(dir.path(), &["m.safetensors", "-o", "b.onnx"]);
    let words = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && words.contains("--weights int8"), "{words}");
}

/// An import makes the model again, but for what a file of ONNX does not hold.
#[test]
fn exported_files_come_back_and_are_described() {
    let dir = tempfile::tempdir().unwrap();
    let model = crate::calibrated(&resnet18());
    model.save(dir.path().join("m.safetensors"), NamedTensors::default()).unwrap();
    let revox = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_revox"));
        command.args(args).current_dir(dir.path()).output().unwrap()
    };
    told(dir.path(), &["m.safetensors", "-o", "a.onnx"]);
    let done = revox(&["import", "a.onnx", "-o", "b.safetensors", "--json"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    let notes = report["notes"].to_string();
    assert!(notes.contains("that the file says") && !notes.contains("WeSpeaker"), "{notes}");
    let read = |name: &str| Model::load(dir.path().join(name), &Device::default()).unwrap();
    let back = read("b.safetensors");
    let header = Header { activations: None, ..model.header.clone() };
    assert_eq!(back.header, header);
    // An export of it is the first one, but for the name of the file that it is of.
    told(dir.path(), &["b.safetensors", "-o", "b.onnx"]);
    let [first, second] = ["a.onnx", "b.onnx"].map(|name| {
        let done = revox(&["info", name, "--json", "--layers"]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let mut told: Value = serde_json::from_slice(&done.stdout).unwrap();
        assert!(told["metadata"]["source_sha256"].is_string(), "{told}");
        told["metadata"]["source_sha256"].take();
        told
    });
    assert_eq!(first, second);
    assert_eq!((&first["kind"], &first["opset"]), (&"onnx".into(), &13.into()));
    assert_eq!(first["metadata"]["revox"]["arch"]["name"], "resnet18");
    let words = String::from_utf8(revox(&["info", "a.onnx"]).stdout).unwrap();
    for wanted in ["feats [?, ?, 16]", "embs [?, 16]", "Conv", "of F32"] {
        assert!(words.contains(wanted), "{wanted}: {words}");
    }
    // Packed weights stay so.
    told(dir.path(), &[PACKED, "--weights", "codes", "-o", "d.onnx"]);
    let done = revox(&["import", "d.onnx", "-o", "d.safetensors"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    told(dir.path(), &["d.safetensors", "--weights", "codes", "-o", "e.onnx"]);
    let [first, second] = ["d.onnx", "e.onnx"].map(|name| {
        let bytes = std::fs::read(dir.path().join(name)).unwrap();
        (bytes.len(), read(if name == "d.onnx" { PACKED } else { "d.safetensors" }).header)
    });
    assert_eq!(first.0, second.0);
    assert_eq!(first.1.quantization, second.1.quantization);
    // Integers and samples are no models again.
    told(dir.path(), &["m.safetensors", "--weights", "int8", "-o", "c.onnx"]);
    let done = revox(&["import", "c.onnx", "-o", "c.safetensors"]);
    let words = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.code() == Some(1) && words.contains("computes in integers"), "{words}");
    assert!(!dir.path().join("c.safetensors").exists());
}

#[test]
fn what_cannot_be_exported_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    resnet18().save(dir.path().join("m.safetensors"), NamedTensors::default()).unwrap();
    std::fs::write(dir.path().join("text.safetensors"), "no model").unwrap();
    fails(dir.path(), &["m.safetensors", "--weights", "codes"], "m.safetensors: the model's");
    let command = "revox quantize --activations int8 --calibrate";
    fails(dir.path(), &["m.safetensors", "--weights", "int8"], command);
    fails(dir.path(), &["m.safetensors", "--for", "wespeaker"], "80 mels");
    fails(dir.path(), &["text.safetensors"], "text.safetensors");
    fails(dir.path(), &["missing.safetensors"], "missing.safetensors");
}

#[test]
fn a_model_is_not_replaced_by_its_export() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.safetensors");
    resnet18().save(&path, NamedTensors::default()).unwrap();
    let before = std::fs::read(&path).unwrap();
    for output in ["m.safetensors", "./m.safetensors"] {
        let done = export(dir.path(), &["m.safetensors", "-o", output]);
        let words = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{words}");
        assert!(words.contains("which would be lost"), "{words}");
    }
    assert!(std::fs::read(&path).unwrap() == before);
}

#[test]
fn models_are_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    resnet18().save(dir.path().join("m.safetensors"), NamedTensors::default()).unwrap();
    let told = told(dir.path(), &["m.safetensors", "-o", "n.safetensors"]);
    let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    assert_eq!(told["bytes"], read("n.safetensors").len());
    assert!(read("m.safetensors") == read("n.safetensors"));
    let args = ["m.safetensors", "--input", "waveform", "-o", "x.safetensors"];
    let done = export(dir.path(), &args);
    let words = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.code() == Some(2) && words.contains("about ONNX files"), "{words}");
    assert!(!dir.path().join("x.safetensors").exists());
}
