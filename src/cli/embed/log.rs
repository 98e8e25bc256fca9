//! What has become of utterances, kept in a file beside the output while the work lasts. A later
//! process goes on behind it.
//!
//! The file is a [`Journal`]. A block holds the outcomes of the utterances from one place to the
//! next at which work may begin anew: for each a byte, 0 before the embedding's values (f32,
//! little-endian), 1 before the length (4 bytes) and the text of the reason why it was left out.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::bytes::{from_f32, to_f32};
use crate::error::{Error, Result};
use crate::fs::{self, Journal};

const ROW: u8 = 0;
const LEFT_OUT: u8 = 1;

/// What has become of an utterance.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    /// Its embedding, `[dim]`.
    Row(Vec<f32>),
    /// It was left out for this reason.
    LeftOut(String),
}

/// Says what work it is: an object. All of its values must be equal for the work to go on. It is
/// asked only where there is a file.
pub(super) type Description<'a> = dyn Fn() -> Result<Value> + 'a;

/// The outcomes of a run.
pub(super) struct Log<'a> {
    path: PathBuf,
    work: Box<Description<'a>>,
    /// The file, once something is in it. Most runs end earlier.
    journal: Option<Journal>,
    /// Outcomes that are not in it yet.
    waiting: Vec<u8>,
}

impl<'a> Log<'a> {
    /// The file for an output; none if the output is no file to be written whole.
    pub fn path_of(output: &Path) -> Option<PathBuf> {
        if fs::is_stdout(output) || output.exists() && !output.is_file() {
            return None;
        }
        let mut name = OsString::from(output);
        name.push(".part");
        Some(name.into())
    }

    /// Opens what an earlier process has left, if it has, and gives its outcomes to `take`, in
    /// order.
    ///
    /// # Errors
    /// A file of other work, which is not replaced; a file that is no journal or that another
    /// process has open; a damaged one.
    pub fn open(
        path: PathBuf,
        dim: usize,
        work: Box<Description<'a>>,
        take: &mut dyn FnMut(Outcome) -> Result<()>,
    ) -> Result<Self> {
        let check = |found: &str| same_work(&path, found, &work()?);
        let damaged = || Error::file(&path, "is damaged; remove it to begin anew");
        let journal = Journal::open(&path, check, |block| {
            let mut left = block;
            while !left.is_empty() {
                let (outcome, rest) = decode(left, dim).ok_or_else(damaged)?;
                take(outcome)?;
                left = rest;
            }
            Ok(())
        })?;
        Ok(Self { path, work, journal, waiting: Vec::new() })
    }

    /// Notes an embedding.
    pub fn row(&mut self, row: &[f32]) {
        self.waiting.push(ROW);
        self.waiting.extend_from_slice(&from_f32(row));
    }

    /// Notes an utterance that was left out.
    pub fn left_out(&mut self, reason: &str) {
        self.waiting.push(LEFT_OUT);
        self.waiting.extend_from_slice(&(reason.len() as u32).to_le_bytes());
        self.waiting.extend_from_slice(reason.as_bytes());
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

    /// Removes the file: the output is written.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub fn end(self) -> Result<()> {
        self.journal.map_or(Ok(()), Journal::remove)
    }
}

/// Refuses a file of other work, and says in what it differs.
fn same_work(path: &Path, found: &str, wanted: &Value) -> Result<()> {
    let found: Value = serde_json::from_str(found).unwrap_or_default();
    let names = wanted.as_object().into_iter().flatten();
    let differ: Vec<&str> = names
        .filter(|(name, value)| found.get(name) != Some(*value))
        .map(|(name, _)| name.as_str())
        .collect();
    match differ.is_empty() {
        true => Ok(()),
        false => Err(Error::file(
            path,
            format!(
                "holds results of an unfinished run with another {}; run that one to its end, \
                 remove the file to begin anew, or name another output",
                differ.join(", ")
            ),
        )),
    }
}

/// The first outcome of a block, and what follows it.
fn decode(block: &[u8], dim: usize) -> Option<(Outcome, &[u8])> {
    let (kind, rest) = block.split_first()?;
    match *kind {
        ROW => {
            let (row, rest) = rest.split_at_checked(4 * dim)?;
            Some((Outcome::Row(to_f32(row)), rest))
        }
        LEFT_OUT => {
            let (length, rest) = rest.split_first_chunk::<4>()?;
            let (reason, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            Some((Outcome::LeftOut(String::from_utf8_lossy(reason).into_owned()), rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn outcomes(path: &Path, work: impl Fn() -> Result<Value>) -> Result<Vec<Outcome>> {
        let mut all = Vec::new();
        Log::open(path.to_owned(), 2, Box::new(work), &mut |outcome| {
            all.push(outcome);
            Ok(())
        })?;
        Ok(all)
    }

    #[test]
    fn what_was_kept_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = Log::path_of(&dir.path().join("e.safetensors")).unwrap();
        assert!(path.ends_with("e.safetensors.part"));
        let work =
            || -> Result<Value> { Ok(json!({"model": "m", "window": 300.0, "channel": null})) };
        assert!(outcomes(&path, work).unwrap().is_empty());
        assert!(!path.exists());
        let mut log = Log::open(path.clone(), 2, Box::new(work), &mut |_| Ok(())).unwrap();
        log.row(&[1.5, -2.0]);
        log.left_out("b.wav: ü");
        assert!(log.kept().is_none());
        log.keep().unwrap();
        log.row(&[0.0, f32::MIN_POSITIVE]);
        log.keep().unwrap();
        log.row(&[9.0, 9.0]);
        drop(log);
        let wanted = [
            Outcome::Row(vec![1.5, -2.0]),
            Outcome::LeftOut("b.wav: ü".into()),
            Outcome::Row(vec![0.0, f32::MIN_POSITIVE]),
        ];
        assert_eq!(outcomes(&path, work).unwrap(), wanted);
        let other =
            || -> Result<Value> { Ok(json!({"model": "n", "window": 300.0, "channel": 1})) };
        let error = outcomes(&path, other).unwrap_err().to_string();
        let said = |name: &str| error.contains(name);
        assert!(said("channel") && said("model") && !said("window"), "{error}");
        assert_eq!(outcomes(&path, work).unwrap(), wanted);
        Log::open(path.clone(), 2, Box::new(work), &mut |_| Ok(())).unwrap().end().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn outputs_that_are_no_files_have_none() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Log::path_of(Path::new("-")).is_none());
        assert!(Log::path_of(dir.path()).is_none());
    }

    #[test]
    fn blocks_of_another_form_are_damage() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("e.part");
        let work = || -> Result<Value> { Ok(json!({"model": "m"})) };
        for block in [&[2u8][..], &[0, 1, 2, 3], &[1, 9, 0, 0, 0, 65], &[1, 0]] {
            let mut journal = Journal::create(&path, &json!({"model": "m"}).to_string()).unwrap();
            journal.append(block).unwrap();
            drop(journal);
            let error = outcomes(&path, work).unwrap_err().to_string();
            assert!(error.contains("e.part: is damaged"), "{error}");
            std::fs::remove_file(&path).unwrap();
        }
    }
}
