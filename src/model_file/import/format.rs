//! Tells the format of a checkpoint by its content.

use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};
use crate::fs;

/// A format that checkpoints are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Eight bytes with the length of the header, a header in JSON, the values.
    Safetensors,
    /// `torch.save` since 1.6: an archive with a pickle and one file for each storage.
    Zip,
    /// `torch.save` before: five pickles, then the storages.
    Legacy,
    /// `torch.onnx.export`: a graph with its weights.
    Onnx,
}

/// The longest header that safetensors allows.
const LONGEST_HEADER: u64 = 100_000_000;
/// The magic number in the first pickle of the legacy format.
const LEGACY: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// Where a tar archive has its magic number.
const TAR: usize = 257;

/// A file's format, and the number of its bytes.
///
/// # Errors
/// Files of other formats. The error names some known ones.
pub(super) fn of(path: &Path) -> Result<(Format, u64)> {
    let file = fs::open(path)?;
    let length = file.metadata().map_err(|e| Error::io(path, "read", e))?.len();
    let mut head = Vec::new();
    file.take(TAR as u64 + 5).read_to_end(&mut head).map_err(|e| Error::io(path, "read", e))?;
    // The length of a header may begin with the magic number of another format, so this comes
    // first.
    if let (Some(header), Some(b'{')) = (head.first_chunk::<8>(), head.get(8)) {
        let header = u64::from_le_bytes(*header);
        if header <= LONGEST_HEADER || header <= length.saturating_sub(8) {
            return Ok((Format::Safetensors, length));
        }
    }
    let again = "load it with a newer PyTorch and save its state_dict with torch.save";
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return Ok((Format::Zip, length));
    }
    if head.get(TAR..).is_some_and(|magic| magic == b"ustar") {
        return Err(Error::file(
            path,
            format!("a checkpoint of PyTorch before 0.1.10 (tar), or no checkpoint; {again}"),
        ));
    }
    if let [0x80, 1..=5, ..] = head[..] {
        return match head[..head.len().min(64)].windows(LEGACY.len()).any(|bytes| bytes == LEGACY) {
            true => Ok((Format::Legacy, length)),
            false => Err(Error::file(path, format!("a pickle, but not of torch.save; {again}"))),
        };
    }
    // An ONNX file has no magic number. It begins with its version, and then the name of the
    // program that wrote it, another text or the graph.
    let begins_as_onnx = matches!(head[..], [0x08, 1..=0x7f, 0x12 | 0x1a | 0x22 | 0x3a, ..]);
    if begins_as_onnx || path.extension().is_some_and(|end| end.eq_ignore_ascii_case("onnx")) {
        return Ok((Format::Onnx, length));
    }
    let message = "neither a PyTorch checkpoint (.pt) nor a .safetensors or .onnx file";
    Err(Error::file(path, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_apart_by_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.pt");
        let of = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            of(&path).map(|(format, _)| format).map_err(|e| e.to_string())
        };
        // The low bytes of the header's length may be those of a pickle or an archive.
        for length in [0x80u64, 0x0280, 0x0480, 0x4b50, 0x28, 0x7b] {
            let mut file = length.to_le_bytes().to_vec();
            file.push(b'{');
            file.resize(8 + length as usize, b' ');
            assert_eq!(of(&file), Ok(Format::Safetensors), "{length}");
        }
        assert_eq!(of(b"PK\x03\x04\x14\0\0\0\0\0"), Ok(Format::Zip));
        assert_eq!(of(b"\x08\x07\x12\x07pytorch"), Ok(Format::Onnx));
        let mut legacy = vec![0x80, 2, 0x8a, 10];
        legacy.extend(LEGACY);
        assert_eq!(of(&legacy), Ok(Format::Legacy));
        let mut tar = vec![0; 600];
        tar[TAR..TAR + 5].copy_from_slice(b"ustar");
        let cases: [(&[u8], &str); 6] = [
            (b"", "neither"),
            (b"{\"a\": 1}", "neither"),
            (b"PK", "neither"),
            (b"\x80\x02}q\0.", "a pickle"),
            (b"\x80\x09", "neither"),
            (&tar, "tar"),
        ];
        for (content, wanted) in cases {
            let error = of(content).unwrap_err();
            assert!(error.contains("x.pt") && error.contains(wanted), "{error}");
        }
    }
}
