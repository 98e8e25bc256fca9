//! A store of voices: one SQLite file with the embeddings of people who were enrolled.
//!
//! All embeddings of a store come from one model ([`StoreModel`]). They are kept as the network
//! gives them, so another calibration, threshold or mean embedding changes nothing in the file.
//!
//! | table | holds |
//! |---|---|
//! | `meta` | the model: its hash, architecture, front-end and dimension, and where its file was |
//! | `voices` | each voice's name and when it was enrolled |
//! | `recordings` | of each: file's name, seconds of speech, embedding (f32, little-endian) |
//!
//! A write is whole or does not happen, and is on the disk when it returns (`synchronous = EXTRA`).
//! The journal is SQLite's rollback journal (`journal_mode = DELETE`): the store is one file
//! between writes, and no log keeps what was deleted. A process that finds the file locked waits
//! for ten seconds.
//!
//! Every recording has a checksum, the first 16 bytes of a SHA-256 over the model's hash, the
//! voice's name and time, the file's name, seconds, time and embedding; `meta` has one of itself
//! and of the tables' definitions. What is read is compared with them, and a write begins with a
//! check of the whole file: nothing is written into a damaged store. [`Store::forget`] alone works
//! where values are damaged and the file's structure is not.
//!
//! Embeddings tell people apart: they are personal data. The file is made for its owner alone
//! (mode 0600 on Unix) and is not encrypted. [`Store::forget`] overwrites what it deletes and then
//! builds the file anew, because SQLite can leave old copies of rows in pages that it divides.

mod check;
mod codes;
mod digest;
mod entry;
mod failure;
mod file;
mod forget;
mod index;
mod listed;
mod meta;
mod read;
mod write;

use std::path::{Path, PathBuf};

use rusqlite::Connection;

pub use self::index::{Found, VoiceIndex};
use crate::error::{Error, Result};

/// The model that makes a store's embeddings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreModel {
    /// Hash of all that an embedding depends on, in hex digits. Two models with one hash give one
    /// recording the same embedding.
    pub hash: String,
    /// Name of the architecture.
    pub arch: String,
    /// The front-end, as JSON.
    pub frontend: String,
    /// Values of an embedding.
    pub dim: usize,
}

impl StoreModel {
    /// The architecture and the beginning of the hash, for people.
    pub fn title(&self) -> String {
        let short: String = self.hash.chars().take(12).collect();
        format!("{} {short}", self.arch)
    }
}

/// A recording with its embedding.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// The file's name, as it was given.
    pub file: String,
    /// Seconds of speech.
    pub seconds: f64,
    /// `[dim]`, as the network gives it.
    pub embedding: Vec<f32>,
}

/// What a store tells of a voice.
#[derive(Debug, Clone, PartialEq)]
pub struct Voice {
    /// Its name.
    pub name: String,
    /// When it was enrolled: seconds since the beginning of 1970, UTC.
    pub created: u64,
    /// Its recordings, in the order of their enrolment.
    pub recordings: Vec<StoredRecording>,
    /// Whether all checksums fit. Only [`Store::forget`] tells of voices where one does not.
    pub intact: bool,
}

impl Voice {
    /// Seconds of speech in all recordings.
    pub fn seconds(&self) -> f64 {
        self.recordings.iter().map(|recording| recording.seconds).sum()
    }
}

/// What a store tells of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRecording {
    /// The file's name, as it was given.
    pub file: String,
    /// Seconds of speech.
    pub seconds: f64,
    /// When it was enrolled: seconds since the beginning of 1970, UTC.
    pub created: u64,
}

/// An open store.
///
/// ```no_run
/// use revox::scoring::Store;
///
/// let mut store = Store::open("voices.db")?;
/// let index = store.index(None)?;
/// for found in index.search(&vec![0.5; store.model().dim], 5)? {
///     println!("{} {:.4}", index.name(found.place), found.score);
/// }
/// store.forget(&["anna"])?;
/// # Ok::<(), revox::Error>(())
/// ```
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
    model: StoreModel,
}

impl Store {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The model that made the embeddings.
    pub fn model(&self) -> &StoreModel {
        &self.model
    }

    /// Refuses another model than the store's.
    ///
    /// # Errors
    /// Another model; both are named.
    pub fn check_model(&self, model: &StoreModel) -> Result<()> {
        if self.model.hash == model.hash {
            return Ok(());
        }
        let (own, other) = (self.model.title(), model.title());
        let message = format!("holds voices of the model {own}, this one is {other}");
        Err(Error::file(&self.path, message))
    }
}

#[cfg(test)]
mod tests;
