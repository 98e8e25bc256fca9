//! Kaldi's lists of a corpus: wav.scp and utt2spk.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::Words;
use crate::audio::pipe;
use crate::error::{Error, Result};
use crate::fs;

/// Splits a line into its first word and the rest, which may contain blanks.
fn first_word(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let (word, rest) = line.split_once(|c: char| c.is_ascii_whitespace())?;
    Some((word, rest.trim()))
}

/// Reads a list with `utterance path` a line. Paths may contain blanks. Returns id, path as
/// written, and line number.
///
/// # Errors
/// A file that cannot be read; a line without a path; an utterance in two lines; an empty list. A
/// command in place of a path, one that ends in `|`, is refused unless [`pipe::allow`] was called:
/// lists are data, not programs.
pub fn read_wav_scp(path: impl AsRef<Path>) -> Result<Vec<(String, String, usize)>> {
    let path = path.as_ref();
    let text = fs::read_to_string(path)?;
    let entries = wav_scp(path, &text)?;
    Ok(entries.into_iter().map(|(id, file, line)| (id.to_owned(), file.to_owned(), line)).collect())
}

/// [`read_wav_scp`] of the list's text.
///
/// # Errors
/// Those of [`read_wav_scp`].
pub(super) fn wav_scp<'t>(path: &Path, text: &'t str) -> Result<Vec<(&'t str, &'t str, usize)>> {
    let mut entries = Vec::with_capacity(lines_of(text));
    for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let bad = |m: String| Error::line(path, i + 1, m);
        if line.trim_start().starts_with("{\"") {
            let message = "JSON, as in WeSpeaker's raw.list; wanted `utterance path`. A raw.list \
                           stands where a corpus does (--data)";
            return Err(bad(message.into()));
        }
        let (id, file) =
            first_word(line).ok_or_else(|| bad("one field; wanted `utterance path`".into()))?;
        if pipe::is_command(file) && !pipe::is_allowed() {
            let message = "a command in place of a file, which runs a program; write the audio \
                           to a file first, or allow commands (--allow-pipes)";
            return Err(bad(message.into()));
        }
        entries.push((id, file, i + 1));
    }
    refuse_repeats(path, &entries)?;
    if entries.is_empty() {
        return Err(Error::file(path, "holds no utterances"));
    }
    Ok(entries)
}

/// Refuses an utterance in two lines. A sorted list, as most are, needs no table for that.
fn refuse_repeats(path: &Path, entries: &[(&str, &str, usize)]) -> Result<()> {
    if entries.is_sorted_by(|a, b| a.0 < b.0) {
        return Ok(());
    }
    let mut seen: HashMap<&str, usize> = HashMap::with_capacity(entries.len());
    for &(id, _, line) in entries {
        if let Some(first) = seen.insert(id, line) {
            let message = format!("utterance `{id}` again; it is already in line {first}");
            return Err(Error::line(path, line, message));
        }
    }
    Ok(())
}

/// How many lines a text has, but for empty ones at most.
fn lines_of(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count() + 1
}

/// Reads a list with `utterance speaker` a line, or a file named spk2utt with a speaker and all
/// utterances of that speaker a line. Returns speaker and line number by utterance.
///
/// # Errors
/// A file that cannot be read; a line without exactly two fields; an utterance in two lines.
pub fn read_utt2spk(path: impl AsRef<Path>) -> Result<HashMap<String, (String, usize)>> {
    let path = path.as_ref();
    let text = fs::read_to_string(path)?;
    let speakers = speaker_map(path, &text)?;
    let owned =
        |(id, (speaker, line)): (&str, (&str, usize))| (id.to_owned(), (speaker.to_owned(), line));
    Ok(speakers.into_iter().map(owned).collect())
}

/// Speaker and line by utterance.
type Speakers<'t> = HashMap<&'t str, (&'t str, usize)>;

/// [`read_utt2spk`] of the list's text.
///
/// # Errors
/// Those of [`read_utt2spk`].
pub(super) fn speaker_map<'t>(path: &Path, text: &'t str) -> Result<Speakers<'t>> {
    match path.file_name().is_some_and(|name| name == "spk2utt") {
        true => spk2utt(path, text),
        false => utt2spk(path, text),
    }
}

fn spk2utt<'t>(path: &Path, text: &'t str) -> Result<Speakers<'t>> {
    let mut speakers: Speakers = HashMap::new();
    for (i, line) in text.lines().enumerate() {
        let mut fields = line.split_ascii_whitespace();
        let Some(speaker) = fields.next() else { continue };
        for id in fields {
            if let Some((_, first)) = speakers.insert(id, (speaker, i + 1)) {
                let message = format!("utterance `{id}` again; it is already in line {first}");
                return Err(Error::line(path, i + 1, message));
            }
        }
    }
    Ok(speakers)
}

