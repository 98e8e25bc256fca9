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
        checksum::hex(Sha256::new_with_prefix(&self.bytes[..]))
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
mod tests {
    use std::collections::HashMap;

    use safetensors::tensor::{Dtype, TensorView};

    use super::super::{Part, flipped, to_bytes};
    use super::*;

    fn file() -> Vec<u8> {
        let part = |name: &'static str, dtype, count, bytes| Part {
            name: name.into(),
            dtype,
            shape: vec![count],
            bytes,
        };
        let parts = [
            part("weight", Dtype::F32, 3, vec![0.5f32, -1.0, 3.0].into()),
            part("codes", Dtype::U8, 5, vec![0u8, 1, 2, 254, 255].into()),
        ];
        to_bytes(Path::new("t"), &[("revox", r#"{"a":"b","c":[1,2]}"#)], &parts).unwrap()
    }

    fn from(bytes: &[u8], check: bool) -> Result<Contents, String> {
        let contents = decode(Path::new("t.safetensors"), bytes.to_vec().into(), "file", check)
            .map_err(|e| e.to_string());
        assert!(
            contents.as_ref().err().is_none_or(|e| e.starts_with("t.safetensors: ")),
            "{contents:?}"
        );
        contents
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let file = file();
        assert!(from(&file, true).unwrap().has_checksum());
        for (bit, damaged) in flipped(&file, 8 * file.len()) {
            assert!(
                from(&damaged, true).is_err(),
                "bit {bit}: {}",
                String::from_utf8_lossy(&damaged)
            );
        }
    }

    #[test]
    fn cut_and_longer_files_are_refused() {
        let file = file();
        for cut in 0..file.len() {
            let error = from(&file[..cut], true).unwrap_err();
            assert!(error.contains("not a readable file: "), "{cut}: {error}");
        }
        assert!(from(&[&file[..], &[0][..]].concat(), true).is_err());
    }

    #[test]
    fn files_of_other_kinds_are_named() {
        let error =
            |bytes: &[u8]| decode(Path::new("t"), bytes.to_vec().into(), "file", true).unwrap_err();
        let onnx = error(b"\x08\x08\x12\x05revox:\x10");
        assert_eq!(onnx.to_string(), "t: not a readable file: it is an ONNX file");
        assert_eq!(onnx.remedy(), Some(&Remedy::Import));
        let text = error(b"[data]\n");
        assert_eq!(text.to_string(), "t: not a readable file: it is a text (TOML)");
        assert_eq!(text.remedy(), None);
    }

    #[test]
    fn damage_passes_where_nothing_is_checked() {
        let mut file = file();
        *file.last_mut().unwrap() ^= 1;
        let error = decode(Path::new("t"), file.clone().into(), "file", true).unwrap_err();
        assert_eq!(error.to_string(), "t: is damaged: its SHA-256 is not that of its content");
        assert_eq!(error.remedy(), Some(&Remedy::IgnoreChecksum));
        let contents = from(&file, false).unwrap();
        assert_eq!(contents.tensors().tensor("codes").unwrap().data(), [0, 1, 2, 254, 254]);
        assert_eq!(contents.metadata.keys().collect::<Vec<_>>(), ["revox"]);
    }

    #[test]
    fn files_without_a_checksum_are_read() {
        let view = || TensorView::new(Dtype::U8, vec![2], &[1, 2]).unwrap();
        let entry = HashMap::from([("a".to_owned(), "b".to_owned())]);
        for metadata in [None, Some(entry)] {
            let count = metadata.iter().len();
            let file = safetensors::serialize([("x", view())], metadata).unwrap();
            let contents = from(&file, true).unwrap();
            assert!(!contents.has_checksum() && contents.metadata.len() == count);
            assert_eq!(contents.tensors().tensor("x").unwrap().data(), [1, 2]);
        }
    }

    #[test]
    fn checksums_that_are_none_are_refused() {
        let digits = "0".repeat(64);
        for entries in [
            r#""sha256":"""#.to_owned(),
            r#""sha256":"00""#.to_owned(),
            format!(r#""sha256":"{digits}""#),
            format!(r#""sha256":"{digits}0""#),
            format!(r#""sha256":"{digits}","sha256":"{digits}""#),
            format!(r#""sha256": "{digits}""#),
            format!(r#""sha\u003256":"{digits}""#),
            format!(r#""sha255":"{digits}""#),
            format!(r#""sha256":"{}""#, "\u{e9}".repeat(32)),
        ] {
            let header = format!(r#"{{"__metadata__":{{{entries}}}}}"#);
            let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
            let error = from(&file, true).unwrap_err();
            assert!(error.contains("is damaged"), "{header}: {error}");
            assert!(from(&file, false).is_ok(), "{header}");
        }
    }

    #[test]
    fn tensors_are_where_the_file_has_them() {
        let file = file();
        let contents = from(&file, true).unwrap();
        for name in ["weight", "codes"] {
            let place = contents.place(name).unwrap();
            assert_eq!(&file[place], contents.tensors().tensor(name).unwrap().data());
        }
        assert_eq!(contents.place("none"), None);
        assert_eq!(contents.into_bytes()[..], file[..]);
    }

    /// Long files are mapped.
    #[test]
    fn damage_to_a_mapped_file_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.safetensors");
        let values: Vec<f32> = (0..700_000).map(|i| i as f32).collect();
        let part = Part {
            name: "x".into(),
            dtype: Dtype::F32,
            shape: vec![values.len()],
            bytes: values.into(),
        };
        let file = to_bytes(&path, &[], &[part]).unwrap();
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            of_mapped(&path, fs::map(&path).unwrap(), "file").map_err(|e| e.to_string())
        };
        assert!(read(&file).unwrap().has_checksum());
        for (bit, damaged) in flipped(&file, 40) {
            assert!(read(&damaged).unwrap_err().contains("t.safetensors: "), "bit {bit}");
        }
    }

    #[test]
    fn the_hash_is_that_of_the_bytes() {
        let file = file();
        let wanted: String = Sha256::digest(&file).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(from(&file, true).unwrap().hash(), wanted);
    }
}
