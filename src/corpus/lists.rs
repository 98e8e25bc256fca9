//! Kaldi's lists of a corpus: wav.scp and utt2spk.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::Names;
use crate::error::{Error, Result};
use crate::fs;

/// One recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Utterance {
    /// Its id.
    pub id: String,
    /// Its file.
    pub path: PathBuf,
    /// The file's path as wav.scp has it.
    pub listed: String,
    /// Its speaker, as an index into [`Corpus::speakers`].
    pub speaker: usize,
    /// Its line in wav.scp, from 1.
    pub line: usize,
}

/// Recordings and their speakers.
#[derive(Debug, Clone, Default)]
pub struct Corpus {
    /// Recordings in the order of wav.scp.
    pub utterances: Vec<Utterance>,
    /// Speakers in alphabetical order.
    pub speakers: Vec<String>,
    /// The folder of the lists.
    pub folder: PathBuf,
}

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
/// command in place of a path, one that ends in `|`, is refused: lists are data, not programs.
pub fn read_wav_scp(path: impl AsRef<Path>) -> Result<Vec<(String, String, usize)>> {
    let path = path.as_ref();
    let text = fs::read_to_string(path)?;
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut entries = Vec::new();
    for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let bad = |m: String| Error::line(path, i + 1, m);
        let (id, file) =
            first_word(line).ok_or_else(|| bad("one field; wanted `utterance path`".into()))?;
        if file.ends_with('|') {
            let message = "a command in place of a file; write the audio to a file first";
            return Err(bad(message.into()));
        }
        if let Some(first) = seen.insert(id, i + 1) {
            return Err(bad(format!("utterance `{id}` again; it is already in line {first}")));
        }
        entries.push((id.to_owned(), file.to_owned(), i + 1));
    }
    if entries.is_empty() {
        return Err(Error::file(path, "holds no utterances"));
    }
    Ok(entries)
}

/// Reads a list with `utterance speaker` a line. Returns speaker and line number by utterance.
///
/// # Errors
/// A file that cannot be read; a line without exactly two fields; an utterance in two lines.
pub fn read_utt2spk(path: impl AsRef<Path>) -> Result<HashMap<String, (String, usize)>> {
    let path = path.as_ref();
    let text = fs::read_to_string(path)?;
    let mut speakers: HashMap<String, (String, usize)> = HashMap::new();
    for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let bad = |m: String| Error::line(path, i + 1, m);
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [id, speaker] = fields[..] else {
            return Err(bad(format!("{} field(s); wanted `utterance speaker`", fields.len())));
        };
        if let Some((_, first)) = speakers.insert(id.to_owned(), (speaker.to_owned(), i + 1)) {
            return Err(bad(format!("utterance `{id}` again; it is already in line {first}")));
        }
    }
    Ok(speakers)
}

/// The path of a listed file. A relative path is looked for beside the list, then in the folder
/// above it, then in the working folder. A file that is nowhere gets the path beside the list.
pub fn locate(list: &Path, file: &str) -> PathBuf {
    let beside = fs::parent(list);
    let above = match beside.parent() {
        Some(parent) if beside != Path::new(".") && !beside.ends_with("..") => parent.to_owned(),
        _ => beside.join(".."),
    };
    [beside.join(file), above.join(file), PathBuf::from(file)]
        .into_iter()
        .find(|p| p.exists())
        .unwrap_or_else(|| beside.join(file))
}

