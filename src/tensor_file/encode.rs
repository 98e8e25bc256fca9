//! Writes files.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorInfo};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::part::size;
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

/// Bytes in front of the tensors of a file: its header, and the header's length. No values are
/// needed.
///
/// # Errors
/// Two tensors or two metadata entries of one name; the metadata key `sha256`; a tensor without a
/// whole number of bytes; a header of more than 100 MB.
pub fn head_bytes(
    metadata: &[(&str, &str)],
    tensors: &[(String, Dtype, Vec<usize>)],
) -> Result<usize> {
    let refused = |e: String| Error::Invalid(format!("cannot encode tensors: {e}"));
    let listed = tensors.iter().map(|(name, dtype, shape)| match size(*dtype, shape) {
        Some(bytes) => Ok(Listed { name, dtype: *dtype, shape, bytes }),
        None => Err(format!("tensor `{name}`: {dtype} {shape:?} is no number of bytes")),
    });
    let mut listed = listed.collect::<Result<Vec<_>, String>>().map_err(refused)?;
    listed.sort_by(Listed::order);
    Ok(LENGTH + header(metadata, &listed).map_err(refused)?.len())
}

/// A tensor as the header has it.
struct Listed<'a> {
    name: &'a str,
    dtype: Dtype,
    shape: &'a [usize],
    bytes: usize,
}

impl<'a> Listed<'a> {
    fn of(part: &'a Part) -> Self {
        let Part { name, dtype, shape, bytes } = part;
        Self { name, dtype: *dtype, shape, bytes: bytes.len() }
    }

    /// The order in a file.
    fn order(&self, other: &Self) -> Ordering {
        let wider = other.dtype.bitsize().cmp(&self.dtype.bitsize());
        wider.then_with(|| self.name.cmp(other.name))
    }
}

fn encode<'a>(
    path: &Path,
    metadata: &[(&str, &str)],
    parts: &'a [Part<'a>],
) -> Result<Encoded<'a>> {
    let mut sorted: Vec<&Part> = parts.iter().collect();
    sorted.sort_by(|a, b| Listed::of(a).order(&Listed::of(b)));
    let listed: Vec<Listed> = sorted.iter().map(|part| Listed::of(part)).collect();
    let text = header(metadata, &listed)
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
fn header(metadata: &[(&str, &str)], tensors: &[Listed]) -> Result<String, String> {
    let zeros = checksum::zeros();
    let mut entries = BTreeMap::from([(checksum::KEY, zeros.as_str())]);
    for &(key, value) in metadata {
        if entries.insert(key, value).is_some() {
            return Err(format!("there is a metadata entry `{key}` already"));
        }
    }
    let mut text = format!("{{\"{METADATA}\":{}", json(&entries)?);
    let (mut begin, mut names) = (0, HashSet::new());
    for &Listed { name, dtype, shape, bytes } in tensors {
        if name == METADATA {
            return Err(format!("no tensor can have the name `{METADATA}`"));
        }
        if !names.insert(name) {
            return Err(format!("tensor `{name}` is there twice"));
        }
        if size(dtype, shape) != Some(bytes) {
            return Err(format!(
                "tensor `{name}` has {bytes} bytes, which are not those of {dtype} {shape:?}"
            ));
        }
        let data_offsets = (begin, begin + bytes);
        let info = TensorInfo { dtype, shape: shape.to_vec(), data_offsets };
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
