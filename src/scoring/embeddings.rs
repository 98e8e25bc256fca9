//! A set of embeddings, and its file: safetensors with a matrix `embeddings` [n, dim] (F32) and the
//! utterances' `ids` (UTF-8 text, one id a line, U8), and with a checksum (see [`tensor_file`]).
//!
//! Files with one tensor `[dim]` an utterance, named by its id, are read too. They are not written,
//! since a safetensors header holds about a million names at most.

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

    /// Adds one. A known id or another dimension is an error.
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

    /// One embedding a speaker: the mean of the speaker's, by the speaker's name in alphabetical
    /// order.
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

    /// Writes the file (atomically).
    ///
    /// # Errors
    /// An id with a line break; what [`crate::fs::write_atomic`] refuses.
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
    /// A file whose checksum is not that of its content; embeddings of different dimensions and
    /// values that are not finite, with the utterance.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bad = |message: String| Error::file(path, message);
        let file = tensor_file::read_foreign(path, "safetensors file of embeddings")?;
        let contents = file.tensors();
        let mut tensors: Vec<(&str, TensorView)> = contents.iter().collect();
        tensors.sort_unstable_by_key(|t| t.0);
        let all = match tensors.as_slice() {
            [(MATRIX, matrix), (IDS, ids)] if ids.dtype() == Dtype::U8 => {
                // Other programs write the other form.
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
mod tests {
    use safetensors::tensor::SafeTensors;

    use super::*;
    use crate::tensor_file::flipped;

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
    fn both_forms_of_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("e.safetensors");
        let rows = [("embeddings", [1.0f32, 2.0]), ("ids", [3.0, 4.0]), ("ü\u{1b}", [5.0, 6.0])];
        let data: Vec<Vec<u8>> = rows.iter().map(|r| bytes::from_f32(&r.1)).collect();
        for count in [2, 3] {
            // Even utterances of these names.
            let views = rows
                .iter()
                .zip(&data)
                .take(count)
                .map(|(r, d)| (r.0, TensorView::new(Dtype::F32, vec![2], d).unwrap()));
            std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
            let old = Embeddings::load(&path).unwrap();
            old.save(&path).unwrap();
            let new = Embeddings::load(&path).unwrap();
            assert_eq!(
                (old.ids(), old.data.as_slice(), old.dim()),
                (new.ids(), new.data.as_slice(), 2)
            );
            let id = rows[count - 1].0;
            assert_eq!(new.row(new.position(id).unwrap()), rows[count - 1].1);
        }
        // Our writer and the crate agree on what the format is.
        let file_bytes = std::fs::read(&path).unwrap();
        let file = SafeTensors::deserialize(&file_bytes).unwrap();
        assert_eq!(file.tensor("embeddings").unwrap().shape(), [3, 2]);
        assert_eq!(file.tensor("ids").unwrap().data(), "embeddings\nids\nü\u{1b}\n".as_bytes());
        let mut broken = Embeddings::new(1);
        broken.push("a\nb", &[1.0]).unwrap();
        assert!(broken.save(&path).unwrap_err().to_string().contains("line break"));
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

    #[test]
    fn a_flipped_bit_anywhere_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("e.safetensors");
        let mut e = Embeddings::new(16);
        for i in 0u8..50 {
            e.push(&format!("speaker/{i:02}.wav"), &[f32::from(i); 16]).unwrap();
        }
        e.save(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for (bit, damaged) in flipped(&bytes, 300) {
            std::fs::write(&path, &damaged).unwrap();
            let error = Embeddings::load(&path).unwrap_err().to_string();
            assert!(error.contains("e.safetensors: "), "bit {bit}: {error}");
        }
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(Embeddings::load(&path).unwrap().len(), 50);
    }

    #[test]
    fn files_from_before_there_were_checksums_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("e.safetensors");
        let values = bytes::from_f32(&[1.0, 2.0, 3.0, 4.0]);
        let views = [
            (MATRIX, Dtype::F32, vec![2, 2], values.as_slice()),
            (IDS, Dtype::U8, vec![4], &b"a\nb\n"[..]),
        ]
        .map(|(name, dtype, shape, bytes)| (name, TensorView::new(dtype, shape, bytes).unwrap()));
        std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
        let old = Embeddings::load(&path).unwrap();
        assert_eq!(
            (old.ids(), old.data.as_slice()),
            (&["a".to_owned(), "b".to_owned()][..], &[1.0, 2.0, 3.0, 4.0][..])
        );
        old.save(&path).unwrap();
        assert!(tensor_file::read(&path, "file").unwrap().has_checksum());
    }
}
