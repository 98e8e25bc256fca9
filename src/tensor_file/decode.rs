//! Reads files.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use safetensors::SafeTensorError;
use safetensors::tensor::SafeTensors;
use sha2::{Digest, Sha256};

use super::foreign::{Foreign, foreign};
use super::{LENGTH, checksum};
use crate::bytes::hex;
use crate::error::{Error, Remedy, Result};
use crate::fs::{self, Mapped};
use crate::terminal::note;

/// Whether checksums are ignored.
static SKIP: AtomicBool = AtomicBool::new(false);

/// Makes this process ignore checksums from now on.
pub fn skip_checksums() {
    SKIP.store(true, Ordering::Relaxed);
}

fn is_checked() -> bool {
    !SKIP.load(Ordering::Relaxed)
}

/// A file that was read.
#[derive(Debug)]
pub struct Contents {
    bytes: Mapped,
    has_checksum: bool,
    /// The metadata, without the checksum.
    pub metadata: BTreeMap<String, String>,
}

impl Contents {
    /// The tensors.
    pub fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes)
            .expect("these bytes were taken apart when they were read")
    }

    /// Where a tensor's bytes are in the file, if it has the tensor.
    pub fn place(&self, name: &str) -> Option<Range<usize>> {
        let (length, header) = SafeTensors::read_metadata(&self.bytes).ok()?;
        let (begin, end) = header.info(name)?.data_offsets;
        let data = LENGTH + length;
        Some(data + begin..data + end)
    }

    /// The bytes of the whole file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The whole file.
    pub fn into_bytes(self) -> Mapped {
        self.bytes
    }

    /// Whether the file has a checksum.
    pub fn has_checksum(&self) -> bool {
        self.has_checksum
    }

    /// SHA-256 of the file as it is, in hex: what `sha256sum` says of it.
    pub fn hash(&self) -> String {
        hex(Sha256::new_with_prefix(&self.bytes[..]))
    }

    /// Notes that the file `path` has no checksum, if it has none, so that damage goes unnoticed.
    pub fn note_unchecked(&self, path: &Path) {
        if !self.has_checksum && is_checked() {
            note!("{}: has no checksum; damage would not be noticed", path.display());
        }
    }
}

/// Reads a file that revox has written; `what` it is appears in errors. A file without a checksum,
/// from an older version, is read with a [note](Contents::note_unchecked).
///
/// # Errors
/// A file that is no safetensors file, or whose checksum is not that of its content.
pub fn read(path: &Path, what: &str) -> Result<Contents> {
    let contents = read_foreign(path, what)?;
    contents.note_unchecked(path);
    Ok(contents)
}

/// Reads a file that another program may have written, with or without a checksum.
///
/// # Errors
/// Those of [`read`].
pub fn read_foreign(path: &Path, what: &str) -> Result<Contents> {
    decode(path, fs::read(path)?.into(), what, is_checked())
}

/// The contents of a file that is in memory; `path` stands for its name in errors.
///
/// # Errors
/// Those of [`read`].
pub fn from_bytes(path: &Path, bytes: Vec<u8>, what: &str) -> Result<Contents> {
    of_mapped(path, bytes.into(), what)
}

/// The contents of a file that is in memory or mapped into it; `path` stands for its name in
/// errors.
///
/// # Errors
/// Those of [`read`].
pub fn of_mapped(path: &Path, bytes: Mapped, what: &str) -> Result<Contents> {
    decode(path, bytes, what, is_checked())
}

/// A file's contents; `check` asks for a right checksum.
fn decode(path: &Path, bytes: Mapped, what: &str, check: bool) -> Result<Contents> {
    // This compares lengths, offsets and sizes with the file's.
    let (length, header) =
        SafeTensors::read_metadata(&bytes).map_err(|e| unreadable(path, &bytes, what, &e))?;
    let entries = header.metadata().iter().flatten();
    let mut metadata: BTreeMap<String, String> =
        entries.map(|(k, v)| (k.clone(), v.clone())).collect();
    let digits = metadata.remove(checksum::KEY);
    let is_whole = match &digits {
        _ if !check => true,
        Some(digits) => checksum::fits(&bytes, LENGTH + length, digits)
            .map_err(|e| Error::io(path, "read", e))?,
        None => !metadata.keys().any(|key| checksum::is_spoilt(key)),
    };
    match is_whole {
        true => Ok(Contents { bytes, has_checksum: digits.is_some(), metadata }),
        false => Err(Error::file(path, "is damaged: its SHA-256 is not that of its content")
            .with(Remedy::IgnoreChecksum)),
    }
}

/// The error of a file that cannot be taken apart. It says what the file is, where that is known.
fn unreadable(path: &Path, bytes: &[u8], what: &str, error: &SafeTensorError) -> Error {
    let unreadable =
        |why: &dyn std::fmt::Display| Error::file(path, format!("not a readable {what}: {why}"));
    match foreign(bytes) {
        Some(Foreign { what, importable: true }) => {
            unreadable(&format!("it is {what}")).with(Remedy::Import)
        }
        Some(Foreign { what, importable: false }) => unreadable(&format!("it is {what}")),
        None => unreadable(error),
    }
}

#[cfg(test)]
mod tests;
