//! The kind of a file, found from its first bytes, whatever its name.

use std::path::Path;

use crate::error::Error;

/// The kinds of files that can be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A RIFF or RF64 file.
    Riff,
    /// A FLAC file.
    Flac,
    /// A NIST SPHERE file.
    Sphere,
    /// A file of another container.
    Foreign(Container),
    /// Audio in an unsupported format, by its name.
    Other(&'static str),
    /// None of these.
    Unknown,
}

impl Kind {
    /// Whether files of this kind hold samples as they are, most often: the place of a sample is
    /// then known, and a part of a file can be read without the rest.
    pub fn is_stored(self) -> bool {
        matches!(self, Self::Riff | Self::Sphere | Self::Foreign(Container::Aiff))
    }
}

/// The containers of [`foreign`](super::foreign).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    /// MP4, M4A and their relatives.
    Mp4,
    /// Frames of MPEG layer III, without a container.
    Mp3,
    /// Frames of AAC, each behind a header of its own.
    Adts,
    /// Vorbis in an Ogg file.
    Vorbis,
    /// Opus in an Ogg file.
    Opus,
    /// AIFF and AIFF-C.
    Aiff,
    /// Apple's Core Audio Format.
    Caf,
}

/// Most bytes of a file that [`of`] needs.
pub(super) const HEAD: u64 = 512;

/// Unsupported formats: the place of the mark, the mark, and the name.
const OTHERS: [(usize, &[u8], &str); 17] = [
    (0, b"RIFX", "big-endian WAV (RIFX)"),
    (0, b"riff\x2e\x91\xcf\x11", "Wave64 audio (W64)"),
    (0, b".snd", "AU audio"),
    (0, b"ajkg", "Shorten audio"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media audio (WMA, ASF)"),
    (0, b"#!AMR", "AMR audio"),
    (0, b"\x1a\x45\xdf\xa3", "Matroska or WebM audio"),
    (0, b"wvpk", "WavPack audio"),
    (0, b"MAC ", "Monkey's Audio (APE)"),
    (0, b"TTA1", "True Audio (TTA)"),
    (0, b"MPCK", "Musepack audio"),
    (0, b"MP+", "Musepack audio"),
    (0, b"DSD ", "DSD audio (DSF)"),
    (0, b"FRM8", "DSD audio (DFF)"),
    (0, b"2BIT", "AVR audio"),
    (0, b"\x0b\x77", "AC-3 or E-AC-3 audio"),
    (0, b"\x7f\xfe\x80\x01", "DTS audio"),
];

/// The kind of a file that begins with these bytes.
pub(super) fn of(bytes: &[u8]) -> Kind {
    if bytes.starts_with(b"fLaC") {
        return Kind::Flac;
    }
    if [b"RIFF", b"RF64", b"BW64"].iter().any(|&magic| bytes.starts_with(magic)) {
        return Kind::Riff;
    }
    if bytes.starts_with(b"OggS") {
        return ogg(bytes);
    }
    if bytes.starts_with(b"NIST_1A") {
        return Kind::Sphere;
    }
    let holds = |at: usize, mark: &[u8]| bytes.get(at..).is_some_and(|b| b.starts_with(mark));
    if bytes.starts_with(b"FORM") && (holds(8, b"AIFF") || holds(8, b"AIFC")) {
        return Kind::Foreign(Container::Aiff);
    }
    if bytes.starts_with(b"caff") {
        return Kind::Foreign(Container::Caf);
    }
    if holds(4, b"ftyp") {
        return Kind::Foreign(Container::Mp4);
    }
    match OTHERS.iter().find(|(at, mark, _)| holds(*at, mark)) {
        Some(&(_, _, name)) => Kind::Other(name),
        None => mpeg(bytes).unwrap_or(Kind::Unknown),
    }
}

/// Whether a file holds audio in a format that this version does not read.
#[cfg(feature = "train")]
pub(crate) fn is_unsupported(path: &Path) -> bool {
    use std::io::Read;

    let mut head = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut head));
    read.is_ok() && matches!(of(&head), Kind::Other(_))
}

/// The content of an Ogg file, by its first page: a header, a table of segments, then the codec's
/// mark.
fn ogg(bytes: &[u8]) -> Kind {
    const CODECS: [(&[u8], Kind); 4] = [
        (b"\x01vorbis", Kind::Foreign(Container::Vorbis)),
        (b"OpusHead", Kind::Foreign(Container::Opus)),
        (b"\x7fFLAC", Kind::Other("FLAC in an Ogg file")),
        (b"Speex", Kind::Other("Ogg Speex audio")),
    ];
    let codec = bytes
        .get(26)
        .and_then(|&segments| bytes.get(27 + usize::from(segments)..))
        .unwrap_or_default();
    CODECS
        .iter()
        .find(|(mark, _)| codec.starts_with(mark))
        .map_or(Kind::Other("Ogg audio"), |&(_, kind)| kind)
}

