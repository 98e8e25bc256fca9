//! Checks one file.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::names::shown;
use super::{PrepareSettings, Problem, ProblemKind};
use crate::audio::{Level, Source};
use crate::bytes;
use crate::error::{Error, Remedy};

/// Samples that are decoded at a time.
const PIECE: usize = 1 << 16;

/// What a usable file holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Content {
    /// Its length, seconds; 0 if it is not known.
    pub seconds: f64,
    /// Its samples per second, before resampling.
    pub rate: u32,
    /// SHA-256 of its samples, if they were decoded.
    pub hash: Option<[u8; 32]>,
}

/// The content of a file, or why it is left out.
pub(super) fn check(path: &Path, settings: &PrepareSettings) -> Result<Content, Problem> {
    let unreadable = |e: Error| of_error(path, &e);
    let source = Source::open(path, settings.sample_rate, None).map_err(unreadable)?;
    let rate = source.source_rate();
    let seconds = |samples: usize| samples as f64 / f64::from(settings.sample_rate);
    if settings.headers_only {
        let promised = source.promised_length();
        if promised == Some(0) {
            return Err(of_error(path, &Error::file(path, "holds no samples")));
        }
        let length = promised.map(seconds);
        long_enough(path, length.unwrap_or(f64::INFINITY), settings)?;
        return Ok(Content { seconds: length.unwrap_or(0.0), rate, hash: None });
    }
    // Later readings rely on this one.
    let mut source = source.verified();
    let (mut level, mut hash) = (Level::default(), Sha256::new());
    loop {
        let samples = source.read(PIECE).map_err(unreadable)?;
        if samples.is_empty() {
            break;
        }
        level.add(&samples);
        hash.update(bytes::from_f32(&samples));
    }
    let seconds = seconds(level.samples());
    long_enough(path, seconds, settings)?;
    if level.is_silent() {
        let text = format!("{}: silent; left out", shown(path));
        return Err(Problem { kind: ProblemKind::Silent, text, reason: None });
    }
    Ok(Content { seconds, rate, hash: Some(hash.finalize().into()) })
}

fn long_enough(path: &Path, seconds: f64, settings: &PrepareSettings) -> Result<(), Problem> {
    if seconds >= settings.min_seconds {
        return Ok(());
    }
    let (path, least) = (shown(path), settings.min_seconds);
    let text = format!("{path}: {seconds:.3} s long, shorter than {least} s; left out");
    Err(Problem { kind: ProblemKind::Short, text, reason: None })
}

/// The problem that an error of a file is.
pub(super) fn of_error(path: &Path, error: &Error) -> Problem {
    // Lists cannot choose a channel.
    let has_several = matches!(error.remedy(), Some(Remedy::ChooseChannel { .. }));
    let advice = if has_several { "; make a file of one channel" } else { "" };
    Problem {
        kind: ProblemKind::Unreadable,
        text: format!("{error}{advice}; left out"),
        reason: Some(reason(path, error)),
    }
}

/// The short reason of an error: its first clause, without the file and without brackets.
fn reason(path: &Path, error: &Error) -> String {
    if let Error::Io { action, source, .. } = error.bare() {
        return without_brackets(&format!("cannot {action}: {source}"));
    }
    let text = error.to_string();
    let file = format!("{}: ", path.display());
    let words = without_brackets(text.strip_prefix(&file).unwrap_or(&text));
    let clause = words.split([':', ';']).next().unwrap_or_default();
    clause.split(", which").next().unwrap_or_default().trim().to_owned()
}

