//! Embeddings of a cohort, and the mean that is subtracted from all.

use std::path::Path;

use crate::corpus::read_utt2spk;
use crate::error::{Error, Result};
use crate::scoring::Embeddings;

/// The cohort of a file; with a list of its utterances' speakers, one mean embedding a speaker.
///
/// # Errors
/// A file that cannot be read; an utterance without a speaker.
pub(super) fn load(path: &Path, speakers: Option<&Path>) -> Result<Embeddings> {
    let embeddings = Embeddings::load(path)?;
    let Some(list) = speakers else { return Ok(embeddings) };
    let speakers = read_utt2spk(list)?;
    embeddings
        .speaker_means(&|id| speakers.get(id).map(|s| s.0.clone()))
        .map_err(|e| Error::file(list, e.to_string()))
}

/// The mean embedding of a file, `[dim]`.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn mean(path: &Path) -> Result<Vec<f64>> {
    Ok(Embeddings::load(path)?.mean())
}
