//! Whether a store is whole: nothing is written into a damaged file.

use std::path::Path;

use rusqlite::{Connection, Transaction};

use super::failure::{damaged, failure};
use super::{Store, StoreModel, meta, read};
use crate::error::Result;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Pages, tables, indices, and what the store says of itself: rows can be found and removed.
    Structure,
    /// Every value too.
    Values,
}

/// Refuses a damaged store. With 100,000 voices that takes about a second.
pub(super) fn check(
    path: &Path,
    connection: &Connection,
    model: &StoreModel,
    depth: Depth,
) -> Result<()> {
    let found: String = connection
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(|error| failure(path, error))?;
    if found != "ok" {
        let lines: Vec<&str> = found.lines().collect();
        return Err(damaged(path, &lines.join(", ")));
    }
    meta::read(path, connection)?;
    match depth {
        Depth::Structure => Ok(()),
        Depth::Values => read::verified(path, connection, model, None, &mut |_| Ok(())),
    }
}

impl Store {
    /// Begins to write, if the store is whole. Nothing is changed unless the transaction is
    /// committed.
    ///
    /// # Errors
    /// A store that is locked, damaged or cannot be written.
    pub(super) fn begin_if_whole(&mut self, depth: Depth) -> Result<Transaction<'_>> {
        let (path, model) = (self.path.clone(), self.model.clone());
        let transaction = self.begin()?;
        check(&path, &transaction, &model, depth)?;
        Ok(transaction)
    }
}
