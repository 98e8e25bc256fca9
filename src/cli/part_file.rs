//! What long work has done so far, kept in `OUTPUT.part` while the work lasts. A later process goes
//! on behind it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::fs::{self, Blocks, Journal};

/// Says what work it is: an object. All of its values must be equal for the work to go on. It is
/// asked only where there is a file.
pub(super) type Description<'a> = dyn Fn() -> Result<Value> + 'a;

/// The file beside an output: a [`Journal`] whose blocks end where the work may begin anew.
pub(super) struct PartFile<'a> {
    path: PathBuf,
    work: Box<Description<'a>>,
    /// The file, once something is in it. Most work ends earlier.
    journal: Option<Journal>,
    /// What is not in it yet.
    waiting: Vec<u8>,
}

impl<'a> PartFile<'a> {
    /// The file for an output; none if the output is no file to be written whole.
    pub fn path_of(output: &Path) -> Option<PathBuf> {
        if fs::is_stdout(output) || output.exists() && !output.is_file() {
            return None;
        }
        let mut name = OsString::from(output);
        name.push(".part");
        Some(name.into())
    }

    /// Opens what an earlier process has left, if it has, and gives its blocks to `take`, in order.
    /// `unlike` stands in front of what differs in other work: `with another`.
    ///
    /// # Errors
    /// A file of other work, which is not replaced; a file that is no journal or that another
    /// process has open; those of `take`.
    pub fn open(
        path: PathBuf,
        unlike: &str,
        work: Box<Description<'a>>,
        take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<Self> {
        let check = |found: &str| same_work(&path, unlike, found, &work()?);
        let journal = Journal::open(&path, check, take)?;
        Ok(Self { path, work, journal, waiting: Vec::new() })
    }

    /// The error of a block that cannot be read.
    pub fn damaged(path: &Path) -> Error {
        Error::file(path, "is damaged; remove it to begin anew")
    }

    /// The file's path, whether it is there or not.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Notes some bytes.
    pub fn note(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// Writes what was noted. The work may begin anew here.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn keep(&mut self) -> Result<()> {
        let journal = match &mut self.journal {
            Some(journal) => journal,
            None => {
                let work = (self.work)()?.to_string();
                self.journal.insert(Journal::create(&self.path, &work)?)
            }
        };
        journal.append(&self.waiting)?;
        self.waiting.clear();
        Ok(())
    }

    /// The file, if something is in it.
    pub fn kept(&self) -> Option<&Path> {
        self.journal.as_ref().map(Journal::path)
    }

    /// The bytes of the file and the places of its blocks, if something is in it.
    ///
    /// # Errors
    /// Those of [`Journal::blocks`].
    pub fn blocks(&self) -> Result<Option<Blocks>> {
        self.journal.as_ref().map(Journal::blocks).transpose()
    }

    /// Removes the file: the output is written.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub fn end(self) -> Result<()> {
        self.journal.map_or(Ok(()), Journal::remove)
    }
}

/// Refuses a file of other work, and says in what it differs.
fn same_work(path: &Path, unlike: &str, found: &str, wanted: &Value) -> Result<()> {
    let found: Value = serde_json::from_str(found).unwrap_or_default();
    let names = wanted.as_object().into_iter().flatten();
    let differ: Vec<&str> = names
        .filter(|(name, value)| found.get(name) != Some(*value))
        .map(|(name, _)| name.as_str())
        .collect();
    if differ.is_empty() {
        return Ok(());
    }
    let message = format!(
        "holds results of an unfinished run {unlike} {}; run that one to its end, remove the file \
         to begin anew, or name another output",
        differ.join(", ")
    );
    Err(Error::file(path, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_that_are_no_files_have_none() {
        let dir = tempfile::tempdir().unwrap();
        assert!(PartFile::path_of(Path::new("-")).is_none());
        assert!(PartFile::path_of(dir.path()).is_none());
    }
}
