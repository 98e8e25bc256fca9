//! Where NumPy's archives are not read or written: what unpacks them wants a system's random
//! numbers, which a browser's page has only through JavaScript.

use std::path::Path;

use super::Embeddings;
use crate::error::{Error, Result};
use crate::fs::Mapped;

/// The refusal of an archive.
pub(super) fn load(path: &Path, _bytes: Mapped) -> Result<Embeddings> {
    Err(Error::file(path, "NumPy's archives (.npz) are not read here; .safetensors files are"))
}

/// The refusal of an archive.
pub(super) fn save(_all: &Embeddings, path: &Path) -> Result<()> {
    Err(Error::file(path, "NumPy's archives (.npz) are not written here; .safetensors files are"))
}
