//! What has become of utterances, kept in a file beside the output while the work lasts. A later
//! process goes on behind it.
//!
//! The file is a [`PartFile`]. A block holds the outcomes of the utterances from one place to the
//! next at which work may begin anew: the number of embeddings and the bytes of the outcomes (4
//! bytes each), the embeddings' values (f32), and the outcomes. An outcome is the byte 0 and the
//! seconds of speech (f64) of an utterance with an embedding, or the byte 1, the length (4 bytes)
//! and the text of the reason why it was left out. All numbers are little-endian, and zeros fill
//! the block up to a multiple of eight bytes: so the values can be used where they stand.

use std::path::{Path, PathBuf};

use crate::bytes::{from_f32, to_f32};
use crate::cli::part_file::{Description, PartFile};
use crate::corpus::Words;
use crate::error::Result;
use crate::scoring::Embeddings;

const ROW: u8 = 0;
const LEFT_OUT: u8 = 1;

/// Bytes in front of a block's values.
const HEAD: usize = 8;
/// The length of a block is a multiple of it.
const STEP: usize = 8;

/// What has become of an utterance.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    /// Its embedding, `[dim]`, and its seconds of speech.
    Row(Vec<f32>, f64),
    /// It was left out for this reason.
    LeftOut(String),
}

/// The outcomes of a run. Only those that are not in the file yet are in memory.
pub(super) struct Log<'a> {
    part: PartFile<'a>,
    dim: usize,
    /// Values of embeddings that are not in the file yet.
    rows: Vec<f32>,
    /// Outcomes that are not in the file yet.
    outcomes: Vec<u8>,
}

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
            let damaged = || PartFile::damaged(&place);
            let (mut rows, mut outcomes) = parts(block, dim).ok_or_else(damaged)?;
            while !outcomes.is_empty() {
                let outcome = next(&mut rows, &mut outcomes, dim).ok_or_else(damaged)?;
                take(outcome)?;
            }
            if rows.is_empty() { Ok(()) } else { Err(damaged()) }
        })?;
        Ok(Self { part, dim, rows: Vec::new(), outcomes: Vec::new() })
    }

    /// Notes an embedding, and the seconds of speech that it was made of.
    pub fn row(&mut self, row: &[f32], speech: f64) {
        self.rows.extend_from_slice(row);
        self.outcomes.push(ROW);
        self.outcomes.extend_from_slice(&speech.to_le_bytes());
    }

    /// Notes an utterance that was left out.
    pub fn left_out(&mut self, reason: &str) {
        self.outcomes.push(LEFT_OUT);
        self.outcomes.extend_from_slice(&(reason.len() as u32).to_le_bytes());
        self.outcomes.extend_from_slice(reason.as_bytes());
    }

    /// Writes what was noted. The work may begin anew here.
    ///
    /// # Errors
    /// Those of [`PartFile::keep`].
    pub fn keep(&mut self) -> Result<()> {
        let Self { part, dim, rows, outcomes } = self;
        let count = rows.len() / *dim;
        let bytes = HEAD + size_of_val::<[f32]>(rows) + outcomes.len();
        part.note(&(count as u32).to_le_bytes());
        part.note(&(outcomes.len() as u32).to_le_bytes());
        part.note(&from_f32(rows));
        part.note(outcomes);
        part.note(&[0; STEP][..bytes.next_multiple_of(STEP) - bytes]);
        rows.clear();
        outcomes.clear();
        part.keep()
    }

    /// The embeddings of all utterances that have one, whose `ids` are these. Their values stay in
    /// the file, if there is one.
    ///
    /// # Errors
    /// Those of [`PartFile::keep`] and [`PartFile::blocks`]; a file that something else has
    /// changed.
    pub fn embeddings(&mut self, ids: Words) -> Result<Embeddings> {
        if self.kept().is_some() && !self.outcomes.is_empty() {
            self.keep()?;
        }
        let Some((file, blocks)) = self.part.blocks()? else {
            let mut all = Embeddings::new(self.dim);
            let mut rows = ids.iter().zip(self.rows.chunks_exact(self.dim));
            return rows.try_for_each(|((id, _), row)| all.push(id, row)).map(|()| all);
        };
        let damaged = || PartFile::damaged(self.part.path());
        let mut ranges = Vec::with_capacity(blocks.len());
        for block in blocks {
            let (rows, _) = parts(&file[block.clone()], self.dim).ok_or_else(damaged)?;
            let begin = block.start + HEAD;
            ranges.push(begin..begin + rows.len());
        }
        Embeddings::in_file(ids, self.dim, file, &ranges).map_err(|_| damaged())
    }

    /// The file, if something is in it.
    pub fn kept(&self) -> Option<&Path> {
        self.part.kept()
    }

    /// Removes the file: the output is written.
    ///
    /// # Errors
    /// Those of [`PartFile::end`].
    pub fn end(self) -> Result<()> {
        self.part.end()
    }
}

/// The values and the outcomes of a block.
fn parts(block: &[u8], dim: usize) -> Option<(&[u8], &[u8])> {
    let (count, rest) = block.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let [count, length] = [count, length].map(|bytes| u32::from_le_bytes(*bytes) as usize);
    let (rows, rest) = rest.split_at_checked(count.checked_mul(size_of::<f32>() * dim)?)?;
    let (outcomes, zeros) = rest.split_at_checked(length)?;
    (zeros.len() < STEP && zeros.iter().all(|byte| *byte == 0)).then_some((rows, outcomes))
}

/// Takes the next outcome away from those of a block, and its embedding from the values.
fn next(rows: &mut &[u8], outcomes: &mut &[u8], dim: usize) -> Option<Outcome> {
    let (kind, rest) = outcomes.split_first()?;
    let (outcome, rest) = match *kind {
        ROW => {
            let (speech, rest) = rest.split_first_chunk::<8>()?;
            let (row, others) = rows.split_at_checked(size_of::<f32>() * dim)?;
            *rows = others;
            (Outcome::Row(to_f32(row), f64::from_le_bytes(*speech)), rest)
        }
        LEFT_OUT => {
            let (length, rest) = rest.split_first_chunk::<4>()?;
            let (reason, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            (Outcome::LeftOut(String::from_utf8_lossy(reason).into_owned()), rest)
        }
        _ => return None,
    };
    *outcomes = rest;
    Some(outcome)
}

#[cfg(test)]
mod tests;
