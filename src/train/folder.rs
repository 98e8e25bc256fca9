//! The folder of a run: whose it is, what is in it, and whether it may be written into.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::RunOptions;
use super::checkpoint::{self, State};
use super::finish::DET;
use super::strategy::{METRICS, MODEL};
use crate::error::{Error, Result};
use crate::fs::{self, Lock};

/// The recipe as it was run.
pub(super) const RECIPE: &str = "recipe.lock.toml";

/// How long a process that is about to end is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

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
            return Err(no_checkpoint(path, "start without --resume"));
        }
        fs::create_dir_all(path)?;
        let taken = Lock::take_within(path, PATIENCE)?;
        let mut notes: Vec<String> = taken.note.into_iter().collect();
        fs::sweep(path);
        let mut folder = Self {
            path: path.clone(),
            checkpoint: None,
            notes: Vec::new(),
            lock: Some(taken.lock),
            made,
        };
        match checkpoint::newest(path) {
            Some(found) if options.resume => {
                if found != path.join(checkpoint::NEWEST) {
                    notes.push(format!(
                        "{} is gone; going on with {}",
                        checkpoint::NEWEST,
                        found.display()
                    ));
                }
                folder.checkpoint = Some(found);
            }
            found => match (folder.kept()?, found) {
                (Some(name), _) if options.resume => {
                    return Err(no_checkpoint(path, &format!("{name} is all there is of a run")));
                }
                (Some(_), Some(_)) => {
                    let message = "holds a run already; go on with it (--resume), or name another folder (--out)";
                    return Err(Error::file(path, message));
                }
                (Some(name), None) => {
                    let message = format!(
                        "holds {name} of a run without a checkpoint: name another folder (--out)"
                    );
                    return Err(Error::file(path, message));
                }
                (None, _) if options.resume => {
                    notes.push(format!("{} holds no run yet: it begins", path.display()))
                }
                (None, _) => {}
            },
        }
        folder.notes = notes;
        Ok(folder)
    }

    /// The name of a file of a run that would be lost, if there is one. A run that ended before its
    /// first step leaves its recipe, and perhaps an empty log and the checkpoint of step 0.
    fn kept(&self) -> Result<Option<String>> {
        let first =
            |path: &Path| checkpoint::read_state(path).is_ok_and(|s| (s.epoch, s.batch) == (1, 0));
        for entry in std::fs::read_dir(&self.path).map_err(|e| Error::io(&self.path, "read", e))? {
            let entry = entry.map_err(|e| Error::io(&self.path, "read", e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_kept = match name.as_str() {
                MODEL | DET => true,
                METRICS => entry.metadata().is_ok_and(|m| m.len() > 0),
                checkpoint::NEWEST => !first(&entry.path()),
                other => checkpoint::is_older(other),
            };
            if is_kept {
                return Ok(Some(name));
            }
        }
        Ok(None)
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

fn no_checkpoint(folder: &Path, more: &str) -> Error {
    Error::file(folder.join(checkpoint::NEWEST), format!("no checkpoint to resume from; {more}"))
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
    // The file may have more than its text: a byte order mark.
    match fs::read(path)? == kept.as_bytes() {
        true => Ok(()),
        false => fs::write_bytes(path, kept.as_bytes()),
    }
}

/// A checkpoint's place in the training has to be one.
pub(super) fn check_position(
    path: &Path,
    state: &State,
    epochs: usize,
    steps: usize,
) -> Result<()> {
    let State { epoch, batch, .. } = *state;
    match (1..=epochs + 1).contains(&epoch) && batch <= steps {
        true => Ok(()),
        false => Err(Error::file(
            path,
            format!(
                "is of epoch {epoch}, batch {batch}; this run has {epochs} epochs of {steps} batches"
            ),
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
            assert!(
                error.contains("c.safetensors: is of epoch") && error.contains("3 epochs of 10"),
                "{error}"
            );
        }
    }

    #[test]
    fn lines_of_repeated_epochs_and_torn_ones_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        std::fs::write(&path, "{\"epoch\":1}\n{\"epoch\":2}\n{\"epo").unwrap();
        trim_metrics(&path, 2).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"epoch\":1}\n");
        std::fs::write(&path, "\u{feff}").unwrap();
        trim_metrics(&path, 1).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
        trim_metrics(&dir.path().join("none"), 2).unwrap();
    }
}
