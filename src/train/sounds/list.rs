//! The sounds that a list names.

use std::path::{Path, PathBuf};

use crate::audio::Source;
use crate::corpus::{locate, read_wav_scp};
use crate::error::{Error, Result};

/// The list at a path: a wav.scp, or that of a folder.
///
/// # Errors
/// A folder without one.
pub(in crate::train) fn list_at(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let list = path.join("wav.scp");
    match list.is_file() {
        true => Ok(list),
        false => {
            let message = "a folder without wav.scp; give the list of the sounds, as `revox \
                           prepare` writes it";
            Err(Error::file(path, message))
        }
    }
}

/// A list of sounds, none of which is open.
pub(super) struct SoundList {
    list: PathBuf,
    rate: u32,
    sounds: Vec<Sound>,
}

struct Sound {
    id: Box<str>,
    path: PathBuf,
    line: usize,
}

impl SoundList {
    /// Reads a wav.scp, or that of a folder. Its sounds will have `rate` samples per second.
    ///
    /// # Errors
    /// Those of [`list_at`] and [`read_wav_scp`].
    pub fn read(path: &Path, rate: u32) -> Result<Self> {
        let list = list_at(path)?;
        let sounds = read_wav_scp(&list)?
            .into_iter()
            .map(|(id, file, line)| Sound { id: id.into(), path: locate(&list, &file), line })
            .collect();
        Ok(Self { list, rate, sounds })
    }

    /// Number of sounds, at least one.
    pub fn count(&self) -> usize {
        self.sounds.len()
    }

    /// The id of a sound.
    pub fn id(&self, sound: usize) -> &str {
        &self.sounds[sound].id
    }

    /// Opens a sound and does something with it.
    ///
    /// # Errors
    /// A file that cannot be opened, and errors of `work`, all at the sound's line.
    pub fn with<T>(&self, sound: usize, work: impl FnOnce(Source) -> Result<T>) -> Result<T> {
        let Sound { path, line, .. } = &self.sounds[sound];
        let done = Source::open(path, self.rate, None).and_then(work);
        done.map_err(|e| e.retold(|text| Error::line(&self.list, *line, text)))
    }
}