/// MPEG audio without a container, by the header of its first frame (ISO 11172-3, 13818-3 and
/// 13818-7). Layer I is left out: in practice these bytes are UTF-16 text.
fn mpeg(bytes: &[u8]) -> Option<Kind> {
    let &[0xff, second, third, ..] = bytes else { return None };
    let known_rates = third >> 4 != 15 && (third >> 2) & 3 != 3;
    match (second >> 5, (second >> 3) & 3, (second >> 1) & 3) {
        (7, version, 0) if version >= 2 && (third >> 2) & 15 < 13 => {
            Some(Kind::Foreign(Container::Adts))
        }
        (7, version, 1) if version != 1 && known_rates => Some(Kind::Foreign(Container::Mp3)),
        (7, version, 2) if version != 1 && known_rates => {
            Some(Kind::Other("MPEG audio of layer II (MP2)"))
        }
        _ => None,
    }
}

/// The error for audio in an unsupported format, with a command that converts it.
pub(super) fn unsupported(path: &Path, what: &str) -> Error {
    // The input must not be the output.
    let is_wav = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("wav"));
    let target = path.with_extension(if is_wav { "pcm.wav" } else { "wav" });
    let (from, to) = (quoted(path), quoted(&target));
    Error::file(
        path,
        format!(
            "is {what}, which this version does not read; \
             convert it: ffmpeg -i {from} -c:a pcm_s16le {to}"
        ),
    )
}

/// A path as one word of a shell's command line.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_is_named_by_its_first_bytes() {
        let ogg = |codec: &[u8]| [b"OggS".as_slice(), &[0; 22], &[2, 30, 9], codec].concat();
        for (bytes, container) in [
            (b"\xff\xfb\x90\x64".to_vec(), Container::Mp3),
            (b"\xff\xf3\x84\xc4".to_vec(), Container::Mp3),
            (b"\xff\xf1\x50\x80".to_vec(), Container::Adts),
            (b"\xff\xf9\x60\x40".to_vec(), Container::Adts),
            (b"\0\0\0\x20ftypM4A \0\0\0\0".to_vec(), Container::Mp4),
            (b"FORM\0\0\0\0AIFFCOMM".to_vec(), Container::Aiff),
            (b"FORM\0\0\0\0AIFCFVER".to_vec(), Container::Aiff),
            (b"caff\0\x01\0\0desc".to_vec(), Container::Caf),
            (ogg(b"\x01vorbis"), Container::Vorbis),
            (ogg(b"OpusHead"), Container::Opus),
        ] {
            assert_eq!(of(&bytes), Kind::Foreign(container), "{bytes:?}");
        }
        for (bytes, name) in [
            (b"\xff\xfd\xc4\x04".to_vec(), "MP2"),
            (ogg(b"\x7fFLAC\x01"), "FLAC in an Ogg file"),
            (ogg(b"?"), "Ogg audio"),
            (b"OggS".to_vec(), "Ogg audio"),
            (b"RIFX\0\0\0\0WAVE".to_vec(), "RIFX"),
        ] {
            match of(&bytes) {
                Kind::Other(found) => assert!(found.contains(name), "{found} for {name}"),
                other => panic!("{other:?} for {name}"),
            }
        }
        assert_eq!(of(b"NIST_1A\n   1024\n"), Kind::Sphere);
        assert_eq!(of(b"RIFF"), Kind::Riff);
        assert_eq!(of(b"fLaC"), Kind::Flac);
        for text in [
            b"".as_slice(),
            b"\xff",
            b"this is text",
            b"\xff\xfet\0e\0x\0t\0",
            b"\xfe\xff\0t\0e",
            b"formAIF",
        ] {
            assert_eq!(of(text), Kind::Unknown, "{text:?}");
        }
    }

    #[test]
    fn the_command_that_converts_does_not_overwrite_its_input() {
        let message = |path: &str| unsupported(Path::new(path), "MP3 audio").to_string();
        assert!(message("in/a.mp3").ends_with("ffmpeg -i in/a.mp3 -c:a pcm_s16le in/a.wav"));
        assert!(message("a.WAV").ends_with("ffmpeg -i a.WAV -c:a pcm_s16le a.pcm.wav"));
        assert!(
            message("it's a.mp3")
                .ends_with(r"ffmpeg -i 'it'\''s a.mp3' -c:a pcm_s16le 'it'\''s a.wav'")
        );
    }
}
