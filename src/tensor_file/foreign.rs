//! What a file is that was taken for a safetensors file, by its first bytes.

/// Bytes at the beginning of a text that are looked at.
const TEXT: usize = 512;
/// Where the name of an archive's first file is, behind its length.
const NAME: usize = 30;

/// A file of another kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Foreign {
    /// Its kind, in words.
    pub what: &'static str,
    /// Whether an import could make a model of it.
    pub importable: bool,
}

/// Kinds by their first bytes.
const MAGIC: [(&[u8], &str); 13] = [
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"\x1f\x8b", "compressed by gzip: unpack it first"),
    (b"BZh", "compressed by bzip2: unpack it first"),
    (b"\xfd7zXZ", "compressed by xz: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd: unpack it first"),
    (b"\x93NUMPY", "one array of NumPy (.npy)"),
    (b"RIFF", "an audio file (WAV)"),
    (b"fLaC", "an audio file (FLAC)"),
    (b"OggS", "an audio file (Ogg)"),
    (b"ID3", "an audio file (MP3)"),
    (b"NIST_1A", "an audio file (SPHERE)"),
    (b"GGUF", "a GGUF file"),
    (b"version https://git-lfs", "a pointer of Git LFS: `git lfs pull` fetches the file"),
];

/// The kind of a file that is no safetensors file, if its bytes tell.
pub(super) fn foreign(bytes: &[u8]) -> Option<Foreign> {
    let plain = |what| Some(Foreign { what, importable: false });
    let importable = |what| Some(Foreign { what, importable: true });
    if bytes.is_empty() {
        return plain("empty");
    }
    // A safetensors file that is cut off or damaged: the length of its header may begin like
    // anything.
    if bytes.get(8) == Some(&b'{') && bytes[..8].contains(&0) {
        return None;
    }
    if let Some(&(_, what)) = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return plain(what);
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return archive(bytes);
    }
    match bytes {
        // A pickle: its version and a dictionary or a number.
        [0x80, 2..=5, ..] => importable("a pickle, as old PyTorch checkpoints are"),
        // Its version, and then the name of the program that wrote it, another text or the graph.
        [0x08, 1..=0x7f, 0x12 | 0x1a | 0x22 | 0x3a, ..] => importable("an ONNX file"),
        _ if bytes.get(4..8).is_some_and(|mark| mark == b"ftyp") => {
            plain("an audio or video file (MP4)")
        }
        _ => plain(text(bytes)?),
    }
}

/// The kind of a zip archive, by the name of its first file.
fn archive(bytes: &[u8]) -> Option<Foreign> {
    let length = bytes.get(26..28).map_or(0, |b| usize::from(u16::from_le_bytes([b[0], b[1]])));
    let name = bytes.get(NAME..NAME + length).unwrap_or_default();
    let torch = [&b"data.pkl"[..], b".format_version", b".storage_alignment", b"byteorder"];
    if torch.iter().any(|end| name.ends_with(end)) {
        return Some(Foreign { what: "a PyTorch checkpoint", importable: true });
    }
    let what = match name.ends_with(b".npy") {
        true => "an archive of NumPy (.npz)",
        false => "a zip archive",
    };
    Some(Foreign { what, importable: false })
}

/// The kind of a text.
fn text(bytes: &[u8]) -> Option<&'static str> {
    let head = &bytes[..bytes.len().min(TEXT)];
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The last character may be cut.
        Err(e) if head.len() == TEXT && e.valid_up_to() + 4 > TEXT => {
            std::str::from_utf8(&head[..e.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let is_text = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    if !text.chars().all(is_text) {
        return None;
    }
    let begin = text.trim_start_matches('\u{feff}').trim_start();
    let first = begin.lines().next().unwrap_or_default();
    Some(match begin.chars().next() {
        Some('{') => "a text (JSON)",
        Some('<') => "a text (HTML or XML): a download that failed looks so",
        Some('[') if first.ends_with(']') => "a text (TOML)",
        _ => "a text",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_first_bytes() {
        let zip = |name: &str| {
            let mut bytes = b"PK\x03\x04".to_vec();
            bytes.resize(NAME, 0);
            bytes[26] = name.len() as u8;
            [&bytes, name.as_bytes()].concat()
        };
        let long = "ä".repeat(400);
        for (bytes, wanted, importable) in [
            (b"\x08\x08\x12\x05revox".to_vec(), "an ONNX file", true),
            (zip("archive/data.pkl"), "a PyTorch checkpoint", true),
            (zip("embeddings.npy"), "an archive of NumPy (.npz)", false),
            (zip("a.txt"), "a zip archive", false),
            (b"\x80\x02}q\0.".to_vec(), "a pickle, as old PyTorch checkpoints are", true),
            (b"\x89HDF\r\n\x1a\n\0".to_vec(), "an HDF5 file", false),
            (b"\x1f\x8b\x08".to_vec(), "compressed by gzip: unpack it first", false),
            (b"RIFF\x24\0\0\0WAVE".to_vec(), "an audio file (WAV)", false),
            (b"{\"a\": 1}".to_vec(), "a text (JSON)", false),
            (b"{\"abcdef{: 1}".to_vec(), "a text (JSON)", false),
            (b"[data]\ntrain = 1\n".to_vec(), "a text (TOML)", false),
            (b"a b 0.5 target\n".to_vec(), "a text", false),
            (long.into_bytes()[..600].to_vec(), "a text", false),
            (Vec::new(), "empty", false),
        ] {
            let found = foreign(&bytes);
            assert_eq!(found, Some(Foreign { what: wanted, importable }), "{bytes:?}");
        }
        // A header of any length, cut or damaged.
        for length in [0x0208u64, 0x0280, 0x4b50, 0x120108, 0x8b1f] {
            let bytes = [&length.to_le_bytes()[..], b"{\"x"].concat();
            assert_eq!(foreign(&bytes), None, "{length}");
        }
        assert_eq!(foreign(b"\x01\x02\x03"), None);
    }
}
