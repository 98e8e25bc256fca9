//! What `revox info` tells of PLDA models.

use std::path::Path;

use serde_json::{Value, json};

use super::data::Described;
use super::length;
use crate::bytes::counted;
use crate::error::Result;
use crate::scoring::{Link, Plda, PldaForm};

/// The description of a model in a file of this form.
///
/// # Errors
/// Those of [`Plda::load`].
pub(super) fn described(path: &Path, form: PldaForm) -> Result<Described> {
    let (plda, bytes) = (Plda::load(path)?, length(path)?);
    let (what, name) = match form {
        PldaForm::Tensors => ("a PLDA model in a safetensors file", "safetensors"),
        PldaForm::Kaldi => ("a PLDA model in Kaldi's form", "kaldi"),
        PldaForm::Hdf5 => ("a PLDA model in WeSpeaker's form (HDF5)", "hdf5"),
    };
    let steps: Vec<String> = plda.chain().links().iter().map(step).collect();
    let lda = plda.chain().links().iter().find_map(|link| match link {
        Link::Lda(lda) => Some(lda.dims()),
        Link::Mean(_) | Link::LengthNorm => None,
    });
    let trace = |matrix: Vec<f64>| matrix.iter().step_by(plda.dim() + 1).sum::<f64>();
    let (within, between) = (trace(plda.within()), trace(plda.between()));
    let needs = needs(&plda, form);
    let mut rows = vec![
        ("what", what.to_owned()),
        ("values", counted(plda.dim(), "value")),
        ("file", format!("{bytes} bytes")),
    ];
    rows.extend(steps.iter().map(|step| ("first", step.clone())));
    if plda.length_norm() {
        rows.push(("lengths", "made equal, before the transform and after it".to_owned()));
    }
    rows.push(("variance", format!("within speakers {within:.3}, between them {between:.3}")));
    rows.extend(needs.iter().map(|what| ("needs", what.clone())));
    let json: Value = json!({
        "kind": "plda",
        "form": name,
        "bytes": bytes,
        "dim": plda.dim(),
        "input_dim": plda.input_dim(),
        "lda": lda,
        "steps": steps,
        "length_norm": plda.length_norm(),
        "subtracts_mean": plda.has_mean(),
        "lacks_mean": plda.lacks_mean(),
        "trace_within": within,
        "trace_between": between,
        "needs": needs,
    });
    Ok((rows, json))
}

/// A step in words.
fn step(link: &Link) -> String {
    match link {
        Link::Mean(mean) => format!("a mean of {} is subtracted", counted(mean.len(), "value")),
        Link::LengthNorm => "lengths become 1".to_owned(),
        Link::Lda(lda) => {
            let [input, output] = lda.dims();
            format!("LDA from {input} to {}", counted(output, "value"))
        }
    }
}

/// What scoring by the model asks for.
fn needs(plda: &Plda, form: PldaForm) -> Vec<String> {
    let mut all = vec![format!("embeddings of {}", counted(plda.input_dim(), "value"))];
    if plda.lacks_mean() {
        all.push("a mean, which the file does not hold (`score --mean`)".to_owned());
    }
    if form == PldaForm::Kaldi {
        let what = "embeddings that its recipe has prepared (mean, LDA, length): Kaldi's form does \
                    not say how";
        all.push(what.to_owned());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kaldi's text of a model of two values.
    const TEXT: &str = "<Plda>  [ 0.5 1 ]\n [\n  1 0\n  0 2 ]\n [ 3 1 ]\n</Plda>";

    #[test]
    fn a_model_in_kaldis_form_is_described() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plda");
        std::fs::write(&path, TEXT).unwrap();
        assert_eq!(PldaForm::of_content(TEXT.as_bytes()), Some(PldaForm::Kaldi));
        let (rows, json) = described(&path, PldaForm::Kaldi).unwrap();
        assert_eq!((&json["dim"], &json["lda"]), (&2.into(), &Value::Null));
        // The transform makes the covariance within speakers 1, so it is 1 and a quarter.
        assert_eq!(json["trace_within"], 1.25);
        assert_eq!(json["trace_between"], 3.25);
        let needs: Vec<&String> =
            rows.iter().filter(|(name, _)| *name == "needs").map(|(_, text)| text).collect();
        assert_eq!(needs[0], "embeddings of 2 values");
        assert!(needs[1].contains("does not say how"), "{needs:?}");
    }
}
