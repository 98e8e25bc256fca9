//! The folder of a run: who uses it, what is in it, and whether the run may write into it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::checkpoint::{self, State};
use super::finish::DET;
use super::launch::LEFT_OUT;
use super::ranks::{check_seen, is_alone, is_first};
use super::strategy::{METRICS, MODEL};
use super::{Recipe, RunOptions};
use crate::backend::collective::agree;
use crate::bytes::counted;
use crate::error::{Error, Remedy, Result};
use crate::fs::{self, Lock};

/// The recipe as it was run.
const RECIPE: &str = "recipe.lock.toml";

/// How long the run waits for another process that is about to leave the folder.
const PATIENCE: Duration = Duration::from_secs(2);

/// The folder. This process alone uses it until the value is dropped; of several ranks, rank 0
/// does, and the others only read.
pub(super) struct RunFolder {
    path: PathBuf,
    /// The checkpoint to go on with.
    pub checkpoint: Option<PathBuf>,
    /// Remarks on the folder, for people.
    pub notes: Vec<String>,
    lock: Option<Lock>,
    /// Whether this process made the folder.
    made: bool,
    /// Whether this process writes into it.
    writes: bool,
}

impl RunFolder {
    /// [`RunFolder::open`] by rank 0. The others learn which checkpoint to go on with.
    ///
    /// # Errors
    /// Those of [`RunFolder::open`], on all ranks. A rank that does not see the folder.
    pub fn of_ranks(options: &RunOptions) -> Result<Self> {
        let ranks = &*options.ranks;
        if is_alone(ranks) {
            return Self::open(options);
        }
        let opened = match is_first(ranks) {
            true => Self::open(options).map(Some),
            false => Ok(None),
        };
        let opened = agree(ranks, opened)?;
        agree(ranks, check_seen(&options.out))?;
        let found = opened.as_ref().and_then(|folder| folder.checkpoint.as_deref());
        let name = found.and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        let told = ranks.broadcast(name.into_owned().into_bytes(), 0)?;
        Ok(opened.unwrap_or_else(|| Self::read_only(&options.out, &String::from_utf8_lossy(&told))))
    }

    /// The folder as another rank's, with the name of the checkpoint to go on with; empty for none.
    fn read_only(path: &Path, checkpoint: &str) -> Self {
        Self {
            path: path.to_owned(),
            checkpoint: (!checkpoint.is_empty()).then(|| path.join(checkpoint)),
            notes: Vec::new(),
            lock: None,
            made: false,
            writes: false,
        }
    }

    /// Takes the folder, and removes half-written files of dead processes.
    ///
    /// # Errors
    /// Another process uses it. It holds another run. The run is to be resumed, and the folder
    /// holds nothing to go on with.
    pub fn open(options: &RunOptions) -> Result<Self> {
        let path = &options.out;
        if path.exists() && !path.is_dir() {
            return Err(Error::file(path, "is a file, not a folder for a run"));
        }
        let made = !path.exists();
        if made && options.resume {
            return Err(no_checkpoint(path, "").with(Remedy::StartAnew));
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
            writes: true,
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
                    let more = format!("; {name} is all there is of a run");
                    return Err(no_checkpoint(path, &more));
                }
                (Some(_), Some(_)) => {
                    let error = Error::file(path, "holds a run already");
                    return Err(error.with(Remedy::ResumeOrOtherFolder));
                }
                (Some(name), None) => {
                    let message = format!("holds {name} of a run without a checkpoint");
                    return Err(Error::file(path, message).with(Remedy::OtherFolder));
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

    /// The name of a file that is worth keeping, if there is one. A run that ended before its first
    /// step leaves nothing of worth: its recipe, and perhaps an empty log and the checkpoint of
    /// step 0.
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

    /// Checks, before any work, that the run can write its files.
    ///
    /// # Errors
    /// A file that cannot be replaced.
    pub fn check_outputs(&self) -> Result<()> {
        if !self.writes {
            return Ok(());
        }
        let files = [MODEL, METRICS, checkpoint::NEWEST, RECIPE, LEFT_OUT];
        let files = files.map(|name| self.path.join(name));
        fs::check_outputs(&files.each_ref().map(PathBuf::as_path), &[])
    }

    /// Writes the recipe, and removes the log lines of an interrupted epoch, which is repeated.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn begin(&self, recipe: &Recipe, epoch: usize) -> Result<()> {
        if !self.writes {
            return Ok(());
        }
        fs::write_bytes(self.path.join(RECIPE), recipe.to_toml().as_bytes())?;
        trim_metrics(&self.path.join(METRICS), epoch)
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        self.lock = None;
        if self.made {
            // A run that never began leaves no folder. This removes an empty folder only.
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}

fn no_checkpoint(folder: &Path, more: &str) -> Error {
    Error::file(folder.join(checkpoint::NEWEST), format!("no checkpoint to resume from{more}"))
}

/// Keeps the lines of a log that are of epochs before `epoch`.
fn trim_metrics(path: &Path, epoch: usize) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let text = fs::read_to_string(path)?;
    let keep = |line: &&str| {
        serde_json::from_str::<serde_json::Value>(line)
            .is_ok_and(|v| v["epoch"].as_u64().is_some_and(|e| e < epoch as u64))
    };
    let kept: String = text.lines().filter(keep).map(|l| format!("{l}\n")).collect();
    // The file may hold a byte order mark besides its text.
    match fs::read(path)? == kept.as_bytes() {
        true => Ok(()),
        false => fs::write_bytes(path, kept.as_bytes()),
    }
}

/// Refuses a checkpoint whose place is not one of this training.
pub(super) fn check_position(
    path: &Path,
    state: &State,
    epochs: usize,
    steps: usize,
) -> Result<()> {
    let State { epoch, batch, .. } = *state;
    match (1..=epochs + 1).contains(&epoch) && batch <= steps {
        true => Ok(()),
        false => {
            let (epochs, steps) = (counted(epochs, "epoch"), counted(steps, "step"));
            let message =
                format!("is of epoch {epoch}, batch {batch}; this run has {epochs} of {steps}");
            Err(Error::file(path, message))
        }
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
