//! Where arrays are written: an archive, and perhaps a list of it.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use super::array::View;
use super::name::Name;
use super::write::{Counting, array};
use crate::error::{Error, Result};
use crate::fs;

/// An archive to be written, and perhaps its list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    ark: PathBuf,
    scp: Option<PathBuf>,
    text: bool,
}

/// The name of a list alone.
const ALONE: &str = "is a list without its archive; name both: `ark,scp:F.ark,F.scp`";

impl Output {
    /// The archive and list that a name asks for: `F.ark`, `ark:F`, `ark,t:F`, `ark,scp:F,G`.
    /// None for names of other files.
    ///
    /// # Errors
    /// A list without its archive, or with one on standard output; a list of an archive whose name
    /// is not UTF-8 or holds a line break; a name that is not understood.
    pub fn parse(name: &Path) -> Result<Option<Self>> {
        let Some(Name { ark, scp, text }) = Name::parse(name)? else { return Ok(None) };
        let ark = ark.ok_or_else(|| Error::file(name, ALONE))?;
        if scp.is_some() && fs::is_stdout(&ark) {
            return Err(Error::file(name, "no list can lead to standard output"));
        }
        if scp.is_some() && ark.to_str().is_none_or(|ark| ark.contains(['\n', '\r', '|'])) {
            let message = "no list can hold this name: UTF-8 without line breaks and `|` is wanted";
            return Err(Error::file(&ark, message));
        }
        Ok(Some(Self { ark, scp, text }))
    }

    /// The files that are written, the archive first.
    pub fn files(&self) -> Vec<&Path> {
        [Some(&self.ark), self.scp.as_ref()].into_iter().flatten().map(PathBuf::as_path).collect()
    }

    /// Writes `count` arrays, each with its key; the keys must differ. One of them is in memory at
    /// a time, and each is asked for once, except its key. Each file is written atomically: first
    /// the archive, then its list.
    ///
    /// # Errors
    /// A key that [`check_key`] refuses; a size above 2147483647; otherwise as
    /// [`fs::write_atomic`].
    pub fn write<'a>(
        &self,
        count: usize,
        key: &dyn Fn(usize) -> &'a str,
        values: &dyn Fn(usize) -> View<'a>,
    ) -> Result<()> {
        (0..count)
            .try_for_each(|i| check_key(key(i)))
            .map_err(|e| Error::file(&self.ark, e.to_string()))?;
        self.stream(|entries| (0..count).try_for_each(|i| entries.add(key(i), &values(i))))
    }

    /// Writes arrays as they come: those that `fill` adds. Keys must differ. Each file is written
    /// atomically: first the archive, then its list.
    ///
    /// # Errors
    /// Those of `fill`, which leave both files as they were; otherwise as [`fs::write_atomic`].
    pub fn stream(&self, fill: impl FnOnce(&mut Entries) -> Result<()>) -> Result<()> {
        let (mut list, mut failure) = (String::new(), None);
        let written = fs::write_atomic(&self.ark, |out| {
            let mut entries = Entries { output: self, out: Counting::new(out), list: &mut list };
            fill(&mut entries).map_err(|e| {
                failure = Some(e);
                io::Error::other("was not finished")
            })
        });
        if let Some(e) = failure {
            return Err(e);
        }
        written?;
        self.scp.as_ref().map_or(Ok(()), |scp| fs::write_bytes(scp, list.as_bytes()))
    }
}

/// The entries of an archive in the making.
pub struct Entries<'a> {
    output: &'a Output,
    out: Counting<'a>,
    /// The list of those that are written, if one is wanted.
    list: &'a mut String,
}

impl Entries<'_> {
    /// Writes an array.
    ///
    /// # Errors
    /// A key that [`check_key`] refuses; a size above 2147483647; a write that failed.
    pub fn add(&mut self, key: &str, values: &View) -> Result<()> {
        let Output { ark, scp, text } = self.output;
        check_key(key).map_err(|e| Error::file(ark, e.to_string()))?;
        let name: &Path = if fs::is_stdout(ark) { Path::new("standard output") } else { ark };
        let failed = |e| Error::io(name, "write", e);
        self.out.text(&format!("{key} ")).map_err(failed)?;
        if scp.is_some() {
            // Writing to a string cannot fail.
            let _ = writeln!(self.list, "{key} {}:{}", ark.display(), self.out.count);
        }
        array(&mut self.out, values, *text).map_err(failed)
    }
}

/// Refuses a key that an archive cannot keep.
///
/// # Errors
/// An empty key; one with blanks or control characters.
pub fn check_key(key: &str) -> Result<()> {
    match key.is_empty() || key.contains(|c: char| c.is_whitespace() || c.is_control()) {
        true => Err(Error::invalid(format!(
            "the id {key:?} cannot be a key of an archive: a word without blanks is wanted"
        ))),
        false => Ok(()),
    }
}
