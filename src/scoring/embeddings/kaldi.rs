//! Embeddings in Kaldi's archives: a vector an utterance.

use super::Embeddings;
use crate::archive::{Output, Reader, View};
use crate::error::Result;

/// Reads all vectors.
pub(super) fn load(reader: Reader) -> Result<Embeddings> {
    let mut all = Embeddings::default();
    for entry in reader {
        let entry = entry?;
        let values = entry.vector()?;
        if all.is_empty() {
            all.dim = values.len();
        }
        all.push(&entry.key, values).map_err(|e| entry.error(&e.to_string()))?;
    }
    Ok(all)
}

pub(super) fn save(all: &Embeddings, output: &Output) -> Result<()> {
    output.write(all.len(), &|i| all.id(i), &|i| View::Vector(all.row(i)))
}
