//! What the verbs of a store of voices share: the store's model, recordings that are heard, and
//! verdicts in words.

mod heard;
mod said;

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use burn::tensor::Device;
use serde_json::Value;
use sha2::{Digest, Sha256};

pub(super) use self::heard::Heard;
pub(super) use self::said::{numbers, numbers_json};
use super::chosen;
use super::decision::{Decider, Verdict, Wanted};
use crate::bytes;
use crate::error::{Error, Result};
use crate::inference::Embedder;
use crate::model_file::Model;
use crate::scoring::{Evidence, Found, Store, StoreModel, VoiceIndex};

/// How to get a decision from a model that holds nothing to decide by.
pub(super) const HINT: &str = "scores alone decide nothing: give --threshold, or store one in the \
                               model with `revox calibrate`";

/// The store at a path, if a file with content is there.
///
/// # Errors
/// Those of [`Store::open`].
pub(super) fn existing(path: &Path) -> Result<Option<Store>> {
    let is_there = || std::fs::metadata(path).is_ok_and(|m| m.is_dir() || m.len() > 0);
    if !is_there() {
        return Ok(None);
    }
    match Store::open(path) {
        // A process was killed while it made the file. Opening has taken back what it wrote.
        Err(_) if !is_there() => Ok(None),
        opened => opened.map(Some),
    }
}

/// A time, by its seconds since the beginning of 1970: `2026-03-01T12:00:00Z`.
pub(super) fn date(seconds: u64) -> String {
    /// The end of the year 9999. RFC 3339 has no longer years.
    const LAST: u64 = 253_402_300_799;
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds.min(LAST)))
        .to_string()
}

/// The model of a store, which hears recordings.
pub(super) struct Listener {
    /// Its file; none for the model inside the program.
    file: Option<PathBuf>,
    pub model: Model,
    pub identity: StoreModel,
    device: Device,
}

impl Listener {
    /// The model in the file `named`, or that of the last enrolment, or the one inside the program.
    ///
    /// # Errors
    /// Those of [`Model::load`]; another model than that of the store.
    pub fn of(store: Option<&Store>, named: Option<&Path>, device: Device) -> Result<Self> {
        let remembered = match (named, store) {
            (None, Some(store)) => store.model_path()?.map(PathBuf::from),
            _ => None,
        };
        let hint = match &remembered {
            Some(_) => "the last enrolment had its model there; name the model with --model",
            None => "name the store's model with --model",
        };
        let file = named.map(Path::to_owned).or(remembered.clone());
        let loaded = chosen::load(file.as_deref(), &device);
        let model = loaded.map_err(|e| if remembered.is_some() { e.and(hint) } else { e })?;
        let identity = identity(&model);
        if let Some(store) = store {
            store.check_model(&identity).map_err(|e| e.and(hint))?;
        }
        Ok(Self { file, model, identity, device })
    }

    /// The file's whole path, to be remembered.
    ///
    /// # Errors
    /// The current folder is not known.
    pub fn path(&self) -> Result<Option<String>> {
        let whole = |file: &PathBuf| -> Result<String> {
            let path = std::path::absolute(file).map_err(|e| Error::io(file, "open", e))?;
            Ok(super::shown(&path))
        };
        self.file.as_ref().map(whole).transpose()
    }

