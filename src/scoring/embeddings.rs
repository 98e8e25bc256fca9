//! A set of embeddings, and its files (see [`Embeddings::load`] and [`Embeddings::save_as`]).

mod file;
mod kaldi;
mod merge;
#[cfg(not(target_family = "wasm"))]
mod npy;
#[cfg_attr(target_family = "wasm", path = "embeddings/without_npz.rs")]
pub(crate) mod npz;
mod origin;
mod rows;
mod tensors;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::Path;

pub use merge::{Merged, merge};
pub use origin::Origin;

use crate::corpus::Words;
use crate::error::{Error, Result};
use crate::fs::Mapped;
use rows::Rows;

/// Embeddings by utterance id, all of one dimension. Those of a long file stay in it (see
/// [`Embeddings::load`]).
#[derive(Clone, Default)]
pub struct Embeddings {
    /// The ids, by their numbers.
    ids: Words,
    rows: Rows,
    dim: usize,
}

impl Embeddings {
    /// An empty set of `dim`-dimensional embeddings.
    pub fn new(dim: usize) -> Self {
        Self { dim, ..Self::default() }
    }

    /// The embeddings of `ids`, whose values `[n, dim]` stand in ranges of a file, one behind the
    /// other: f32, little-endian. They stay there and are read where they are looked at.
    ///
    /// # Errors
    /// Ranges that do not hold whole embeddings, or not one for each id.
    pub fn in_file(ids: Words, dim: usize, file: Mapped, ranges: &[Range<usize>]) -> Result<Self> {
        let row = dim.saturating_mul(size_of::<f32>()).max(1);
        let is_whole = |range: &Range<usize>| {
            file.get(range.clone()).is_some_and(|bytes| bytes.len().is_multiple_of(row))
        };
        if !ranges.iter().all(is_whole) {
            return Err(Error::invalid("a range of a file holds no whole embeddings"));
        }
        let rows = Rows::of_blocks(file, ranges);
        if rows.len() != ids.len() * dim {
            let (count, found) = (ids.len(), rows.len());
            return Err(Error::invalid(format!(
                "{found} values for {count} embeddings of {dim} values"
            )));
        }
        Ok(Self { ids, rows, dim })
    }

    /// Adds an embedding, `[dim]`.
    ///
    /// # Errors
    /// An id that the set has already; another dimension.
    pub fn push(&mut self, id: &str, embedding: &[f32]) -> Result<()> {
        if embedding.len() != self.dim {
            let message = format!(
                "embedding of `{id}` has {} values, the others {}",
                embedding.len(),
                self.dim
            );
            return Err(Error::invalid(message));
        }
        self.push_id(id)?;
        self.rows.extend(embedding);
        Ok(())
    }

    /// Adds an id, whose row must follow.
    fn push_id(&mut self, id: &str) -> Result<()> {
        let count = self.len();
        match self.ids.intern(id, count + 1) {
            Some(number) if number as usize == count => Ok(()),
            Some(_) => Err(Error::invalid(format!("two embeddings of `{id}`"))),
            None => Err(Error::invalid(format!("more than {count} embeddings"))),
        }
    }

    /// Number of embeddings.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Whether the content of a file is the project's own form: a safetensors file of one matrix
    /// and the ids. Only its header is looked at.
    pub fn are_tensors(bytes: &[u8]) -> bool {
        tensors::is_it(bytes)
    }

