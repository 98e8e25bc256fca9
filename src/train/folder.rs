//! The folder of a run: whose it is, what is in it, and whether it may be written into.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::RunOptions;
use super::checkpoint::{self, State};
use super::strategy::{METRICS, MODEL};
use crate::error::{Error, Result};
use crate::fs::{self, Lock};

/// The recipe as it was run.
pub(super) const RECIPE: &str = "recipe.lock.toml";

/// The folder, held for this process alone until the end of the run.
pub(super) struct RunFolder {
    path: PathBuf,
    /// The checkpoint to go on with.
    pub checkpoint: Option<PathBuf>,
    /// What a person should know of the folder.
    pub notes: Vec<String>,
    lock: Option<Lock>,
    /// Whether this process has made the folder.
    made: bool,
}

impl RunFolder {
    /// Takes the folder, and clears away what processes that ended have left half done.
    ///
    /// # Errors
    /// Another process has it; it holds another run, or nothing to go on with where that is asked.
    pub fn open(options: &RunOptions) -> Result<Self> {
        let path = &options.out;
        if path.exists() && !path.is_dir() {
            return Err(Error::file(path, "is a file, not a folder for a run"));
        }
        let made = !path.exists();
        if made && options.resume {
            return Err(no_checkpoint(path));
        }
        fs::create_dir_all(path)?;
        let taken = Lock::take(path)?;
        let mut notes: Vec<String> = taken.note.into_iter().collect();
        fs::sweep(path);
        let mut folder = Self { path: path.clone(), checkpoint: None, notes: Vec::new(), lock: Some(taken.lock), made };
        folder.checkpoint = match (options.resume, checkpoint::newest(path)) {
            (true, Some(found)) => {
                if found != path.join(checkpoint::NEWEST) {
                    notes.push(format!("{} is gone; going on with {}", checkpoint::NEWEST, found.display()));
                }
                Some(found)
            }
            (true, None) if folder.is_occupied()? || !path.join(RECIPE).exists() => return Err(no_checkpoint(path)),
            (true, None) => {
                notes.push(format!("{} holds no checkpoint yet: the run begins anew", path.display()));
                None
            }
            (false, _) if folder.is_occupied()? => {
                let message = "holds another run; go on with it (--resume) or name another folder";
                return Err(Error::file(path, message));
            }
            (false, _) => None,
        };
        folder.notes = notes;
        Ok(folder)
    }

    /// Whether there is anything to lose. A run that ended before its first step leaves its recipe,
    /// and perhaps an empty log and the checkpoint of step 0.
    fn is_occupied(&self) -> Result<bool> {
        let harmless = |name: &OsStr, entry: &std::fs::DirEntry| {
            let empty_log = name == METRICS && entry.metadata().is_ok_and(|m| m.len() == 0);
            let first = || checkpoint::read_state(&entry.path()).is_ok_and(|s| (s.epoch, s.batch) == (1, 0));
            name == RECIPE || empty_log || fs::is_temporary(name) || name == checkpoint::NEWEST && first()
        };
        for entry in std::fs::read_dir(&self.path).map_err(|e| Error::io(&self.path, "read", e))? {
            let entry = entry.map_err(|e| Error::io(&self.path, "read", e))?;
            if !harmless(&entry.file_name(), &entry) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Refuses files of the run that could not be replaced, before any work.
    pub fn check_outputs(&self) -> Result<()> {
        let files = [MODEL, METRICS, checkpoint::NEWEST, RECIPE].map(|name| self.path.join(name));
        fs::check_outputs(&files.each_ref().map(PathBuf::as_path), &[])
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        self.lock = None;
        if self.made {
            // A run that never began leaves no folder. One with anything in it stays.
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}

fn no_checkpoint(folder: &Path) -> Error {
    Error::file(folder.join(checkpoint::NEWEST), "no checkpoint to resume from")
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
    match kept == text {
        true => Ok(()),
        false => fs::write_bytes(path, kept.as_bytes()),
    }
}

/// A checkpoint's place in the training has to be one.
pub(super) fn check_position(path: &Path, state: &State, epochs: usize, steps: usize) -> Result<()> {
    let State { epoch, batch, .. } = *state;
    match (1..=epochs + 1).contains(&epoch) && batch <= steps {
        true => Ok(()),
        false => Err(Error::file(
            path,
            format!("is of epoch {epoch}, batch {batch}; this run has {epochs} epochs of {steps} batches"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Identity;

    #[test]
    fn a_place_beyond_the_training_is_refused() {
        let check = |epoch, batch| {
            let state = State { epoch, batch, ..State::start(Identity::default()) };
            check_position("c.safetensors".as_ref(), &state, 3, 10)
        };
        for (epoch, batch) in [(1, 0), (3, 10), (4, 0)] {
            check(epoch, batch).unwrap();
        }
        for (epoch, batch) in [(0, 0), (5, 0), (usize::MAX, 0), (2, 11)] {
            let error = check(epoch, batch).unwrap_err().to_string();
            assert!(error.contains("c.safetensors: is of epoch") && error.contains("3 epochs of 10"), "{error}");
        }
    }

    #[test]
    fn lines_of_repeated_epochs_and_torn_ones_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        std::fs::write(&path, "{\"epoch\":1}\n{\"epoch\":2}\n{\"epo").unwrap();
        trim_metrics(&path, 2).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"epoch\":1}\n");
        trim_metrics(&dir.path().join("none"), 2).unwrap();
    }
}
