//! Enrolment.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::check::Depth;
use super::digest::Covered;
use super::failure::failure;
use super::{Recording, Store};
use crate::bytes;
use crate::error::{Error, Remedy, Result};

/// Most bytes of a voice's name.
const LONGEST: usize = 200;

/// A voice to be enrolled, or recordings to be added to one.
#[derive(Debug, Clone, Copy)]
struct Enrolment<'a> {
    name: &'a str,
    recordings: &'a [Recording],
    /// Whether the voice is in the store already.
    adds: bool,
}

impl Store {
    /// Enrols voices, each with a name and its recordings: all of them, or none.
    ///
    /// # Errors
    /// A name that is enrolled already, or that [`check_name`](Self::check_name) refuses; a voice
    /// without recordings, or with one file twice; an embedding of another dimension, or with
    /// values that are not finite; a store that is locked, damaged or cannot be written.
    pub fn enroll<'a>(
        &mut self,
        voices: impl IntoIterator<Item = (&'a str, &'a [Recording])>,
    ) -> Result<()> {
        let voices = voices.into_iter();
        self.write(voices.map(|(name, recordings)| Enrolment { name, recordings, adds: false }))
    }

    /// Adds recordings to a voice: all of them, or none.
    ///
    /// # Errors
    /// Those of [`enroll`](Self::enroll), but a name that is not enrolled.
    pub fn add(&mut self, name: &str, recordings: &[Recording]) -> Result<()> {
        self.write([Enrolment { name, recordings, adds: true }].into_iter())
    }

    /// Refuses what is no name: nothing, more than 200 bytes, control characters, blanks at its
    /// ends.
    ///
    /// # Errors
    /// Such a name.
    pub fn check_name(name: &str) -> Result<()> {
        let what = if name.is_empty() {
            "is empty"
        } else if name.len() > LONGEST {
            "is longer than 200 bytes"
        } else if name.contains(char::is_control) {
            "has control characters"
        } else if name.trim() != name {
            "begins or ends with a blank"
        } else {
            return Ok(());
        };
        Err(Error::invalid(format!("the name `{name}` {what}")))
    }

    /// Refuses a name that is enrolled, or, if recordings are to be added, one that is not. An
    /// enrolment does so too; this is for those who have long work to do before.
    ///
    /// # Errors
    /// Such a name; a damaged or locked store.
    pub fn check_voice(&self, name: &str, adds: bool) -> Result<()> {
        let known = number(&self.connection, name).map_err(|error| failure(&self.path, error))?;
        match (known, adds) {
            (Some(_), false) => Err(Refused::Known.told(&self.path, name)),
            (None, true) => Err(Refused::Unknown.told(&self.path, name)),
            _ => Ok(()),
        }
    }

    fn write<'a>(&mut self, all: impl Iterator<Item = Enrolment<'a>>) -> Result<()> {
        self.rebuild_if_left(Depth::Values)?;
        let (path, model) = (self.path.clone(), self.model.clone());
        let now = now();
        let transaction = self.begin_if_whole(Depth::Values)?;
        for one in all {
            Self::check_name(one.name)?;
            if one.recordings.is_empty() {
                return Err(Error::invalid(format!("`{}` has no recordings", one.name)));
            }
            one.recordings.iter().try_for_each(|recording| check(recording, model.dim))?;
            let (voice, enrolled) = voice_of(&transaction, &one, now)
                .map_err(|error| failure(&path, error))?
                .map_err(|what| what.told(&path, one.name))?;
            for recording in one.recordings {
                let (model, name) = (model.hash.as_str(), one.name);
                let row = Covered { model, name, enrolled, recording, created: now };
                let added =
                    insert(&transaction, voice, &row).map_err(|error| failure(&path, error))?;
                if !added {
                    let file = &recording.file;
                    let message = format!("`{name}` has a recording `{file}` already");
                    return Err(Error::file(&path, message));
                }
            }
        }
        transaction.commit().map_err(|error| failure(&path, error))
    }

    /// Begins to write. Nothing is changed unless the transaction is committed.
    ///
    /// # Errors
    /// A store that is locked, damaged or cannot be written.
    pub(super) fn begin(&mut self) -> Result<Transaction<'_>> {
        let Self { connection, path, .. } = self;
        // At once: a reader that turns to writing could not wait for other writers.
        connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| failure(path, error))
    }
}

/// Why there is no voice to take recordings.
#[derive(Debug, Clone, Copy)]
enum Refused {
    Known,
    Unknown,
}

impl Refused {
    fn told(self, path: &Path, name: &str) -> Error {
        match self {
            Self::Known => Error::file(path, format!("`{name}` is enrolled already"))
                .with(Remedy::AddRecordings),
            Self::Unknown => Error::file(path, format!("`{name}` is not enrolled")),
        }
    }
}

/// The number of a voice and when it was enrolled, if it is.
fn number(connection: &Connection, name: &str) -> rusqlite::Result<Option<(i64, i64)>> {
    let find = "SELECT id, created FROM voices WHERE name = ?1";
    connection.query_row(find, [name], |row| Ok((row.get(0)?, row.get(1)?))).optional()
}

/// The voice's number and when it was enrolled; it is made if it is new.
fn voice_of(
    connection: &Connection,
    one: &Enrolment,
    now: i64,
) -> rusqlite::Result<Result<(i64, i64), Refused>> {
    let known = number(connection, one.name)?;
    Ok(match (known, one.adds) {
        (Some(voice), true) => Ok(voice),
        (Some(_), false) => Err(Refused::Known),
        (None, true) => Err(Refused::Unknown),
        (None, false) => {
            let make = "INSERT INTO voices (name, created) VALUES (?1, ?2)";
            connection.execute(make, params![one.name, now])?;
            Ok((connection.last_insert_rowid(), now))
        }
    })
}

/// Writes a recording; false if the voice has one of that file.
fn insert(connection: &Connection, voice: i64, row: &Covered) -> rusqlite::Result<bool> {
    let add = "INSERT OR IGNORE INTO recordings (voice, file, seconds, embedding, digest, created)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let Recording { file, seconds, embedding } = row.recording;
    let (values, digest) = (bytes::from_f32(embedding), row.digest());
    let row = params![voice, file, seconds, values, digest, row.created];
    connection.execute(add, row).map(|rows| rows == 1)
}

/// Refuses what could not be compared.
fn check(recording: &Recording, dim: usize) -> Result<()> {
    let Recording { file, seconds, embedding } = recording;
    let bad = |what: String| Err(Error::invalid(format!("the embedding of `{file}` {what}")));
    if embedding.len() != dim {
        return bad(format!("has {} values, those of the store {dim}", embedding.len()));
    }
    if embedding.iter().any(|x| !x.is_finite()) {
        return bad("is not finite".to_owned());
    }
    if !(seconds.is_finite() && *seconds >= 0.0) {
        return Err(Error::invalid(format!("`{file}` has {seconds} s of speech")));
    }
    Ok(())
}

/// Seconds since the beginning of 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}
