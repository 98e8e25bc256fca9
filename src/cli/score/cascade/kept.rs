//! What a cascade has embedded, kept in a file beside the output while the work lasts. A later
//! process goes on behind it.
//!
//! The file is a [`PartFile`] of entries, in the order in which the work asks for them: the seconds
//! of a recording and those of its speech (f64), and its embedding (f32), little-endian.

use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::named::Named;
use super::side::Side;
use super::{Cascade, Source};
use crate::bytes::{from_f32, hex, to_f32};
use crate::cli::Global;
use crate::cli::part_file::{Description, PartFile};
use crate::error::Result;
use crate::fs;

/// Bytes in front of an embedding.
const TIMES: usize = 16;

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
    part: Option<PartFile<'a>>,
    /// Entries of an earlier process, and how many bytes of them were asked for.
    earlier: Vec<u8>,
    asked: usize,
}

impl<'a> Kept<'a> {
    /// Opens what an earlier process has left beside an output, if it has.
    ///
    /// # Errors
    /// Those of [`PartFile::open`].
    pub fn open(output: &Path, work: Box<Description<'a>>) -> Result<Self> {
        let mut earlier = Vec::new();
        let take = |block: &[u8]| {
            earlier.extend_from_slice(block);
            Ok(())
        };
        let part = PartFile::path_of(output)
            .map(|path| PartFile::open(path, "that differs in", work, take));
        let part = part.transpose()?;
        Ok(Self { part, earlier, asked: 0 })
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
            let path = self.part.as_ref().map_or(Path::new(fs::STDOUT), PartFile::path);
            return Err(PartFile::damaged(path));
        };
        let time = |at: usize| f64::from_le_bytes(std::array::from_fn(|i| times[at + i]));
        let entry = Entry { seconds: time(0), speech: time(TIMES / 2), row: to_f32(row) };
        self.asked += bytes;
        Ok(Some(entry))
    }

    /// Notes an entry.
    pub fn add(&mut self, entry: &Entry) {
        if let Some(part) = &mut self.part {
            part.note(&entry.seconds.to_le_bytes());
            part.note(&entry.speech.to_le_bytes());
            part.note(&from_f32(&entry.row));
        }
    }

    /// Writes what was noted. The work may begin anew here.
    ///
    /// # Errors
    /// Those of [`PartFile::keep`].
    pub fn keep(&mut self) -> Result<()> {
        self.part.as_mut().map_or(Ok(()), PartFile::keep)
    }

    /// The file, if something is in it.
    pub fn file(&self) -> Option<&Path> {
        self.part.as_ref()?.kept()
    }

    /// Removes the file: the output is written.
    ///
    /// # Errors
    /// Those of [`PartFile::end`].
    pub fn end(self) -> Result<()> {
        self.part.map_or(Ok(()), PartFile::end)
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
        hashes.push(hex(Sha256::new().chain_update(fs::read(model.path())?)));
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
        assert!(
            PartFile::path_of(Path::new("-")).is_none() && PartFile::path_of(dir.path()).is_none()
        );
    }
}