impl Corpus {
    /// Reads `wav.scp` and `utt2spk` of a folder.
    ///
    /// # Errors
    /// Those of [`read_wav_scp`] and [`read_utt2spk`]; an utterance without a speaker and a file
    /// that does not exist, at their line.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        if !folder.is_dir() {
            return Err(Error::file(folder, "no such folder; wanted one with wav.scp and utt2spk"));
        }
        let (scp, map) = (folder.join("wav.scp"), folder.join("utt2spk"));
        let entries = read_wav_scp(&scp)?;
        let speaker_of = read_utt2spk(&map)?;
        let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
        for (id, _, line) in &entries {
            let (speaker, _) = speaker_of.get(id).ok_or_else(|| {
                Error::line(
                    &scp,
                    *line,
                    format!("utterance `{id}` has no speaker in {}", map.display()),
                )
            })?;
            numbers.insert(speaker, 0);
        }
        numbers.values_mut().enumerate().for_each(|(i, n)| *n = i);
        let speakers = numbers.keys().map(|s| (*s).to_owned()).collect();
        let mut utterances = Vec::with_capacity(entries.len());
        for (id, listed, line) in &entries {
            let path = locate(&scp, listed);
            if !path.exists() {
                return Err(Error::line(&scp, *line, format!("{}: no such file", path.display())));
            }
            let speaker = numbers[speaker_of[id].0.as_str()];
            utterances.push(Utterance {
                id: id.clone(),
                path,
                listed: listed.clone(),
                speaker,
                line: *line,
            });
        }
        Ok(Self { utterances, speakers, folder: folder.to_owned() })
    }

    /// The names that trial lists may use for the utterances: their ids, and their files as wav.scp
    /// has them.
    pub fn names(&self) -> Names<'_> {
        let mut names =
            Names::new(self.folder.join("wav.scp"), self.utterances.iter().map(|u| u.id.as_str()));
        for (place, utterance) in self.utterances.iter().enumerate() {
            names.add_file(place, &utterance.listed);
        }
        names
    }

    /// The utterances of each speaker, as indices into [`Corpus::utterances`].
    pub fn by_speaker(&self) -> Vec<Vec<usize>> {
        let mut lists = vec![Vec::new(); self.speakers.len()];
        for (i, u) in self.utterances.iter().enumerate() {
            lists[u.speaker].push(i);
        }
        lists
    }

    /// Speakers with a single utterance. A network can learn only that recording, so a trainer
    /// should warn.
    pub fn lone_speakers(&self) -> Vec<&str> {
        let lists = self.by_speaker();
        lists
            .iter()
            .zip(&self.speakers)
            .filter(|(l, _)| l.len() == 1)
            .map(|(_, s)| s.as_str())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(scp: &str, map: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("wav.scp"), scp).unwrap();
        std::fs::write(dir.path().join("utt2spk"), map).unwrap();
        std::fs::write(dir.path().join("a b.wav"), "x").unwrap();
        std::fs::write(dir.path().join("c.wav"), "x").unwrap();
        dir
    }

    #[test]
    fn paths_may_hold_blanks_and_speakers_are_numbered() {
        let dir = folder(
            "u1  a b.wav\nu2\tc.wav\n\nu3 c.wav\n",
            "u1 zoe\nu2 anna\nu3 zoe\nother nobody\n",
        );
        let corpus = Corpus::load(dir.path()).unwrap();
        assert_eq!(corpus.speakers, ["anna", "zoe"]);
        assert_eq!(corpus.utterances[0].path, dir.path().join("a b.wav"));
        assert_eq!(corpus.by_speaker(), [vec![1], vec![0, 2]]);
        assert_eq!(corpus.lone_speakers(), ["anna"]);
        let words = [("u3", 1), ("a b.wav", 2)];
        assert_eq!(corpus.names().resolve(Path::new("trials"), words).unwrap().places, [2, 0]);
        // Two utterances have this file.
        let error =
            corpus.names().resolve(Path::new("trials"), [("c.wav", 7)]).unwrap_err().to_string();
        assert!(error.contains("trials:7: `c.wav` may be utterance `u2` or `u3`"), "{error}");
    }

    #[test]
    fn files_are_looked_for_beside_the_list_and_above_it() {
        let dir = folder("u c.wav\n", "u s\n");
        std::fs::create_dir(dir.path().join("lists")).unwrap();
        let list = dir.path().join("lists/wav.scp");
        assert_eq!(locate(&list, "c.wav"), dir.path().join("c.wav"));
        std::fs::write(dir.path().join("lists/c.wav"), "x").unwrap();
        assert_eq!(locate(&list, "c.wav"), dir.path().join("lists/c.wav"));
        assert_eq!(locate(&list, "d.wav"), dir.path().join("lists/d.wav"));
        assert_eq!(locate(Path::new("wav.scp"), "Cargo.toml"), Path::new("./Cargo.toml"));
    }

    #[test]
    fn bad_lines_are_named() {
        let fails = |scp: &str, map: &str, wanted: &str| {
            let dir = folder(scp, map);
            let error = Corpus::load(dir.path()).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        };
        fails("u1\n", "u1 s\n", "wav.scp:1: one field");
        fails("u1 c.wav\nu1 c.wav\n", "u1 s\n", "wav.scp:2: utterance `u1` again");
        fails("u1 c.wav\n", "u1 s\nu1 t\n", "utt2spk:2: utterance `u1` again");
        fails("u1 c.wav\n", "u1 s extra\n", "utt2spk:1: 3 field(s)");
        fails("u1 c.wav\nu2 c.wav\n", "u1 s\n", "wav.scp:2: utterance `u2` has no speaker");
        fails("u1 c.wav\nu2 d.wav\n", "u1 s\nu2 s\n", "wav.scp:2:");
        fails("u1 sox c.wav - |\n", "u1 s\n", "wav.scp:1: a command");
        fails("\n", "", "no utterances");
        assert!(Corpus::load("no/such").unwrap_err().to_string().contains("no/such"));
    }
}
