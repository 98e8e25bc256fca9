//! What a cascade has embedded, kept in a file beside the output while the work lasts. A later
//! process goes on behind it.
//!
//! The file is a [`Journal`] of entries, in the order in which the work asks for them: the seconds
//! of a recording and those of its speech (f64), and its embedding (f32), little-endian.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::named::Named;
use super::side::Side;
use super::{Cascade, Source};
use crate::bytes::{from_f32, to_f32};
use crate::cli::Global;
use crate::error::{Error, Result};
use crate::fs::{self, Journal};

/// Bytes in front of an embedding.
const TIMES: usize = 16;

/// Says what work it is: an object. All of its values must be equal for the work to go on. It is
/// asked only where there is a file.
pub(super) type Description<'a> = dyn Fn() -> Result<Value> + 'a;

/// What is kept of a recording.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    /// Its length.
    pub seconds: f64,
    /// Seconds of speech.
    pub speech: f64,
    /// Its embedding, `[dim]`.
    pub row: Vec<f32>,
}

/// Entries of this process, and of an earlier one.
pub(super) struct Kept<'a> {
    /// None if the output is no file to be written whole.
    path: Option<PathBuf>,
    work: Box<Description<'a>>,
    /// The file, once something is in it.
    journal: Option<Journal>,
    /// Entries of an earlier process, and how many bytes of them were asked for.
    earlier: Vec<u8>,
    asked: usize,
    /// Entries that are not in the file yet.
    waiting: Vec<u8>,
}

impl<'a> Kept<'a> {
    /// Opens what an earlier process has left beside an output, if it has.
    ///
    /// # Errors
    /// A file of other work, which is not replaced; those of [`Journal::open`].
    pub fn open(output: &Path, work: Box<Description<'a>>) -> Result<Self> {
        let path = path_of(output);
        let mut earlier = Vec::new();
        let journal = match &path {
            Some(path) => {
                let check = |found: &str| same_work(path, found, &work()?);
                Journal::open(path, check, |block: &[u8]| {
                    earlier.extend_from_slice(block);
                    Ok(())
                })?
            }
            None => None,
        };
        Ok(Self { path, work, journal, earlier, asked: 0, waiting: Vec::new() })
    }

    /// The next entry of an earlier process, whose embedding has `dim` values.
    ///
    /// # Errors
    /// A file that ends within an entry.
    pub fn again(&mut self, dim: usize) -> Result<Option<Entry>> {
        let (left, bytes) = (&self.earlier[self.asked..], TIMES + size_of::<f32>() * dim);
        if left.is_empty() {
            return Ok(None);
        }
        let entry = left.get(..bytes).and_then(|entry| entry.split_first_chunk::<TIMES>());
        let Some((times, row)) = entry else {
            let path = self.path.as_deref().unwrap_or(Path::new(fs::STDOUT));
            return Err(Error::file(path, "is damaged; remove it to begin anew"));
        };
        let time = |at: usize| f64::from_le_bytes(std::array::from_fn(|i| times[at + i]));
        let entry = Entry { seconds: time(0), speech: time(TIMES / 2), row: to_f32(row) };
        self.asked += bytes;
        Ok(Some(entry))
    }

    /// Notes an entry.
    pub fn add(&mut self, entry: &Entry) {
        self.waiting.extend_from_slice(&entry.seconds.to_le_bytes());
        self.waiting.extend_from_slice(&entry.speech.to_le_bytes());
        self.waiting.extend_from_slice(&from_f32(&entry.row));
    }

    /// Writes what was noted. The work may begin anew here.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn keep(&mut self) -> Result<()> {
        if let Some(path) = &self.path {
            let journal = match &mut self.journal {
                Some(journal) => journal,
                None => {
                    let work = (self.work)()?.to_string();
                    self.journal.insert(Journal::create(path, &work)?)
                }
            };
            journal.append(&self.waiting)?;
        }
        self.waiting.clear();
        Ok(())
    }

    /// The file, if something is in it.
    pub fn file(&self) -> Option<&Path> {
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

/// Says what work it is, for the next process.
///
/// # Errors
/// A model that cannot be read.
pub(super) fn description(
    models: [&Side; 2],
    tested: &Named,
    source: &Source,
    args: &Cascade,
    global: &Global,
) -> Result<Value> {
    let mut hashes: Vec<String> = Vec::new();
    for model in models {
        let hash = Sha256::new().chain_update(fs::read(model.path())?).finalize();
        hashes.push(hash.iter().map(|byte| format!("{byte:02x}")).collect());
    }
    let (band, dev) = match source {
        Source::Given(band) => (Some(band.to_string()), None),
        Source::Dev(dev) => (None, Some(dev.digest())),
    };
    Ok(json!({
        "models": hashes,
        "trials": tested.digest(),
        "band": band,
        "band-from": dev,
        "loss": args.loss.to_string(),
        "compare": args.compare,
        "channel": args.channel,
        "backend": global.backend.name(),
        "version": env!("CARGO_PKG_VERSION"),
    }))
}

/// The file beside an output.
fn path_of(output: &Path) -> Option<PathBuf> {
    if fs::is_stdout(output) || output.exists() && !output.is_file() {
        return None;
    }
    let mut name = OsString::from(output);
    name.push(".part");
    Some(name.into())
}

/// Refuses a file of other work, and says in what it differs.
fn same_work(path: &Path, found: &str, wanted: &Value) -> Result<()> {
    let found: Value = serde_json::from_str(found).unwrap_or_default();
    let names = wanted.as_object().into_iter().flatten();
    let differ = names.filter(|(name, value)| found.get(name) != Some(*value));
    let differ: Vec<&str> = differ.map(|(name, _)| name.as_str()).collect();
    if differ.is_empty() {
        return Ok(());
    }
    let message = format!(
        "holds results of an unfinished run that differs in {}; run that one to its end, remove \
         the file to begin anew, or name another output",
        differ.join(", ")
    );
    Err(Error::file(path, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_in_their_order() {
        let dir = tempfile::tempdir().unwrap();
        let output = dir.path().join("scores");
        let open = |work: Value| Kept::open(&output, Box::new(move || Ok(work.clone())));
        let entry = |i: u8, dim: usize| Entry {
            seconds: f64::from(i) + 0.5,
            speech: f64::from(i),
            row: vec![f32::from(i); dim],
        };
        let mut kept = open(json!({"band": "-1:1"})).unwrap();
        assert_eq!(kept.again(2).unwrap(), None);
        kept.add(&entry(1, 2));
        assert!(kept.file().is_none());
        kept.keep().unwrap();
        kept.add(&entry(2, 3));
        kept.keep().unwrap();
        // What was not kept is lost.
        kept.add(&entry(3, 3));
        drop(kept);
        let error = open(json!({"band": "0:1"})).err().unwrap().to_string();
        assert!(error.contains("scores.part") && error.contains("differs in band"), "{error}");
        let mut kept = open(json!({"band": "-1:1"})).unwrap();
        assert_eq!(kept.again(2).unwrap(), Some(entry(1, 2)));
        assert_eq!(kept.again(3).unwrap(), Some(entry(2, 3)));
        assert_eq!(kept.again(3).unwrap(), None);
        drop(kept);
        let mut kept = open(json!({"band": "-1:1"})).unwrap();
        assert!(kept.again(100).unwrap_err().to_string().contains("is damaged"));
        kept.end().unwrap();
        assert!(!output.with_extension("part").exists());
        assert!(path_of(Path::new("-")).is_none() && path_of(dir.path()).is_none());
    }
}
