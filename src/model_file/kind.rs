//! What a safetensors file is, among those that this library writes.

use safetensors::tensor::SafeTensors;

use super::KEY;
use crate::scoring::{Embeddings, PldaForm};

/// A kind of file. Its header tells; nothing else is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// A network's model.
    Model,
    /// Embeddings.
    Embeddings,
    /// A PLDA model.
    Plda,
}

impl FileKind {
    /// The kind of a file's content, if it is one of these.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let (_, header) = SafeTensors::read_metadata(bytes).ok()?;
        if header.metadata().as_ref().is_some_and(|all| all.contains_key(KEY)) {
            Some(Self::Model)
        } else if PldaForm::of_content(bytes) == Some(PldaForm::Tensors) {
            Some(Self::Plda)
        } else {
            Embeddings::are_tensors(bytes).then_some(Self::Embeddings)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor_file::to_bytes;

    #[test]
    fn kinds_are_told_by_headers() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("e.safetensors");
        let mut all = Embeddings::new(1);
        all.push("a", &[1.0]).unwrap();
        all.save(&path).unwrap();
        let embeddings = std::fs::read(&path).unwrap();
        assert_eq!(FileKind::of(&embeddings), Some(FileKind::Embeddings));
        let with = |key: &str| to_bytes(&path, &[(key, "{}")], &[]).unwrap();
        assert_eq!(FileKind::of(&with(KEY)), Some(FileKind::Model));
        assert_eq!(FileKind::of(&with("plda")), Some(FileKind::Plda));
        assert_eq!(FileKind::of(&with("frontend")), None);
        assert_eq!(FileKind::of(&embeddings[..embeddings.len() - 1]), None);
        assert_eq!(FileKind::of(b"a text"), None);
    }
}
