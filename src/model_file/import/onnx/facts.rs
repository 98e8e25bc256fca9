//! What an ONNX file says beside its graph's layers: mels, the mean of embeddings, and metadata as
//! sherpa-onnx reads it.

use std::path::Path;

use super::proto::{Model, Node};
use crate::error::{Error, Result};
use crate::model_file::Frontend;
use crate::zoo::Architecture;

/// What a file says.
#[derive(Debug, Default, PartialEq)]
pub(in crate::model_file::import) struct Facts {
    /// Values of a frame of the input, if the file fixes them.
    pub mels: Option<usize>,
    /// What is subtracted from every embedding, if that is more than zeros.
    pub mean: Option<Vec<f32>>,
    /// `sample_rate`.
    rate: Option<u32>,
    /// `output_dim`.
    dim: Option<usize>,
    /// `normalize_samples`, as full scale of the samples.
    scale: Option<f64>,
    /// `feature_normalize_type`, as whether each utterance's mean is subtracted.
    cmn: Option<bool>,
    /// What was used, as text.
    used: Vec<String>,
}

impl Facts {
    /// What this file says.
    ///
    /// # Errors
    /// Metadata that is no number where one is wanted; a mean that is not in the file.
    pub(super) fn of(model: &Model, content: &[u8]) -> Result<Self, String> {
        let mut facts = Self { mels: mels(model), mean: mean(model, content)?, ..Self::default() };
        for (key, value) in &model.properties {
            let bad = |wanted: &str| {
                format!("metadata `{key}` is `{value}`; {wanted}; set it right with Python's onnx")
            };
            let number = || value.parse::<u32>().map_err(|_| bad("a whole number is wanted"));
            match key.as_str() {
                "sample_rate" => facts.rate = Some(number()?),
                "output_dim" => facts.dim = Some(number()? as usize),
                "normalize_samples" => {
                    facts.scale = Some(if number()? == 0 { 32_768.0 } else { 1.0 });
                }
                "feature_normalize_type" => match value.as_str() {
                    "global-mean" => facts.cmn = Some(true),
                    "" => facts.cmn = Some(false),
                    _ => return Err(bad("revox subtracts the mean (`global-mean`) or nothing")),
                },
                _ => continue,
            }
            facts.used.push(format!("{key} = {value:?}"));
        }
        Ok(facts)
    }

    /// Makes the front-end the file's.
    pub fn apply(&self, frontend: &mut Frontend) {
        let fbank = &mut frontend.fbank;
        fbank.sample_rate = self.rate.unwrap_or(fbank.sample_rate);
        fbank.scale = self.scale.unwrap_or(fbank.scale);
        frontend.cmn = self.cmn.unwrap_or(frontend.cmn);
    }

    /// Compares what the file says of its embeddings and its audio with the network and the
    /// front-end found.
    ///
    /// # Errors
    /// They differ.
    pub fn agrees(&self, path: &Path, arch: &Architecture, frontend: &Frontend) -> Result<()> {
        let dim = arch.embedding_dim;
        let mean = self.mean.as_ref().map(Vec::len);
        let differs = |what: &str, found: usize, wanted: usize| {
            let message = format!("{what} {found}, and {wanted} were found; correct the file");
            Err(Error::file(path, message))
        };
        let rate = frontend.fbank.sample_rate;
        match (self.dim, mean, self.rate) {
            (Some(found), ..) if found != dim => differs("metadata `output_dim` says", found, dim),
            (_, Some(found), _) if found != dim => {
                differs("values subtracted from an embedding:", found, dim)
            }
            (.., Some(found)) if found != rate => {
                let (found, rate) = (found as usize, rate as usize);
                differs("metadata `sample_rate` says", found, rate)
            }
            _ => Ok(()),
        }
    }

    /// A note on the metadata that were used.
    pub fn note(&self) -> Option<String> {
        let used = self.used.join(", ");
        (!used.is_empty()).then(|| format!("the file says: {used}"))
    }
}

/// The last axis of the only input, `[batch, frames, mels]`.
fn mels(model: &Model) -> Option<usize> {
    let mut inputs = model.inputs.iter().filter(|(name, _)| !model.tensors.contains_key(name));
    match (inputs.next(), inputs.next()) {
        (Some((_, shape)), None) if shape.len() == 3 => {
            shape.last().copied().filter(|&mels| mels > 0)
        }
        _ => None,
    }
}

/// What the last node subtracts from the embedding.
fn mean(model: &Model, content: &[u8]) -> Result<Option<Vec<f32>>, String> {
    let Some(output) = model.outputs.last() else { return Ok(None) };
    let last = |node: &&Node| node.op == "Sub" && node.outputs.first() == Some(output);
    let Some(node) = model.nodes.iter().find(last) else { return Ok(None) };
    let name = node.inputs.get(1).map_or("", String::as_str);
    let tensor = model.tensors.get(name).ok_or_else(|| {
        let shown = node.shown();
        format!("{shown} subtracts `{name}`, which is no initialiser, from the embedding")
    })?;
    let values = super::values(content, name, tensor)?;
    match values.iter().all(|x| x.is_finite()) {
        true => Ok(Some(values).filter(|values| values.iter().any(|&x| x != 0.0))),
        false => Err(format!("initialiser `{name}` holds values that are not numbers")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(properties: &[(&str, &str)]) -> Result<Facts, String> {
        let text = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let properties = properties.iter().map(text).collect();
        Facts::of(&Model { properties, ..Model::default() }, &[])
    }

    #[test]
    fn metadata_of_sherpa_onnx_are_understood() {
        let facts = of(&[
            ("framework", "wespeaker"),
            ("sample_rate", "8000"),
            ("output_dim", "256"),
            ("normalize_samples", "1"),
            ("feature_normalize_type", ""),
        ])
        .unwrap();
        let mut frontend = Frontend::default();
        facts.apply(&mut frontend);
        let fbank = &frontend.fbank;
        assert_eq!((fbank.sample_rate, fbank.scale, frontend.cmn), (8000, 1.0, false));
        let (path, arch) = (Path::new("x.onnx"), Architecture::named("resnet34").unwrap());
        facts.agrees(path, &arch, &frontend).unwrap();
        assert!(facts.note().unwrap().contains("sample_rate = \"8000\""));
        let other = Architecture { embedding_dim: 192, ..arch.clone() };
        let error = facts.agrees(path, &other, &frontend).unwrap_err().to_string();
        assert!(error.contains("x.onnx") && error.contains("`output_dim` says 256"), "{error}");
        let error = facts.agrees(path, &arch, &Frontend::default()).unwrap_err().to_string();
        assert!(error.contains("`sample_rate` says 8000, and 16000"), "{error}");
        assert_eq!(of(&[("comment", "none")]).unwrap(), Facts::default());
        for (key, value) in [("sample_rate", "fast"), ("feature_normalize_type", "per_feature")] {
            let error = of(&[(key, value)]).unwrap_err();
            assert!(error.contains(key) && error.contains(value), "{error}");
        }
    }
}
