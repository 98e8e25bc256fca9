//! Deletion that leaves nothing in the file.

use super::check::Depth;
use super::failure::failure;
use super::{Store, Voice, listed, meta};
use crate::error::{Error, Result};

/// The key in `meta` while rows are deleted and the file is not yet built anew.
const LEFT: &str = "rebuild";

/// What to delete.
#[derive(Clone, Copy)]
enum What<'a> {
    Voice(&'a str),
    Recording { name: &'a str, file: &'a str },
}

impl Store {
    /// Removes voices with all their recordings: all of them, or none. Returns what was removed.
    ///
    /// Deleted values are overwritten, and then the file is built anew. If that is not possible or
    /// the process is killed, the voices are gone, but copies may be in unused parts of the file
    /// until the next enrolment or `forget`, which builds it anew first.
    ///
    /// Embeddings, times and seconds may be damaged, of these voices or of others: rows can be
    /// removed all the same.
    ///
    /// # Errors
    /// A name that is not enrolled; a store that is locked or cannot be written; one whose pages,
    /// tables or indices are damaged, in which nobody knows what else a write would hit.
    pub fn forget(&mut self, names: &[&str]) -> Result<Vec<Voice>> {
        let all: Vec<What> = names.iter().map(|&name| What::Voice(name)).collect();
        self.delete(&all)
    }

    /// Removes one recording of a voice in the same way, and the voice if it has no other. Returns
    /// the voice as it was.
    ///
    /// # Errors
    /// Those of [`forget`](Self::forget); a file that is not among the voice's recordings.
    pub fn forget_recording(&mut self, name: &str, file: &str) -> Result<Voice> {
        let mut removed = self.delete(&[What::Recording { name, file }])?;
        removed.pop().ok_or_else(|| Error::file(&self.path, format!("`{name}` is not enrolled")))
    }

    fn delete(&mut self, all: &[What]) -> Result<Vec<Voice>> {
        self.rebuild_if_left(Depth::Structure)?;
        let (path, model) = (self.path.clone(), self.model.clone());
        let fail = |error| failure(&path, error);
        let transaction = self.begin_if_whole(Depth::Structure)?;
        let mut removed: Vec<Voice> = Vec::new();
        for what in all {
            let (What::Voice(name) | What::Recording { name, .. }) = *what;
            if removed.iter().any(|voice| voice.name == name) {
                continue;
            }
            let Some((id, voice)) = listed::found(&path, &transaction, &model, name)? else {
                return Err(Error::file(&path, format!("`{name}` is not enrolled")));
            };
            let mut is_last = true;
            match *what {
                What::Voice(_) => {
                    transaction
                        .execute("DELETE FROM recordings NOT INDEXED WHERE voice = ?1", [id])
                        .map_err(fail)?;
                }
                What::Recording { file, .. } => {
                    let delete = "DELETE FROM recordings WHERE voice = ?1 AND file = ?2";
                    let rows = transaction.execute(delete, (id, file)).map_err(fail)?;
                    if rows == 0 {
                        let message = format!("`{name}` has no recording `{file}`");
                        return Err(Error::file(&path, message));
                    }
                    is_last = voice.recordings.len() == rows;
                }
            }
            if is_last {
                transaction.execute("DELETE FROM voices WHERE id = ?1", [id]).map_err(fail)?;
            }
            removed.push(voice);
        }
        meta::set(&transaction, LEFT, "1").map_err(fail)?;
        transaction.commit().map_err(fail)?;
        self.rebuild().map_err(|e| {
            e.and(
                "what was named is removed, but copies may be in unused parts of the file until \
                 it is built anew, which the next enrolment or `forget` does",
            )
        })?;
        Ok(removed)
    }

    /// Builds the file anew if that was wanted and did not happen.
    ///
    /// # Errors
    /// A store that is locked, damaged or cannot be written.
    pub(super) fn rebuild_if_left(&mut self, depth: Depth) -> Result<()> {
        if !meta::read(&self.path, &self.connection)?.contains_key(LEFT) {
            return Ok(());
        }
        // Dropped, because a file is not built anew within a transaction.
        drop(self.begin_if_whole(depth)?);
        self.rebuild()
    }

    fn rebuild(&mut self) -> Result<()> {
        let path = self.path.clone();
        let fail = |error| failure(&path, error);
        self.connection.execute_batch("VACUUM").map_err(fail)?;
        let transaction = self.begin()?;
        meta::remove(&transaction, LEFT).map_err(fail)?;
        transaction.commit().map_err(fail)
    }
}
