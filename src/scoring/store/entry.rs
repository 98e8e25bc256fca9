//! The rows of a store, each with whether its checksum fits.

use std::path::Path;

use rusqlite::{Connection, Row};

use super::digest::Covered;
use super::failure::failure;
use super::{Recording, StoreModel};
use crate::bytes;
use crate::error::Result;

/// Voices outside, so that their recordings come one behind the other without being sorted.
const ROWS: &str = "
    SELECT v.id, v.name, v.created, r.id, r.file, r.seconds, r.created, r.embedding, r.digest
    FROM voices v CROSS JOIN recordings r ON r.voice = v.id";

/// A recording of a voice as the file holds it.
pub(super) struct Entry {
    /// The voice's number.
    pub voice: i64,
    pub name: String,
    /// When the voice was enrolled.
    pub enrolled: i64,
    /// The recording's number.
    pub id: i64,
    pub recording: Recording,
    /// When the recording was.
    pub created: i64,
    /// Whether the checksum fits.
    pub intact: bool,
}

/// Gives each recording to `take`, whether its checksum fits or not: those of a voice one behind
/// the other, the voices in the order of their enrolment. `only` is a voice's name.
///
/// # Errors
/// A row that cannot be read; a locked store; those of `take`.
pub(super) fn scan(
    path: &Path,
    connection: &Connection,
    model: &StoreModel,
    only: Option<&str>,
    take: &mut dyn FnMut(Entry) -> Result<()>,
) -> Result<()> {
    let fail = |error| failure(path, error);
    let which = if only.is_some() { "v.name = ?1" } else { "?1 IS NULL" };
    let query = format!("{ROWS} WHERE {which} ORDER BY v.id, r.file");
    let mut statement = connection.prepare(&query).map_err(fail)?;
    let mut rows = statement.query([only]).map_err(fail)?;
    while let Some(row) = rows.next().map_err(fail)? {
        take(entry(row, model).map_err(fail)?)?;
    }
    Ok(())
}

/// A row of [`ROWS`] in a store of this model.
fn entry(row: &Row, model: &StoreModel) -> rusqlite::Result<Entry> {
    let (name, enrolled): (String, i64) = (row.get(1)?, row.get(2)?);
    let (file, seconds, created) = (row.get(4)?, row.get(5)?, row.get(6)?);
    let (embedding, digest): (Vec<u8>, Vec<u8>) = (row.get(7)?, row.get(8)?);
    let recording = Recording { file, seconds, embedding: bytes::to_f32(&embedding) };
    let hash = model.hash.as_str();
    let covered = Covered { model: hash, name: &name, enrolled, recording: &recording, created };
    let intact = embedding.len() == 4 * model.dim && covered.digest()[..] == digest[..];
    Ok(Entry { voice: row.get(0)?, name, enrolled, id: row.get(3)?, recording, created, intact })
}
