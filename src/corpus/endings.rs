//! Endings of the names of audio files.

/// The ending of samples without a header, which say nothing about themselves.
pub(super) const HEADERLESS: &str = "raw";

/// Endings of audio files. The content decides whether a file can be read.
const ENDINGS: [&str; 39] = [
    "wav", "wave", "flac", "m4a", "mp4", "mp3", "ogg", "opus", "oga", "aif", "aiff", "aifc", "caf",
    "sph", "aac", "wma", "amr", "au", "snd", "w64", "rf64", "wv", "ape", "tta", "mpc", "mp2",
    "mka", "webm", "spx", "ac3", "eac3", "ec3", "dts", "shn", "dsf", "dff", "avr", "m4b",
    HEADERLESS,
];

/// Whether what stands behind the last dot of a name is an ending of audio files, in any case.
pub(crate) fn is_audio(ending: &str) -> bool {
    ENDINGS.iter().any(|known| known.eq_ignore_ascii_case(ending))
}

/// A name without the ending of audio files, which names may lack.
pub(super) fn bare(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((rest, ending)) if !rest.is_empty() && !rest.ends_with('/') && is_audio(ending) => {
            rest
        }
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_endings_of_audio_are_taken_off() {
        let names = ["a/b.wav", "a.FLAC", "a.ac3", "a.RAW", "take.1", ".wav", "a/.wav", "wav"];
        let bared = ["a/b", "a", "a", "a", "take.1", ".wav", "a/.wav", "wav"];
        assert_eq!(names.map(bare), bared);
    }
}