    /// What decides, as the user wants it.
    ///
    /// # Errors
    /// Those of [`Wanted::decider`].
    pub fn decider(&self, wanted: &Wanted) -> Result<Decider<'_>> {
        wanted.decider(self.file.as_deref(), &self.model.header.scoring)
    }

    /// The mean that is subtracted from embeddings, `[dim]`.
    pub fn mean(&self) -> Option<&[f32]> {
        self.model.header.scoring.embedding_mean.as_deref()
    }

    /// The same in f64.
    pub fn wide_mean(&self) -> Option<Vec<f64>> {
        self.mean().map(|mean| mean.iter().map(|&x| f64::from(x)).collect())
    }

    /// What JSON says of the model inside the program; null if a file was named.
    pub fn json(&self) -> Value {
        chosen::json(self.file.as_deref(), &self.model)
    }

    /// Hears recordings.
    ///
    /// # Errors
    /// A file that cannot be read; silence, or too little speech (see [`Heard::of`]).
    pub fn hear(&self, files: &[PathBuf], channel: Option<usize>) -> Result<Vec<Heard>> {
        let mut all = Vec::with_capacity(files.len());
        self.hear_each(files, channel, &mut |_, heard| {
            all.push(heard?);
            Ok(())
        })?;
        Ok(all)
    }

    /// Hears recordings one by one: `each` gets every file with what was heard in it, or why
    /// nothing was. It ends the work by returning an error.
    ///
    /// # Errors
    /// Those of [`Embedder::of`] and of `each`.
    pub fn hear_each(
        &self,
        files: &[PathBuf],
        channel: Option<usize>,
        each: &mut dyn FnMut(&Path, Result<Heard>) -> Result<()>,
    ) -> Result<()> {
        let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        let embedder = Embedder::of(&self.model, &self.device)?.channel(channel);
        embedder.files(&paths, &mut |i, result| {
            let heard = result.and_then(|(facts, embedding)| Heard::of(paths[i], facts, embedding));
            each(paths[i], heard)
        })
    }

    /// The verdict on a recording and the voice at a place, with this score.
    ///
    /// # Errors
    /// Those of [`Decider::decide`].
    pub fn verdict(
        &self,
        decider: &Decider,
        index: &VoiceIndex,
        found: &Found,
        heard: &Heard,
    ) -> Result<Verdict> {
        let mean = self.wide_mean();
        let norm = |embedding: &[f32]| Some(Evidence::norm_of(embedding, mean.as_deref()));
        let voice = Evidence {
            seconds: Some(index.seconds(found.place)),
            norm: norm(index.embedding(found.place)),
            cohort: None,
        };
        let test = Evidence {
            seconds: Some(heard.facts.quality.speech_seconds),
            norm: norm(&heard.embedding),
            cohort: None,
        };
        let name = format!("the voice `{}`", index.name(found.place));
        decider.decide(found.score, [(name.as_str(), &voice), ("the recording", &test)])
    }
}

/// What a store says of a model. The hash is the SHA-256 of the weights with their names and
/// shapes, of the front-end, and of the ranges of 8-bit activations, if there are any. A training
/// head and what the header says of scores do not count: embeddings do not depend on them.
fn identity(model: &Model) -> StoreModel {
    let header = &model.header;
    let frontend = serde_json::to_string(&header.frontend).expect("settings are plain data");
    let activations = header.activations.as_ref().map(|activations| {
        serde_json::to_string(activations).expect("ranges of activations are plain data")
    });
    let mut hash = Sha256::new();
    // With lengths, so that no two contents are one text.
    let mut feed = |part: &[u8]| {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    };
    feed(header.arch.name.as_bytes());
    feed(frontend.as_bytes());
    feed(activations.unwrap_or_default().as_bytes());
    let mut tensors = model.tensors().0;
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, data) in &tensors {
        feed(name.as_bytes());
        feed(format!("{:?}", data.shape().to_vec()).as_bytes());
        match data.as_slice::<f32>() {
            Ok(values) => feed(&bytes::from_f32(values)),
            Err(_) => feed(data.as_bytes()),
        }
    }
    StoreModel {
        hash: bytes::hex(hash),
        arch: header.arch.name.clone(),
        frontend,
        dim: header.embedding_dim,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::FbankConfig;
    use crate::backend::BackendKind;
    use crate::model_file::{Frontend, Header};
    use crate::zoo::Architecture;

    fn model(seed: u64) -> Model {
        let arch = Architecture {
            width: 2,
            mels: 40,
            embedding_dim: 16,
            ..Architecture::named("resnet10").unwrap()
        };
        let network = arch.init(&BackendKind::Flex.device(0).unwrap(), seed).unwrap();
        let fbank = FbankConfig { mels: 40, ..Default::default() };
        Model { header: Header::new(arch, Frontend { fbank, cmn: true }), network }
    }

    #[test]
    fn a_model_is_its_weights_and_its_front_end() {
        let own = identity(&model(1));
        assert_eq!((own.hash.len(), own.dim, own.arch.as_str()), (64, 16, "resnet10"));
        let mut scored = model(1);
        scored.header.scoring.threshold_eer = Some(0.25);
        scored.header.scoring.embedding_mean = Some(vec![0.5; 16]);
        assert_eq!(identity(&scored), own);
        assert_ne!(identity(&model(2)).hash, own.hash);
        let mut other = model(1);
        other.header.frontend.cmn = false;
        assert_ne!(identity(&other).hash, own.hash);
    }

    #[test]
    fn a_model_that_was_saved_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.safetensors");
        model(1).save(&path, Default::default()).unwrap();
        let device = BackendKind::Flex.device(0).unwrap();
        assert_eq!(identity(&Model::load(&path, &device).unwrap()), identity(&model(1)));
    }

    #[test]
    fn dates_are_dates() {
        assert_eq!(date(0), "1970-01-01T00:00:00Z");
        assert_eq!(date(u64::MAX), "9999-12-31T23:59:59Z");
    }
}