    /// Number of values of an embedding.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The utterances' ids, in the order of the embeddings.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        (0..self.len()).map(|i| self.id(i))
    }

    /// The id of the embedding at a place.
    ///
    /// # Panics
    /// If there is no such place.
    pub fn id(&self, i: usize) -> &str {
        // `Words` has fewer than 2^31.
        self.ids.get(i as u32)
    }

    /// The place of an id.
    pub fn position(&self, id: &str) -> Option<usize> {
        self.ids.find(id).map(|i| i as usize)
    }

    /// The embedding at a place, `[dim]`.
    pub fn row(&self, i: usize) -> &[f32] {
        self.rows.get(i * self.dim..(i + 1) * self.dim)
    }

    /// The mean embedding, `[dim]`. It is zero if there are none.
    pub fn mean(&self) -> Vec<f64> {
        let mut mean = vec![0.0; self.dim];
        for piece in self.rows.pieces() {
            for row in piece.chunks_exact(self.dim.max(1)) {
                mean.iter_mut().zip(row).for_each(|(m, &x)| *m += f64::from(x));
            }
        }
        mean.iter_mut().for_each(|m| *m /= self.len().max(1) as f64);
        mean
    }

    /// The mean embedding of each speaker, by the speaker's name, in alphabetical order.
    ///
    /// # Errors
    /// An utterance for which `speaker_of` has no speaker.
    pub fn speaker_means(&self, speaker_of: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let mut sums: BTreeMap<String, (Vec<f64>, usize)> = BTreeMap::new();
        for (i, id) in self.ids().enumerate() {
            let speaker = speaker_of(id).ok_or_else(|| {
                Error::invalid(format!("utterance `{id}` has no speaker in utt2spk"))
            })?;
            let (sum, n) = sums.entry(speaker).or_insert_with(|| (vec![0.0; self.dim], 0));
            sum.iter_mut().zip(self.row(i)).for_each(|(s, &x)| *s += f64::from(x));
            *n += 1;
        }
        let mut means = Self::new(self.dim);
        for (speaker, (sum, n)) in sums {
            let mean: Vec<f32> = sum.iter().map(|s| (s / n as f64) as f32).collect();
            means.push(&speaker, &mean)?;
        }
        Ok(means)
    }

    /// Writes a safetensors file atomically: a matrix `embeddings` `[n, dim]` (F32), the
    /// utterances' `ids` (U8: UTF-8 text, one id a line) and a checksum (see
    /// [`tensor_file`](crate::tensor_file)).
    ///
    /// # Errors
    /// An id with a line break; otherwise as [`crate::fs::write_atomic`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        tensors::save(self, path.as_ref(), None)
    }

    /// Writes the file that the output's name asks for:
    ///
    /// | name | file |
    /// |---|---|
    /// | `E.ark`, `ark:E`, `ark,t:E` | Kaldi's archive of vectors ([`crate::archive`]) |
    /// | `ark,scp:E,L` | an archive and its list |
    /// | `E.npz` | NumPy's arrays `embeddings` `[n, dim]` (f32) and `ids` (text) |
    /// | any other | safetensors, as [`save`](Self::save) writes it; `-` is standard output |
    ///
    /// # Errors
    /// An id that the file cannot keep; those of [`check_output`](Self::check_output); otherwise as
    /// [`crate::fs::write_atomic`].
    pub fn save_as(&self, output: impl AsRef<Path>) -> Result<()> {
        file::save_as(self, output.as_ref(), None)
    }

    /// [`save_as`](Self::save_as) for the embeddings of a shard. A safetensors file says where they
    /// come from, for [`merge()`]; other files have no place for that.
    ///
    /// # Errors
    /// Those of [`save_as`](Self::save_as).
    pub fn save_shard(&self, output: impl AsRef<Path>, origin: &Origin) -> Result<()> {
        file::save_as(self, output.as_ref(), Some(origin))
    }

    /// Looks at the name of an output before the work for it begins.
    ///
    /// # Errors
    /// A name that is not understood, or whose ending promises a format that is not written, such
    /// as `E.csv`.
    pub fn check_output(output: impl AsRef<Path>) -> Result<()> {
        file::check_output(output.as_ref())
    }

    /// Reads a file of embeddings: those that [`save_as`](Self::save_as) writes, a Kaldi list
    /// (`E.scp`, `scp:E`), and safetensors with one tensor `[dim]` for each utterance, named by its
    /// id. `-` is standard input.
    ///
    /// The values of a long safetensors file of ours stay in the file and are read where they are
    /// looked at, after one pass that checks them ([`crate::fs::map()`] says what that asks of
    /// others). Those of other files are read into memory.
    ///
    /// # Errors
    /// A file whose checksum does not match its content; a file without embeddings; embeddings of
    /// different dimensions or with values that are not finite, by their ids.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        file::load(path.as_ref())
    }
}

impl fmt::Debug for Embeddings {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} embeddings of {} values", self.len(), self.dim)
    }
}

#[cfg(test)]
mod tests;
