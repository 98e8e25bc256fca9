//! Which kind of file a set is read from or written to.

use std::path::Path;

use super::{Embeddings, Origin, kaldi, npz, tensors};
use crate::archive::{self, Output, Reader};
use crate::error::{Error, Result};
use crate::fs;

/// What a file's first bytes say.
enum Kind {
    Tensors,
    Archive,
    Zip,
    Array,
}

impl Kind {
    fn of(bytes: &[u8]) -> Self {
        // The header of a safetensors file begins behind its length.
        if bytes.get(8) == Some(&b'{') {
            return Self::Tensors;
        }
        if bytes.starts_with(b"PK\x03\x04") {
            return Self::Zip;
        }
        if bytes.starts_with(b"\x93NUMPY") {
            return Self::Array;
        }
        // A word, a blank, and the beginning of an array.
        let word = bytes.iter().position(u8::is_ascii_whitespace).unwrap_or(0);
        let rest = bytes[word..].trim_ascii_start();
        match word > 0 && (rest.starts_with(b"\0B") || rest.starts_with(b"[")) {
            true => Self::Archive,
            false => Self::Tensors,
        }
    }
}

pub(super) fn load(path: &Path) -> Result<Embeddings> {
    let all = match archive::is_archive(path) {
        true => kaldi::load(Reader::open(path)?)?,
        false => {
            let bytes = fs::map(path)?;
            match Kind::of(&bytes) {
                Kind::Tensors => tensors::load(path, bytes)?.0,
                Kind::Archive => kaldi::load(Reader::of_archive(path, bytes))?,
                Kind::Zip => npz::load(path, bytes)?,
                Kind::Array => {
                    let message = "is one NumPy array, without ids; save `embeddings` and `ids` \
                                   with numpy.savez";
                    return Err(Error::file(path, message));
                }
            }
        }
    };
    checked(path, all)
}

/// Reads a safetensors file, and where its embeddings come from if it says so.
pub(super) fn load_shard(path: &Path) -> Result<(Embeddings, Option<Origin>)> {
    let other = |what: &str| {
        Error::file(path, format!("is {what}; only safetensors files of embeddings are joined"))
    };
    if archive::is_archive(path) {
        return Err(other("an archive of Kaldi's"));
    }
    let bytes = fs::map(path)?;
    let (all, text) = match Kind::of(&bytes) {
        Kind::Tensors => tensors::load(path, bytes)?,
        Kind::Archive => return Err(other("an archive of Kaldi's")),
        Kind::Zip => return Err(other("an archive of NumPy (.npz)")),
        Kind::Array => return Err(other("a NumPy array")),
    };
    let all = checked(path, all)?;
    let origin = text.map(|text| Origin::parse(path, &text, all.len())).transpose()?;
    Ok((all, origin))
}

/// Refuses embeddings that are not finite, and no embeddings.
fn checked(path: &Path, all: Embeddings) -> Result<Embeddings> {
    let unreadable = |e| Error::io(path, "read", e);
    if let Some(place) = all.rows.first_not_finite().map_err(unreadable)? {
        let id = all.id(place / all.dim.max(1));
        return Err(Error::file(
            path,
            format!("embedding `{id}` holds values that are not numbers"),
        ));
    }
    match all.is_empty() || all.dim == 0 {
        true => Err(Error::file(path, "holds no embeddings")),
        false => Ok(all),
    }
}

/// Endings of the files that are written, without a dot.
const WRITTEN: [&str; 3] = ["safetensors", "npz", "ark"];

/// Refuses a name that promises another format than embeddings are written in.
pub(super) fn check_output(output: &Path) -> Result<()> {
    match Output::parse(output)? {
        Some(_) => Ok(()),
        None => fs::check_ending(output, &WRITTEN),
    }
}

/// Writes the file that the name asks for. Safetensors keep the origin.
pub(super) fn save_as(all: &Embeddings, output: &Path, origin: Option<&Origin>) -> Result<()> {
    check_output(output)?;
    if let Some(archive) = Output::parse(output)? {
        return kaldi::save(all, &archive);
    }
    match output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npz")) {
        true => npz::save(all, output),
        false => tensors::save(all, output, origin),
    }
}
