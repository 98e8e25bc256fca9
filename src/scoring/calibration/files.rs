//! The files that a calibration was fitted on.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::kind::content_hash;
use crate::error::Result;

/// A file that a calibration was fitted on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FittedFile {
    /// Its name, without folders.
    pub name: String,
    /// SHA-256 of its content, in hex; nothing for a pipe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl FittedFile {
    /// The file at a path.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn of(path: &Path) -> Result<Self> {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Ok(Self { name, sha256: content_hash(path)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_name_and_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scores");
        std::fs::write(&path, "abc").unwrap();
        // The digest of `abc` in FIPS 180-4's examples.
        let wanted = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let file = FittedFile::of(&path).unwrap();
        assert_eq!((file.name.as_str(), file.sha256.as_deref()), ("scores", Some(wanted)));
        assert!(FittedFile::of(&dir.path().join("none")).is_err());
    }
}
