//! A set of embeddings, and its file: safetensors with one f32 tensor `[dim]` an utterance, named by the utterance's id.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::error::{Error, Result};
use crate::{bytes, fs};

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

    /// Adds one. A known id or another dimension is an error.
    pub fn push(&mut self, id: &str, embedding: &[f32]) -> Result<()> {
        if embedding.len() != self.dim {
            let message = format!("embedding of `{id}` has {} values, the others {}", embedding.len(), self.dim);
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

    /// Values of an embedding.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Utterance ids in order.
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// The place of an id.
    pub fn position(&self, id: &str) -> Option<usize> {
        self.index.get(id).copied()
    }

    /// The embedding at a place.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.data[i * self.dim..(i + 1) * self.dim]
    }

    /// The mean embedding.
    pub fn mean(&self) -> Vec<f64> {
        let mut mean = vec![0.0; self.dim];
        for row in self.data.chunks_exact(self.dim.max(1)) {
            mean.iter_mut().zip(row).for_each(|(m, &x)| *m += f64::from(x));
        }
        mean.iter_mut().for_each(|m| *m /= self.len().max(1) as f64);
        mean
    }

    /// One embedding a speaker: the mean of the speaker's, by the speaker's name in alphabetical order.
    pub fn speaker_means(&self, speaker_of: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let mut sums: BTreeMap<String, (Vec<f64>, usize)> = BTreeMap::new();
        for (i, id) in self.ids.iter().enumerate() {
            let speaker =
                speaker_of(id).ok_or_else(|| Error::invalid(format!("utterance `{id}` has no speaker in utt2spk")))?;
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

    /// Writes the file (atomically).
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let bytes = bytes::from_f32(&self.data);
        let width = 4 * self.dim;
        let views = self.ids.iter().enumerate().map(|(i, id)| {
            let view = TensorView::new(Dtype::F32, vec![self.dim], &bytes[i * width..(i + 1) * width]);
            (id.as_str(), view.expect("bytes of the shape's size"))
        });
        let file = safetensors::serialize(views, None).map_err(|e| Error::file(path, e.to_string()))?;
        fs::write_bytes(path, &file)
    }

    /// Reads a file. Ids come in alphabetical order.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = fs::read(path)?;
        let file = SafeTensors::deserialize(&bytes)
            .map_err(|e| Error::file(path, format!("not a safetensors file of embeddings: {e}")))?;
        let mut tensors: Vec<(&str, TensorView)> = file.iter().collect();
        tensors.sort_unstable_by_key(|t| t.0);
        let mut all = Self::new(tensors.first().map_or(0, |t| t.1.shape().iter().product()));
        for (id, view) in tensors {
            if view.dtype() != Dtype::F32 || view.shape().len() != 1 {
                let found = format!("{:?} {:?}", view.dtype(), view.shape());
                return Err(Error::file(path, format!("`{id}` is {found}, an embedding is F32 [dim]")));
            }
            let row = bytes::to_f32(view.data());
            if row.iter().any(|x| !x.is_finite()) {
                return Err(Error::file(path, format!("embedding `{id}` holds values that are not numbers")));
            }
            all.push(id, &row).map_err(|e| Error::file(path, e.to_string()))?;
        }
        if all.is_empty() || all.dim == 0 {
            return Err(Error::file(path, "holds no embeddings"));
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gives_back_what_was_saved() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("e.safetensors");
        let mut e = Embeddings::new(2);
        e.push("b/2.wav", &[1.0, -2.5]).unwrap();
        e.push("a", &[0.5, 3.0]).unwrap();
        assert!(e.push("a", &[0.0, 0.0]).is_err() && e.push("c", &[0.0]).is_err());
        e.save(&path).unwrap();
        let f = Embeddings::load(&path).unwrap();
        assert_eq!(f.len(), 2);
        assert_eq!(f.row(f.position("b/2.wav").unwrap()), [1.0, -2.5]);
        assert_eq!(f.mean(), [0.75, 0.25]);
        let means = f.speaker_means(&|_| Some("s".into())).unwrap();
        assert_eq!(means.row(0), [0.75, 0.25]);
        assert!(f.speaker_means(&|_| None).is_err());
    }

    #[test]
    fn damaged_files_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("e.safetensors");
        let mut e = Embeddings::new(2);
        e.push("a", &[1.0, f32::NAN]).unwrap();
        e.save(&path).unwrap();
        assert!(Embeddings::load(&path).unwrap_err().to_string().contains("`a`"));
        let bytes = std::fs::read(&path).unwrap();
        for cut in [0, 4, 20, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            assert!(Embeddings::load(&path).unwrap_err().to_string().contains("e.safetensors"));
        }
    }
}
