//! Writes files.

use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::path::Path;

use safetensors::tensor::TensorInfo;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{LENGTH, Part, checksum};
use crate::bytes::hex;
use crate::error::{Error, Result};
use crate::fs;

/// The header's key for metadata.
const METADATA: &str = "__metadata__";
/// The longest header that readers of the format accept.
const LONGEST: usize = 100_000_000;

/// A file's content in pieces.
struct Encoded<'a> {
    /// The header's length, then the header with the checksum.
    head: Vec<u8>,
    /// The tensors in the file's order.
    parts: Vec<&'a Part<'a>>,
}

/// The bytes of a file; `path` appears in errors.
///
/// # Errors
/// Two tensors or two metadata entries of one name; the metadata key `sha256`; a tensor whose bytes
/// do not match its shape; a header of more than 100 MB.
pub fn to_bytes(path: &Path, metadata: &[(&str, &str)], parts: &[Part]) -> Result<Vec<u8>> {
    let Encoded { head: mut file, parts } = encode(path, metadata, parts)?;
    file.reserve_exact(parts.iter().map(|part| part.bytes.len()).sum());
    for part in parts {
        let Ok(()) = part.bytes.chunks(|chunk: &[u8]| -> Result<(), Infallible> {
            file.extend_from_slice(chunk);
            Ok(())
        });
    }
    Ok(file)
}

/// Writes a file (atomically), without holding all of its bytes in memory.
///
/// # Errors
/// Those of [`to_bytes`] and of [`fs::write_atomic`].
pub fn write(path: &Path, metadata: &[(&str, &str)], parts: &[Part]) -> Result<()> {
    let file = encode(path, metadata, parts)?;
    fs::write_atomic(path, |out| {
        out.write_all(&file.head)?;
        file.parts
            .iter()
            .try_for_each(|part| part.bytes.chunks(|chunk: &[u8]| out.write_all(chunk)))
    })
}

fn encode<'a>(
    path: &Path,
    metadata: &[(&str, &str)],
    parts: &'a [Part<'a>],
) -> Result<Encoded<'a>> {
    let mut sorted: Vec<&Part> = parts.iter().collect();
    sorted.sort_by(|a, b| {
        b.dtype.bitsize().cmp(&a.dtype.bitsize()).then_with(|| a.name.cmp(&b.name))
    });
    let text = header(metadata, &sorted)
        .map_err(|e| Error::file(path, format!("cannot encode tensors: {e}")))?;
    let at = checksum::place(&text, &checksum::zeros()).expect("every header has the entry once");
    let mut head = (text.len() as u64).to_le_bytes().to_vec();
    head.extend_from_slice(text.as_bytes());
    let mut hash = Sha256::new();
    hash.update(&head);
    for part in &sorted {
        let Ok(()) = part.bytes.chunks(|chunk: &[u8]| -> Result<(), Infallible> {
            hash.update(chunk);
            Ok(())
        });
    }
    head[LENGTH + at..][..checksum::DIGITS].copy_from_slice(hex(hash).as_bytes());
    Ok(Encoded { head, parts: sorted })
}

/// The header's text, with zeros for the checksum.
fn header(metadata: &[(&str, &str)], parts: &[&Part]) -> Result<String, String> {
    let zeros = checksum::zeros();
    let mut entries = BTreeMap::from([(checksum::KEY, zeros.as_str())]);
    for &(key, value) in metadata {
        if entries.insert(key, value).is_some() {
            return Err(format!("there is a metadata entry `{key}` already"));
        }
    }
    let mut text = format!("{{\"{METADATA}\":{}", json(&entries)?);
    let (mut begin, mut names) = (0, HashSet::new());
    for part in parts {
        let (name, bytes) = (&*part.name, part.bytes.len());
        if name == METADATA {
            return Err(format!("no tensor can have the name `{METADATA}`"));
        }
        if !names.insert(name) {
            return Err(format!("tensor `{name}` is there twice"));
        }
        if part.size() != Some(bytes) {
            let (dtype, shape) = (part.dtype, &part.shape);
            return Err(format!(
                "tensor `{name}` has {bytes} bytes, which are not those of {dtype} {shape:?}"
            ));
        }
        let info = TensorInfo {
            dtype: part.dtype,
            shape: part.shape.clone(),
            data_offsets: (begin, begin + bytes),
        };
        text.push_str(&format!(",{}:{}", json(name)?, json(&info)?));
        begin += bytes;
    }
    text.push('}');
    // The first tensor begins at a multiple of eight bytes.
    text.extend(std::iter::repeat_n(' ', text.len().next_multiple_of(8) - text.len()));
    match text.len() <= LONGEST {
        true => Ok(text),
        false => Err(format!("a header of {} bytes; the format allows {LONGEST}", text.len())),
    }
}

fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, String> {
    serde_json::to_string(value).map_err(|e| e.to_string())
}
