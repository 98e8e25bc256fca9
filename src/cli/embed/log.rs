//! What has become of utterances, kept in a file beside the output while the work lasts. A later
//! process goes on behind it.
//!
//! The file is a [`PartFile`]. A block holds the outcomes of the utterances from one place to the
//! next at which work may begin anew: for each a byte, 0 before the embedding's values (f32,
//! little-endian), 1 before the length (4 bytes) and the text of the reason why it was left out.

use std::path::{Path, PathBuf};

use crate::bytes::{from_f32, to_f32};
use crate::cli::part_file::{Description, PartFile};
use crate::error::Result;

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

/// The outcomes of a run.
pub(super) struct Log<'a>(PartFile<'a>);

impl<'a> Log<'a> {
    /// Opens what an earlier process has left, if it has, and gives its outcomes to `take`, in
    /// order.
    ///
    /// # Errors
    /// Those of [`PartFile::open`]; a damaged file.
    pub fn open(
        path: PathBuf,
        dim: usize,
        work: Box<Description<'a>>,
        take: &mut dyn FnMut(Outcome) -> Result<()>,
    ) -> Result<Self> {
        let place = path.clone();
        let part = PartFile::open(path, "with another", work, |block| {
            let mut left = block;
            while !left.is_empty() {
                let (outcome, rest) = decode(left, dim).ok_or_else(|| PartFile::damaged(&place))?;
                take(outcome)?;
                left = rest;
            }
            Ok(())
        })?;
        Ok(Self(part))
    }

    /// Notes an embedding.
    pub fn row(&mut self, row: &[f32]) {
        self.0.note(&[ROW]);
        self.0.note(&from_f32(row));
    }

    /// Notes an utterance that was left out.
    pub fn left_out(&mut self, reason: &str) {
        self.0.note(&[LEFT_OUT]);
        self.0.note(&(reason.len() as u32).to_le_bytes());
        self.0.note(reason.as_bytes());
    }

    /// Writes what was noted. The work may begin anew here.
    ///
    /// # Errors
    /// Those of [`PartFile::keep`].
    pub fn keep(&mut self) -> Result<()> {
        self.0.keep()
    }

    /// The file, if something is in it.
    pub fn kept(&self) -> Option<&Path> {
        self.0.kept()
    }

    /// Removes the file: the output is written.
    ///
    /// # Errors
    /// Those of [`PartFile::end`].
    pub fn end(self) -> Result<()> {
        self.0.end()
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
    use serde_json::{Value, json};

    use super::*;
    use crate::fs::Journal;

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
        let path = PartFile::path_of(&dir.path().join("e.safetensors")).unwrap();
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