/// A text without its remarks in brackets.
fn without_brackets(text: &str) -> String {
    let (mut kept, mut depth) = (String::with_capacity(text.len()), 0_usize);
    for c in text.chars() {
        match c {
            '(' => {
                if depth == 0 {
                    kept.truncate(kept.trim_end().len());
                }
                depth += 1;
            }
            ')' if depth > 0 => depth -= 1,
            _ if depth == 0 => kept.push(c),
            _ => {}
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::write_wav16;

    #[test]
    fn files_are_told_apart_by_their_samples() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let tone: Vec<f32> = (0..8000).map(|i| (i as f32 * 0.1).sin() * 0.3).collect();
        write_wav16(at("a.wav"), &tone, 16_000).unwrap();
        write_wav16(at("b.wav"), &tone[..7999], 16_000).unwrap();
        write_wav16(at("silent.wav"), &[0.0; 8000], 16_000).unwrap();
        // The same samples in a larger file.
        let mut tagged = b"ID3\x04\0\0\0\0\0\x04abcd".to_vec();
        tagged.extend(std::fs::read(at("a.wav")).unwrap());
        std::fs::write(at("tagged.wav"), tagged).unwrap();
        std::fs::write(at("au.wav"), b".snd\0\0\0\x18").unwrap();
        let settings = PrepareSettings::default();
        let of = |name: &str| check(&at(name), &settings);
        assert_eq!(of("a.wav").unwrap(), of("tagged.wav").unwrap());
        assert_ne!(of("a.wav").unwrap().hash, of("b.wav").unwrap().hash);
        assert!((of("a.wav").unwrap().seconds - 0.5).abs() < 1e-9);
        assert_eq!(of("silent.wav").unwrap_err().kind, ProblemKind::Silent);
        let problem = of("au.wav").unwrap_err();
        assert_eq!(problem.reason.as_deref(), Some("is AU audio"), "{problem:?}");
        let long = PrepareSettings { min_seconds: 0.5, ..settings.clone() };
        assert!(check(&at("a.wav"), &long).is_ok());
        assert_eq!(check(&at("b.wav"), &long).unwrap_err().kind, ProblemKind::Short);
        let headers = PrepareSettings { headers_only: true, ..long };
        let whole = Content { seconds: 0.5, rate: 16_000, hash: None };
        assert_eq!(check(&at("a.wav"), &headers).unwrap(), whole);
        assert!(check(&at("silent.wav"), &headers).is_ok());
        assert_eq!(check(&at("b.wav"), &headers).unwrap_err().kind, ProblemKind::Short);
        assert_eq!(check(&at("none.wav"), &headers).unwrap_err().kind, ProblemKind::Unreadable);
    }

    #[test]
    fn a_flac_file_with_another_md5_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.flac");
        let samples: Vec<i64> = (0..8000).map(|i| (i * 2_311) % 60_000 - 30_000).collect();
        let mut bytes = crate::audio::tests::flac_of(&samples, 700, 16_000, true);
        let settings = PrepareSettings::default();
        std::fs::write(&path, &bytes).unwrap();
        assert!(check(&path, &settings).is_ok());
        // A bit of the MD5, the last field of the first block of metadata.
        bytes[41] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let problem = check(&path, &settings).unwrap_err();
        assert!(problem.text.contains("another MD5"), "{problem:?}");
        // Headers tell nothing of it, and training reads it.
        assert!(check(&path, &PrepareSettings { headers_only: true, ..settings }).is_ok());
        let read = Source::open(&path, 16_000, None).unwrap().read(usize::MAX).unwrap();
        assert_eq!(read.len(), 8000);
    }

    #[test]
    fn reasons_are_whole_phrases() {
        let path = Path::new("a, (b.wav");
        for (message, wanted) in [
            (
                "is Windows Media audio (WMA, ASF), which this version does not read; convert it",
                "is Windows Media audio",
            ),
            (
                "no audio file of a known format (by its first bytes, whatever its name)",
                "no audio file of a known format",
            ),
            ("not a readable MP4 file: its box (`moov`) ends early", "not a readable MP4 file"),
            ("one (two (three, four)) five, six; seven", "one five, six"),
        ] {
            assert_eq!(reason(path, &Error::file(path, message)), wanted);
        }
        let denied = std::io::Error::other("no permission (code 13)");
        assert_eq!(reason(path, &Error::io(path, "open", denied)), "cannot open: no permission");
    }
}
