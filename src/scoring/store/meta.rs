//! What a store says of itself. The table `meta` has a seal, the checksum of its other rows and of
//! the tables' definitions: SQLite itself notices no change of values.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, Row};
use sha2::{Digest, Sha256};

use super::failure::{damaged, failure};
use crate::bytes::hex;
use crate::error::Result;

/// The seal's key.
const SEAL: &str = "seal";

/// What `meta` holds, by key, as it was written.
///
/// # Errors
/// A damaged or locked store.
pub(super) fn read(path: &Path, connection: &Connection) -> Result<BTreeMap<String, String>> {
    let found = content(connection).map_err(|error| failure(path, error))?;
    match found.seal.as_ref() == Some(&found.wanted) {
        true => Ok(found.rows),
        false => Err(damaged(path, "what it says of itself or of its tables has changed")),
    }
}

/// Sets a value. The caller begins a transaction before, and commits it.
pub(super) fn set(connection: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    put(connection, key, value)?;
    seal(connection)
}

/// Removes a value, in the same way.
pub(super) fn remove(connection: &Connection, key: &str) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM meta WHERE key = ?1", [key])?;
    seal(connection)
}

fn put(connection: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    let set = "INSERT INTO meta (key, value) VALUES (?1, ?2)
               ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    connection.execute(set, [key, value]).map(|_| ())
}

fn seal(connection: &Connection) -> rusqlite::Result<()> {
    put(connection, SEAL, &content(connection)?.wanted)
}

/// What the file holds.
struct Content {
    /// All but the seal.
    rows: BTreeMap<String, String>,
    seal: Option<String>,
    /// The seal of these rows.
    wanted: String,
}

fn content(connection: &Connection) -> rusqlite::Result<Content> {
    let mut hash = Sha256::new();
    let mut feed = |text: &str| {
        // With lengths, so that no two contents are one text.
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    let schema = "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema ORDER BY name";
    let texts = |row: &Row| -> rusqlite::Result<[String; 4]> {
        Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?])
    };
    let mut schema = connection.prepare(schema)?;
    for row in schema.query_map([], texts)? {
        row?.iter().for_each(|text| feed(text));
    }
    // Of one moment, and without the index, which may be damaged itself.
    let mut rows = Vec::<(String, String)>::new();
    let pair = |row: &Row| -> rusqlite::Result<(String, String)> { Ok((row.get(0)?, row.get(1)?)) };
    let mut values = connection.prepare("SELECT key, value FROM meta NOT INDEXED")?;
    for row in values.query_map([], pair)? {
        rows.push(row?);
    }
    rows.sort_unstable();
    for (key, value) in rows.iter().filter(|(key, _)| key != SEAL) {
        feed(key);
        feed(value);
    }
    let mut rows: BTreeMap<String, String> = rows.into_iter().collect();
    let seal = rows.remove(SEAL);
    Ok(Content { rows, seal, wanted: hex(hash) })
}