pub(super) fn utt2spk<'t>(path: &Path, text: &'t str) -> Result<Speakers<'t>> {
    let mut speakers: Speakers = HashMap::with_capacity(lines_of(text));
    for (i, line) in text.lines().enumerate() {
        let mut fields = line.split_ascii_whitespace();
        let Some(id) = fields.next() else { continue };
        let bad = |m: String| Error::line(path, i + 1, m);
        let (Some(speaker), 0) = (fields.next(), fields.clone().count()) else {
            let found = line.split_ascii_whitespace().count();
            return Err(bad(format!("{found} field(s); wanted `utterance speaker`")));
        };
        if let Some((_, first)) = speakers.insert(id, (speaker, i + 1)) {
            return Err(bad(format!("utterance `{id}` again; it is already in line {first}")));
        }
    }
    Ok(speakers)
}

/// The first word of every line, with its line number: the ids of a wav.scp, an utt2spk or any
/// other list of utterances.
///
/// # Errors
/// A file that cannot be read; an id in two lines; an empty list.
pub fn read_ids(path: impl AsRef<Path>) -> Result<Words> {
    let path = path.as_ref();
    let (text, mut ids) = (fs::read_to_string(path)?, Words::default());
    for (i, line) in text.lines().enumerate() {
        let Some(id) = line.split_ascii_whitespace().next() else { continue };
        let count = ids.len();
        let number = ids
            .intern(id, i + 1)
            .ok_or_else(|| Error::line(path, i + 1, format!("more than {count} utterances")))?;
        if (number as usize) < count {
            let message =
                format!("utterance `{id}` again; it is already in line {}", ids.line(number));
            return Err(Error::line(path, i + 1, message));
        }
    }
    match ids.is_empty() {
        true => Err(Error::file(path, "holds no utterances")),
        false => Ok(ids),
    }
}

/// The path of a listed file. A relative path is looked for beside the list, then in the folder
/// above it, then in the working folder. A file that is nowhere gets the path beside the list. A
/// command stays as it is.
pub fn locate(list: &Path, file: &str) -> PathBuf {
    match Path::new(file).is_absolute() {
        // Nothing needs to be asked of the file system, which takes long for a million files.
        true => PathBuf::from(file),
        false => located(list, file).0,
    }
}

/// [`locate`], and whether the file is there.
pub(super) fn located(list: &Path, file: &str) -> (PathBuf, bool) {
    if pipe::is_command(file) {
        return (PathBuf::from(file), true);
    }
    if Path::new(file).is_absolute() {
        let path = PathBuf::from(file);
        let is_there = path.exists();
        return (path, is_there);
    }
    let beside = fs::parent(list);
    let above = match beside.parent() {
        Some(parent) if beside != Path::new(".") && !beside.ends_with("..") => parent.to_owned(),
        _ => beside.join(".."),
    };
    let found = [beside.join(file), above.join(file), PathBuf::from(file)]
        .into_iter()
        .find(|path| path.exists());
    match found {
        Some(path) => (path, true),
        None => (beside.join(file), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raw_list_is_no_wav_scp() {
        let raw = "{\"key\": \"a\", \"wav\": \"a.wav\", \"spk\": \"ann\"}\n";
        let error = wav_scp(Path::new("raw.list"), raw).unwrap_err().to_string();
        assert!(error.starts_with("raw.list:1: JSON, as in WeSpeaker's raw.list"), "{error}");
    }

    #[test]
    fn both_lists_of_speakers_say_the_same() {
        let utterances = speaker_map(Path::new("a/utt2spk"), "a1 ann\nb1 bob\na2 ann\n").unwrap();
        let speakers = speaker_map(Path::new("a/spk2utt"), "ann a1 a2\n\nbob b1\n").unwrap();
        for (id, (speaker, _)) in &utterances {
            assert_eq!(speakers[id].0, *speaker);
        }
        assert_eq!((utterances.len(), speakers["b1"]), (speakers.len(), ("bob", 3)));
        let error = speaker_map(Path::new("spk2utt"), "ann a1\nbob a1\n").unwrap_err().to_string();
        assert!(error.contains("spk2utt:2: utterance `a1` again; it is already in line 1"));
    }

    #[test]
    fn ids_are_first_words() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list");
        std::fs::write(&path, "b x.wav\n\na y z\n\u{fc}\n").unwrap();
        let ids = read_ids(&path).unwrap();
        assert_eq!(ids.iter().collect::<Vec<_>>(), [("b", 1), ("a", 3), ("\u{fc}", 4)]);
        for (text, wanted) in [
            ("\n", "list: holds no utterances"),
            ("a\nb\na x\n", "list:3: utterance `a` again; it is already in line 1"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = read_ids(&path).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn files_are_looked_for_beside_the_list_and_above_it() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("lists")).unwrap();
        std::fs::write(at("c.wav"), "x").unwrap();
        let list = at("lists/wav.scp");
        assert_eq!(locate(&list, "c.wav"), at("c.wav"));
        std::fs::write(at("lists/c.wav"), "x").unwrap();
        assert_eq!(locate(&list, "c.wav"), at("lists/c.wav"));
        assert_eq!(located(&list, "d.wav"), (at("lists/d.wav"), false));
        let absolute = at("c.wav");
        assert_eq!(located(&list, absolute.to_str().unwrap()), (absolute, true));
        assert_eq!(locate(Path::new("wav.scp"), "Cargo.toml"), Path::new("./Cargo.toml"));
    }
}
