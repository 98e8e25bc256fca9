//! What is in the folder of a run: whether it may be written into, and which run it is of.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::Recipe;
use super::checkpoint::State;
use super::strategy::METRICS;
use crate::corpus::Corpus;
use crate::error::{Error, Result};
use crate::fs;

/// The recipe as it was run.
pub(super) const LOCK: &str = "recipe.lock.toml";

/// A folder that holds another run is not written into.
pub(super) fn check_folder(out: &Path, resume: bool, checkpoint: &Path) -> Result<()> {
    if out.exists() && !out.is_dir() {
        return Err(Error::file(out, "is a file, not a folder for a run"));
    }
    // A run that failed before its first checkpoint leaves its recipe and perhaps an empty log.
    // There is nothing to lose.
    let harmless = |e: &std::fs::DirEntry| {
        let empty_log = e.file_name() == METRICS && e.metadata().is_ok_and(|m| m.len() == 0);
        e.file_name() == LOCK || empty_log
    };
    let mut occupied = false;
    if out.is_dir() {
        for entry in std::fs::read_dir(out).map_err(|e| Error::io(out, "read", e))? {
            occupied |= !harmless(&entry.map_err(|e| Error::io(out, "read", e))?);
        }
    }
    match (resume, occupied, checkpoint.exists()) {
        (false, true, _) => Err(Error::file(out, "holds another run; go on with it (--resume) or name another folder")),
        (true, _, false) => Err(Error::file(checkpoint, "no checkpoint to resume from")),
        _ => Ok(()),
    }
}

/// The recipe without what does not change the result.
pub(super) fn identity(recipe: &Recipe) -> String {
    let mut same = recipe.clone();
    (same.data.threads, same.data.cache_mib, same.train.execution) = (1, 0, None);
    same.to_toml()
}

/// SHA-256 over the lists and the sizes of the files they name.
pub(super) fn hash_data(corpora: &[&Corpus], trials: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    for corpus in corpora {
        for u in &corpus.utterances {
            let size = std::fs::metadata(&u.path).map_err(|e| Error::io(&u.path, "read", e))?.len();
            hash.update(format!("{} {} {} {size}\n", u.id, u.listed, corpus.speakers[u.speaker]));
        }
    }
    hash.update(fs::read(trials)?);
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

/// Drops what an interrupted epoch, about to be repeated, has logged.
pub(super) fn trim_metrics(path: &Path, epoch: usize) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let text = fs::read_to_string(path)?;
    let keep = |line: &&str| {
        serde_json::from_str::<serde_json::Value>(line)
            .is_ok_and(|v| v["epoch"].as_u64().is_some_and(|e| e < epoch as u64))
    };
    let kept: String = text.lines().filter(keep).map(|l| format!("{l}\n")).collect();
    fs::write_bytes(path, kept.as_bytes())
}

/// A checkpoint's place in the training has to be one.
pub(super) fn check_position(path: &Path, state: &State, epochs: usize, steps: usize) -> Result<()> {
    let State { epoch, batch, .. } = *state;
    match (1..=epochs + 1).contains(&epoch) && batch <= steps {
        true => Ok(()),
        false => Err(Error::file(
            path,
            format!("is damaged: epoch {epoch} of {epochs}, batch {batch} of {steps}; begin again in another folder"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_beyond_the_training_is_damage() {
        let check = |epoch, batch| {
            let state = State { epoch, batch, ..State::start(String::new(), String::new()) };
            check_position("c.safetensors".as_ref(), &state, 3, 10)
        };
        for (epoch, batch) in [(1, 0), (3, 10), (4, 0)] {
            check(epoch, batch).unwrap();
        }
        for (epoch, batch) in [(0, 0), (5, 0), (usize::MAX, 0), (2, 11)] {
            let error = check(epoch, batch).unwrap_err().to_string();
            assert!(error.contains("c.safetensors: is damaged: epoch"), "{error}");
        }
    }
}
