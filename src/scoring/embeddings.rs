//! A set of embeddings, and its file: safetensors with a matrix `embeddings` `[n, dim]` (F32), the
//! utterances' `ids` (U8: UTF-8 text, one id a line) and a checksum (see [`tensor_file`]).
//!
//! Files with one tensor `[dim]` for each utterance, named by its id, are read too. They are not
//! written, since a safetensors header holds at most about a million names.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};

use crate::bytes;
use crate::error::{Error, Result};
use crate::tensor_file::{self, Part};

/// The tensor of all embeddings.
const MATRIX: &str = "embeddings";
/// The tensor of their ids.
const IDS: &str = "ids";

/// Embeddings by utterance id, all of one dimension.
#[derive(Debug, Clone, Default)]
pub struct Embeddings {
    ids: Vec<String>,
    index: HashMap<String, usize>,
    data: Vec<f32>,
    dim: usize,
}

impl Embeddings {
    /// An empty set of `dim`-dimensional embeddings.
    pub fn new(dim: usize) -> Self {
        Self { dim, ..Self::default() }
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
        if self.index.insert(id.to_owned(), self.ids.len()).is_some() {
            return Err(Error::invalid(format!("two embeddings of `{id}`")));
        }
        self.ids.push(id.to_owned());
        self.data.extend_from_slice(embedding);
        Ok(())
    }

    /// Number of embeddings.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Number of values of an embedding.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The utterances' ids, in the order of the embeddings.
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// The place of an id.
    pub fn position(&self, id: &str) -> Option<usize> {
        self.index.get(id).copied()
    }

    /// The embedding at a place, `[dim]`.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.data[i * self.dim..(i + 1) * self.dim]
    }

    /// The mean embedding, `[dim]`. It is zero if there are none.
    pub fn mean(&self) -> Vec<f64> {
        let mut mean = vec![0.0; self.dim];
        for row in self.data.chunks_exact(self.dim.max(1)) {
            mean.iter_mut().zip(row).for_each(|(m, &x)| *m += f64::from(x));
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
        for (i, id) in self.ids.iter().enumerate() {
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

    /// Writes the file atomically.
    ///
    /// # Errors
    /// An id with a line break; otherwise as [`crate::fs::write_atomic`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        if let Some(id) = self.ids.iter().find(|id| id.contains(['\n', '\r'])) {
            return Err(Error::file(
                path,
                format!("the id {id:?} holds a line break, which the file cannot keep"),
            ));
        }
        let text: String = self.ids.iter().map(|id| format!("{id}\n")).collect();
        let (values, ids) = (self.data.as_slice().into(), text.as_bytes().into());
        let parts = [
            Part {
                name: MATRIX.into(),
                dtype: Dtype::F32,
                shape: vec![self.len(), self.dim],
                bytes: values,
            },
            Part { name: IDS.into(), dtype: Dtype::U8, shape: vec![text.len()], bytes: ids },
        ];
        tensor_file::write(path, &[], &parts)
    }

    /// Reads the file, in either form.
    ///
    /// # Errors
    /// A file whose checksum does not match its content; a file without embeddings; embeddings of
    /// different dimensions or with values that are not finite, by their ids.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bad = |message: String| Error::file(path, message);
        let file = tensor_file::read_foreign(path, "safetensors file of embeddings")?;
        let contents = file.tensors();
        let mut tensors: Vec<(&str, TensorView)> = contents.iter().collect();
        tensors.sort_unstable_by_key(|t| t.0);
        let all = match tensors.as_slice() {
            [(MATRIX, matrix), (IDS, ids)] if ids.dtype() == Dtype::U8 => {
                // Only this form is ours, and has a checksum.
                file.note_unchecked(path);
                Self::of_matrix(matrix, ids)
            }
            _ => Self::of_vectors(&tensors),
        };
        let all = all.map_err(|e| bad(e.to_string()))?;
        if let Some(i) = (0..all.len()).find(|&i| all.row(i).iter().any(|x| !x.is_finite())) {
            return Err(bad(format!(
                "embedding `{}` holds values that are not numbers",
                all.ids[i]
            )));
        }
        match all.is_empty() || all.dim == 0 {
            true => Err(bad("holds no embeddings".into())),
            false => Ok(all),
        }
    }

    /// From `embeddings` `[n, dim]` and `ids`.
    fn of_matrix(matrix: &TensorView, ids: &TensorView) -> Result<Self> {
        let &[count, dim] = matrix.shape() else {
            return Err(Error::invalid(format!(
                "`embeddings` has shape {:?}, [n, dim] is wanted",
                matrix.shape()
            )));
        };
        if matrix.dtype() != Dtype::F32 {
            return Err(Error::invalid(format!(
                "`embeddings` is {:?}, F32 is wanted",
                matrix.dtype()
            )));
        }
        let text = std::str::from_utf8(ids.data())
            .map_err(|e| Error::invalid(format!("`ids` is not UTF-8: {e}")))?;
        let found = text.lines().count();
        if found != count {
            return Err(Error::invalid(format!("{found} ids for {count} embeddings")));
        }
        let mut all = Self::new(dim);
        all.data.reserve_exact(count * dim);
        for (id, row) in text.lines().zip(matrix.data().chunks_exact((4 * dim).max(1))) {
            all.push(id, &bytes::to_f32(row))?;
        }
        Ok(all)
    }

    /// From one tensor `[dim]` for each utterance.
    fn of_vectors(tensors: &[(&str, TensorView)]) -> Result<Self> {
        let mut all = Self::new(tensors.first().map_or(0, |t| t.1.shape().iter().product()));
        for (id, view) in tensors {
            if view.dtype() != Dtype::F32 || view.shape().len() != 1 {
                let found = format!("{:?} {:?}", view.dtype(), view.shape());
                return Err(Error::invalid(format!(
                    "`{id}` is {found}, an embedding is F32 [dim]"
                )));
            }
            all.push(id, &bytes::to_f32(view.data()))?;
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests;
