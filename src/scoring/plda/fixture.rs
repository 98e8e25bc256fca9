//! The references of the shared data, for tests.

use std::path::PathBuf;

use safetensors::tensor::{Dtype, SafeTensors};

use crate::scoring::{Embeddings, Groups};
use crate::shared::shared;

/// WeSpeaker's results on synthetic embeddings of two domains.
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

    fn words(&self, name: &str, dtype: Dtype) -> Vec<[u8; 8]> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(view.dtype(), dtype, "{name}");
        view.data().as_chunks::<8>().0.to_vec()
    }

    pub fn f64(&self, name: &str) -> Vec<f64> {
        self.words(name, Dtype::F64).into_iter().map(f64::from_le_bytes).collect()
    }

    pub fn i64(&self, name: &str) -> Vec<i64> {
        self.words(name, Dtype::I64).into_iter().map(i64::from_le_bytes).collect()
    }

    /// A set's embeddings; their ids are their numbers.
    pub fn embeddings(&self, set: &str) -> Embeddings {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = file.tensor(&format!("emb/{set}")).unwrap();
        let (values, dim) = (crate::bytes::to_f32(view.data()), view.shape()[1]);
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
}

/// The largest difference.
pub(in crate::scoring) fn far(ours: &[f64], wanted: &[f64]) -> f64 {
    assert_eq!(ours.len(), wanted.len());
    ours.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Numbers in pairs.
pub(in crate::scoring) fn pairs(numbers: &[i64]) -> Vec<(usize, usize)> {
    numbers.as_chunks::<2>().0.iter().map(|&[a, b]| (a as usize, b as usize)).collect()
}
