//! Results of WeSpeaker and of independent programs on synthetic embeddings, for tests.

use std::path::PathBuf;

use safetensors::tensor::{Dtype, SafeTensors};

use crate::scoring::{Embeddings, Groups};
use crate::shared::shared;

/// The results, on embeddings of two domains.
pub(in crate::scoring) struct Reference {
    pub folder: PathBuf,
    bytes: Vec<u8>,
}

impl Reference {
    /// The references, or nothing where the shared data is missing.
    pub fn open() -> Option<Self> {
        let folder = shared("fixtures/f10_backend")?;
        let bytes = std::fs::read(folder.join("backend.safetensors")).unwrap();
        Some(Self { folder, bytes })
    }

    /// Values and columns of a tensor.
    fn words<const N: usize>(&self, name: &str, dtype: Dtype) -> (Vec<[u8; N]>, usize) {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(view.dtype(), dtype, "{name}");
        (view.data().as_chunks::<N>().0.to_vec(), *view.shape().last().unwrap())
    }

    pub fn f64(&self, name: &str) -> Vec<f64> {
        self.words(name, Dtype::F64).0.into_iter().map(f64::from_le_bytes).collect()
    }

    pub fn i64(&self, name: &str) -> Vec<i64> {
        self.words(name, Dtype::I64).0.into_iter().map(i64::from_le_bytes).collect()
    }

    /// Rows of places.
    pub fn places(&self, name: &str) -> Vec<Vec<usize>> {
        let (words, columns) = self.words(name, Dtype::I64);
        let places: Vec<usize> =
            words.into_iter().map(|w| usize::try_from(i64::from_le_bytes(w)).unwrap()).collect();
        places.chunks_exact(columns).map(<[usize]>::to_vec).collect()
    }

    /// Pairs of places.
    pub fn trials(&self, name: &str) -> Vec<(usize, usize)> {
        self.places(name).into_iter().map(|pair| (pair[0], pair[1])).collect()
    }

    /// A set's embeddings; their ids are their numbers.
    pub fn embeddings(&self, set: &str) -> Embeddings {
        let (words, dim) = self.words(&format!("emb/{set}"), Dtype::F32);
        let values: Vec<f32> = words.into_iter().map(f32::from_le_bytes).collect();
        let mut all = Embeddings::new(dim);
        for (i, row) in values.chunks_exact(dim).enumerate() {
            all.push(&i.to_string(), row).unwrap();
        }
        all
    }

    /// A set's embeddings and who speaks them.
    pub fn speakers(&self, set: &str) -> (Embeddings, Groups) {
        let all = self.embeddings(set);
        let speakers = self.i64(&format!("speaker/{set}"));
        let speaker = |id: &str| Some(speakers[id.parse::<usize>().unwrap()].to_string());
        let groups = Groups::new(&all, &speaker).unwrap();
        (all, groups)
    }

    /// Compares with a table.
    pub fn check(&self, name: &str, ours: impl IntoIterator<Item = f64>, tolerance: f64) {
        let (ours, wanted): (Vec<f64>, _) = (ours.into_iter().collect(), self.f64(name));
        assert_eq!(ours.len(), wanted.len(), "{name}");
        for (i, (a, b)) in ours.iter().zip(&wanted).enumerate() {
            assert!((a - b).abs() <= tolerance, "{name} {i}: {a} instead of {b}");
        }
    }
}

/// The largest difference.
pub(in crate::scoring) fn far(ours: &[f64], wanted: &[f64]) -> f64 {
    assert_eq!(ours.len(), wanted.len());
    ours.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}
