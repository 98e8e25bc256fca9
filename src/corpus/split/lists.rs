//! The lists that are divided.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::audio::pipe;
use crate::corpus::prepare::Output;
use crate::corpus::{Corpus, locate, read_utt2spk, read_wav_scp};
use crate::error::{Error, Result};

/// A speaker.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Speaker {
    /// The name.
    pub name: String,
    /// The ids of the utterances, sorted.
    pub ids: Vec<String>,
}

/// An utterance's file in the list.
struct Line {
    listed: String,
    number: usize,
}

/// Speakers and files.
pub(super) struct Lists {
    /// Speakers by name.
    pub speakers: Vec<Speaker>,
    /// The list that names the files: wav.scp, or one of WeSpeaker's.
    scp: PathBuf,
    lines: HashMap<String, Line>,
    /// Whether the recordings are in tar files, and have no files of their own.
    is_packed: bool,
}

impl Lists {
    /// Reads the lists of a folder: `utt2spk` and, if it is there, `wav.scp`, whose utterances then
    /// count. Without `utt2spk`, for a `raw.list`, and where `path` is a file, it reads what
    /// [`Corpus::load`] reads.
    ///
    /// # Errors
    /// A list that cannot be read; an utterance without a speaker; no utterances.
    pub fn read(path: &Path) -> Result<Self> {
        let (scp, map) = (path.join("wav.scp"), path.join("utt2spk"));
        let has = |list: &str| !scp.exists() && path.join(list).exists();
        if !map.exists() || has("raw.list") {
            return Ok(Self::of_corpus(&Corpus::load_all(path)?));
        }
        let mut speaker_of = read_utt2spk(&map)?;
        let mut speakers: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut lines = HashMap::new();
        if scp.exists() {
            for (id, listed, number) in read_wav_scp(&scp)? {
                let Some((speaker, _)) = speaker_of.remove(&id) else {
                    let message = format!("utterance `{id}` has no speaker in {}", map.display());
                    return Err(Error::line(&scp, number, message));
                };
                speakers.entry(speaker).or_default().push(id.clone());
                lines.insert(id, Line { listed, number });
            }
        } else {
            for (id, (speaker, _)) in speaker_of {
                speakers.entry(speaker).or_default().push(id);
            }
        }
        if speakers.is_empty() {
            return Err(Error::file(map, "holds no utterances"));
        }
        let speakers = speakers.into_iter().map(|(name, mut ids)| {
            ids.sort_unstable();
            Speaker { name, ids }
        });
        let is_packed = has("shard.list");
        Ok(Self { speakers: speakers.collect(), scp, lines, is_packed })
    }

    fn of_corpus(corpus: &Corpus) -> Self {
        let by_speaker = corpus.by_speaker().into_iter().zip(&corpus.speakers);
        let speakers = by_speaker.map(|(places, name)| {
            let ids = places.into_iter().map(|place| corpus.utterances[place].id.to_string());
            let mut ids: Vec<String> = ids.collect();
            ids.sort_unstable();
            Speaker { name: name.clone(), ids }
        });
        let lines = corpus.utterances.iter().filter_map(|utterance| {
            let listed = utterance.listed()?.to_owned();
            Some((utterance.id.to_string(), Line { listed, number: utterance.line as usize }))
        });
        Self {
            speakers: speakers.collect(),
            scp: corpus.list.clone(),
            lines: lines.collect(),
            is_packed: corpus.shards().is_some(),
        }
    }

    /// The files of the utterances.
    ///
    /// # Errors
    /// No `wav.scp`; recordings in tar files; a file that does not exist, at its line.
    pub fn located(&self) -> Result<Located<'_>> {
        if self.is_packed {
            let why = "its recordings are in tar files, which wav.scp cannot name; trials can be \
                       made without dividing it (--no-split)";
            return Err(Error::file(&self.scp, why));
        }
        if self.lines.is_empty() {
            return Err(Error::file(&self.scp, "no such file; the lists to divide need one"));
        }
        let mut files = HashMap::with_capacity(self.lines.len());
        let mut missing: Option<(usize, PathBuf)> = None;
        for (id, line) in &self.lines {
            if pipe::is_command(&line.listed) {
                files.insert(id.as_str(), line.listed.clone());
                continue;
            }
            let path = locate(&self.scp, &line.listed);
            if !path.exists() && missing.as_ref().is_none_or(|(first, _)| line.number < *first) {
                missing = Some((line.number, path));
                continue;
            }
            let path = std::path::absolute(&path).map_err(|e| Error::io(&path, "locate", e))?;
            files.insert(id.as_str(), path.display().to_string());
        }
        match missing {
            Some((number, path)) => {
                let message = format!("{}: no such file", path.display());
                Err(Error::line(&self.scp, number, message))
            }
            None => Ok(Located(files)),
        }
    }
}

/// The file of each utterance.
pub(super) struct Located<'a>(HashMap<&'a str, String>);

impl Located<'_> {
    /// The lists of some speakers, in a folder.
    pub fn outputs<'o>(&'o self, folder: &str, speakers: &'o [&'o Speaker]) -> [Output<'o>; 3] {
        let utterances = move || {
            let mut all: Vec<(&str, &str)> = speakers
                .iter()
                .flat_map(|speaker| {
                    speaker.ids.iter().map(move |id| (id.as_str(), speaker.name.as_str()))
                })
                .collect();
            all.sort_unstable();
            all
        };
        let spk2utt = move |out: &mut dyn Write| -> io::Result<()> {
            speakers
                .iter()
                .try_for_each(|speaker| writeln!(out, "{} {}", speaker.name, speaker.ids.join(" ")))
        };
        let utt2spk = move |out: &mut dyn Write| -> io::Result<()> {
            utterances().into_iter().try_for_each(|(id, speaker)| writeln!(out, "{id} {speaker}"))
        };
        let scp = move |out: &mut dyn Write| -> io::Result<()> {
            utterances().into_iter().try_for_each(|(id, _)| writeln!(out, "{id} {}", self.0[id]))
        };
        [
            Output::new(format!("{folder}/spk2utt"), spk2utt),
            Output::new(format!("{folder}/utt2spk"), utt2spk),
            Output::new(format!("{folder}/wav.scp"), scp),
        ]
    }
}
