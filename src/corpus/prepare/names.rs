//! Names of files: which are audio, and which lists can hold.

use std::ffi::OsStr;
use std::path::Path;

use crate::corpus::endings::{self, HEADERLESS};

/// A path as one line of printable text.
pub(super) fn shown(path: &Path) -> String {
    match path.to_str() {
        Some(text) if !text.contains(char::is_control) => text.to_owned(),
        _ => format!("{path:?}"),
    }
}

/// Why a list cannot hold a path, if so.
pub(super) fn unlistable(path: &Path) -> Option<&'static str> {
    match path.to_str() {
        None => Some("its name is not UTF-8, as lists must be"),
        // A byte order mark would be lost at the start of a list.
        Some(text) if text.contains(|c: char| c.is_control() || c == '\u{feff}') => {
            Some("its name holds a control character, which lists cannot")
        }
        Some(_) => None,
    }
}

/// Whether file managers hide a name: `._1.wav` beside `1.wav` from a Mac, `.git`, `.Trashes`, and
/// the folder of a Mac's archive.
pub(super) fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".") || name == "__MACOSX"
}

/// Whether a name ends as names of audio files do.
pub(super) fn is_audio(path: &Path) -> bool {
    path.extension().and_then(OsStr::to_str).is_some_and(is_ending)
}

/// Whether an ending is one of audio files with a header.
fn is_ending(ending: &str) -> bool {
    // Of two files of one id the first one stays. It must not be `1.raw`, which cannot be read.
    endings::is_audio(ending) && !ending.eq_ignore_ascii_case(HEADERLESS)
}

/// Whether blanks or `|`, which readers of lists misunderstand, follow an audio file's ending.
pub(super) fn ends_in_blanks(path: &Path) -> bool {
    let text = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    let trimmed = text.trim_end_matches(|c: char| c.is_whitespace() || c == '|');
    trimmed != text && is_ending(trimmed)
}

/// A name as part of an id, where a blank would end the id.
pub(super) fn as_id(name: &str) -> String {
    name.replace(char::is_whitespace, "_")
}

/// A file's name without its ending.
pub(super) fn stem(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_is_known_by_its_ending() {
        for (name, audio, blanks) in [
            ("a/b.WAV", true, false),
            ("a.m4a", true, false),
            ("a.txt", false, false),
            ("a.raw", false, false),
            ("wav", false, false),
            ("a.wav |", false, true),
            ("a.flac ", false, true),
        ] {
            let path = Path::new(name);
            assert_eq!((is_audio(path), ends_in_blanks(path)), (audio, blanks), "{name}");
        }
        assert_eq!([stem("a.b.wav"), stem("a"), stem(".wav")], ["a.b", "a", ".wav"]);
        assert_eq!(as_id("day 1\u{a0}x"), "day_1_x");
    }
}
