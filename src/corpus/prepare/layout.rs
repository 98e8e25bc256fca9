//! Where a corpus has its audio, and what its files are called in lists.

use std::collections::HashMap;
use std::path::PathBuf;

use super::Problems;

/// What a file is by its place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// An utterance.
    Utterance {
        /// Its id, without blanks.
        id: String,
        /// Its speaker, without blanks, in a corpus that has speakers.
        speaker: Option<String>,
        /// Its group, by a number of the layout's own.
        group: u32,
    },
    /// In no place where the corpus has audio, and why.
    Misplaced(&'static str),
    /// Audio that is not wanted.
    Unwanted,
}

/// The folders of a corpus.
pub(super) trait Layout {
    /// What an error says is missing where nothing is found.
    fn wanted(&self) -> &'static str;

    /// What an audio file is. `parts` are the names of its absolute path, the last one that of the
    /// file. The first `root` of them are those of the folder that the user names.
    fn name(&mut self, parts: &[&str], root: usize) -> Named;

    /// The lists that come out, as far as they are known.
    fn lists(&self) -> Vec<ListFolder>;
}

/// A folder with lists, below the output folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListFolder {
    /// Its name; empty for the output folder itself.
    pub name: String,
    /// The groups of its utterances.
    pub groups: Vec<u32>,
    /// Whether it has speakers: `utt2spk` and `spk2utt` beside `wav.scp`.
    pub speakers: bool,
    /// Whether copies stay, as in tests, where trials may name them.
    pub copies: bool,
}

impl ListFolder {
    /// Lists of everything, in the output folder itself.
    pub fn only(speakers: bool) -> Vec<Self> {
        vec![Self { name: String::new(), groups: vec![0], speakers, copies: false }]
    }

    /// The name of a file of this folder, below the output folder.
    pub fn file(&self, name: &str) -> String {
        match self.name.is_empty() {
            true => name.to_owned(),
            false => format!("{}/{name}", self.name),
        }
    }

    /// The names of its lists.
    pub fn files(&self) -> impl Iterator<Item = String> {
        let names: &[&str] =
            if self.speakers { &["spk2utt", "utt2spk", "wav.scp"] } else { &["wav.scp"] };
        names.iter().map(|name| self.file(name))
    }
}

/// A file that may become an utterance.
#[derive(Debug)]
pub(super) struct Candidate {
    /// Its id.
    pub id: Box<str>,
    /// Its path, below the folder as the user names it.
    pub path: PathBuf,
    /// Its speaker, as an index into [`Found::speakers`].
    pub speaker: Option<u32>,
    /// Its group.
    pub group: u32,
}

/// What the folders of a corpus hold.
#[derive(Default)]
pub(super) struct Found {
    /// Files with audio.
    pub files: Vec<Candidate>,
    /// Speakers in the order in which they were found.
    pub speakers: Vec<String>,
    numbers: HashMap<String, u32>,
    /// What is left out, and why.
    pub problems: Problems,
}

impl Found {
    /// Adds a file.
    pub fn add(&mut self, id: String, path: PathBuf, speaker: Option<String>, group: u32) {
        let speaker = speaker.map(|speaker| match self.numbers.get(&speaker) {
            Some(&number) => number,
            None => {
                let number = self.speakers.len() as u32;
                self.speakers.push(speaker.clone());
                self.numbers.insert(speaker, number);
                number
            }
        });
        self.files.push(Candidate { id: id.into(), path, speaker, group });
    }
}
