//! The model of a verb: that of a file, or the one inside the program.

use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;

use burn::tensor::Device;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::fs;
use crate::model_card::{DEFAULT, DefaultCard, Tested, default_model};
use crate::model_file::{FileKind, Model, Scoring};
use crate::terminal::note;

/// Endings of models: ours, and those of others, which are refused with the way to import them.
const ENDINGS: [&str; 5] = ["safetensors", "onnx", "pt", "pth", "ckpt"];

/// Whether a file is a model rather than a recording: by its name, and whatever its name by its
/// beginning, which is a length within the file and `{`. A pipe can be read only once, so its name
/// decides.
pub(super) fn is_model(path: &Path) -> bool {
    let is_named = |e: &OsStr| ENDINGS.iter().any(|ending| e.eq_ignore_ascii_case(ending));
    let named = path.extension().is_some_and(is_named);
    named || path.is_file() && begins_like_a_model(path).unwrap_or(false)
}

/// Refuses an output that would replace something else than a model: somebody's list, a recording,
/// embeddings.
///
/// # Errors
/// A file with content that is no model; one that cannot be read.
pub(super) fn check_replaced(output: &Path) -> Result<()> {
    let has_content = std::fs::metadata(output).is_ok_and(|m| m.is_file() && m.len() > 0);
    match !has_content || holds_model(output)? {
        true => Ok(()),
        false => Err(Error::file(
            output,
            "is there already and is no model, so it is not replaced; name another output",
        )),
    }
}

/// Whether a file holds a network's model, as its header says. Nothing else of it is looked at.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn holds_model(path: &Path) -> Result<bool> {
    Ok(begins_like_a_model(path)? && FileKind::of(&fs::map(path)?) == Some(FileKind::Model))
}

fn begins_like_a_model(path: &Path) -> Result<bool> {
    let mut file = fs::open(path)?;
    let bytes = file.metadata().map_or(0, |m| m.len());
    let (mut length, mut brace) = ([0; 8], [0]);
    let read = file.read_exact(&mut length).and_then(|()| file.read_exact(&mut brace));
    Ok(read.is_ok() && brace == *b"{" && u64::from_le_bytes(length) <= bytes)
}

/// The model of a file; without one, the model inside the program, with a note that says so.
///
/// # Errors
/// Those of [`Model::load`].
pub(super) fn load(path: Option<&Path>, device: &Device) -> Result<Model> {
    if let Some(path) = path {
        return Model::load(path, device);
    }
    let model = default_model(device)?;
    let card = DefaultCard::get();
    let rates = card
        .tested
        .iter()
        .map(|Tested { list, eer_percent, .. }| format!("EER {eer_percent:.2} % on {list}"));
    let rates = rates.collect::<Vec<_>>().join(", ");
    note!("the model is the one inside the program: {}; {rates}", card.title);
    let Scoring { thresholds, threshold_eer, .. } = &model.header.scoring;
    let equal = threshold_eer.map(|t| format!("threshold {t:.4} at equal error rate"));
    let at = |(far, t): &(f64, f64)| format!("{t:.4} at {} % false accepts", 100.0 * far);
    let all: Vec<String> = equal.into_iter().chain(thresholds.iter().map(at)).collect();
    note!("{}. {}", all.join(", "), card.thresholds);
    note!("{} `revox zoo --details {DEFAULT}` tells more", card.limits);
    Ok(model)
}

/// What the verbs' JSON says of the model inside the program: its rates, 0 to 1, by list of trials,
/// and its thresholds, each with its false-accept rate. Null where a file was named.
pub(super) fn json(path: Option<&Path>, model: &Model) -> Value {
    if path.is_some() {
        return Value::Null;
    }
    let card = DefaultCard::get();
    let rate = |tested: &Tested| (tested.list.clone(), json!(tested.eer_percent / 100.0));
    let Scoring { thresholds, threshold_eer, .. } = &model.header.scoring;
    let at = |&(far, t): &(f64, f64)| json!({"far": far, "threshold": t});
    json!({
        "title": card.title,
        "limits": card.limits,
        "sha256": card.sha256,
        "eer": card.tested.iter().map(rate).collect::<serde_json::Map<_, _>>(),
        "threshold_eer": threshold_eer,
        "thresholds": thresholds.iter().map(at).collect::<Vec<_>>(),
        "thresholds_are": card.thresholds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model_file::SHIPPED;

    #[test]
    fn models_are_told_from_recordings() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let model = [&2u64.to_le_bytes()[..], b"{}"].concat();
        assert!(is_model(&write("model", &model)) && is_model(&write("model.wav", &model)));
        assert!(is_model(Path::new("x.onnx")) && is_model(Path::new("x.pt")));
        assert!(is_model(Path::new("none.SafeTensors")) && !is_model(Path::new("none.wav")));
        assert!(!is_model(dir.path()));
        assert!(check_replaced(&write("other", SHIPPED)).is_ok());
        let error = check_replaced(&write("no header", &model)).unwrap_err().to_string();
        assert!(error.contains("is no model, so it is not replaced"), "{error}");
        assert!(check_replaced(&dir.path().join("new")).is_ok());
        for (name, bytes) in [
            ("a.wav", &b"RIFF\x24\0\0\0WAVEfmt "[..]),
            ("a.flac", b"fLaC\0\0\0\x22{\x10\0\0"),
            ("short", b"{}"),
            ("empty", b""),
            ("text", b"this is no model{}"),
        ] {
            let path = write(name, bytes);
            assert!(!is_model(&path), "{name}");
            assert_eq!(check_replaced(&path).is_ok(), bytes.is_empty(), "{name}");
        }
    }
}
