//! The utterances of a corpus with their speakers, whatever form its lists have.

mod load;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::shards::{Shards, index_of};
use super::{Names, Shard};
use crate::audio::Source;
use crate::error::{Error, Result};
use crate::fs;

/// Where the audio of an utterance is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file.
    File {
        /// Its path.
        path: Box<Path>,
        /// The byte of the path from which on it is what the list says.
        listed_at: u32,
    },
    /// A file within a tar file.
    Entry {
        /// The number of the tar file.
        shard: u32,
        /// The byte of the tar file at which the content begins.
        offset: u64,
        /// Bytes of the content.
        bytes: u64,
    },
}

/// One recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Utterance {
    /// Its id.
    pub id: Box<str>,
    /// Its audio.
    pub place: Place,
    /// Its speaker, as an index into [`Corpus::speakers`].
    pub speaker: u32,
    /// Its line in the list, from 1. That of its tar file, if it is in one.
    pub line: u32,
}

impl Utterance {
    /// Its file, if it has one of its own.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::File { path, .. } => Some(path),
            Place::Entry { .. } => None,
        }
    }

    /// Its file's path as the list has it, if it has a file of its own.
    pub fn listed(&self) -> Option<&str> {
        match &self.place {
            Place::File { path, listed_at } => path.to_str()?.get(*listed_at as usize..),
            Place::Entry { .. } => None,
        }
    }
}

/// Recordings and their speakers.
#[derive(Debug, Default)]
pub struct Corpus {
    /// Recordings in the order of the list.
    pub utterances: Vec<Utterance>,
    /// Speakers in alphabetical order.
    pub speakers: Vec<String>,
    /// The list that names the recordings: wav.scp, or one of WeSpeaker's.
    pub list: PathBuf,
    /// The list of speakers, if that is another file.
    pub speaker_list: Option<PathBuf>,
    shards: Shards,
    /// Utterances whose files are not there, in order.
    missing: Vec<u32>,
}

impl Corpus {
    /// Utterances whose files are not there, by their places, with the errors of their lines.
    pub fn missing(&self) -> impl Iterator<Item = (usize, Error)> {
        self.missing.iter().map(|&place| {
            let utterance = &self.utterances[place as usize];
            let path = utterance.path().unwrap_or(&self.list).display();
            let message = format!("{path}: no such file");
            (place as usize, Error::line(&self.list, utterance.line as usize, message))
        })
    }

    /// Leaves the utterances of a shard. Lists and speakers stay as they are.
    pub fn keep(&mut self, shard: Shard) {
        shard.keep(&mut self.utterances);
        self.missing.retain(|&place| shard.has(place as usize));
        let count = shard.count();
        self.missing.iter_mut().for_each(|place| *place = (*place as usize / count) as u32);
    }

    /// Opens the audio of an utterance, as [`Source::open`] does.
    ///
    /// # Errors
    /// Those of [`Source::open`], which name the file, or the tar file and its entry.
    pub fn open(&self, utterance: &Utterance, rate: u32, channel: Option<usize>) -> Result<Source> {
        match &utterance.place {
            Place::File { path, .. } => Source::open(path, rate, channel),
            &Place::Entry { shard, offset, bytes } => {
                let (file, place) = self.shards.part(shard, offset, bytes)?;
                let name = self.shards.path(shard).join(&*utterance.id);
                Source::of_part(&name, file, place, rate, channel)
            }
        }
    }

    /// The tar files, if the utterances are in such.
    pub fn shards(&self) -> Option<&Shards> {
        (!self.shards.is_empty()).then_some(&self.shards)
    }

    /// An error of an utterance, at its line of the list.
    pub fn at(&self, utterance: &Utterance, error: Error) -> Error {
        error.retold(|text| Error::line(&self.list, utterance.line as usize, text))
    }

    /// Every list that the corpus was read from.
    pub fn lists(&self) -> Vec<PathBuf> {
        std::iter::once(&self.list).chain(&self.speaker_list).cloned().collect()
    }

    /// What is read beside the list of tar files, if the utterances are in such: the index and
    /// utt2spk, where they are there.
    pub fn beside_shards(&self) -> Vec<PathBuf> {
        let files = [index_of(&self.list), fs::parent(&self.list).join("utt2spk")];
        files.into_iter().filter(|file| self.shards().is_some() && file.exists()).collect()
    }

    /// Every file that holds audio, with the line that names it. Commands are no files, and files
    /// that are not there are left out.
    pub fn files(&self) -> Vec<(Cow<'_, Path>, usize)> {
        if let Some(shards) = self.shards() {
            let count = shards.len() as u32;
            return (0..count).map(|i| (Cow::from(shards.path(i)), shards.line(i))).collect();
        }
        let is_file = |path: &&Path| !path.to_str().is_some_and(crate::audio::pipe::is_command);
        let is_there = |place: &u32| self.missing.binary_search(place).is_err();
        (0u32..)
            .zip(&self.utterances)
            .filter(|(place, _)| is_there(place))
            .filter_map(|(_, u)| Some((Cow::from(u.path().filter(is_file)?), u.line as usize)))
            .collect()
    }

    /// The names that trial lists may use for the utterances: their ids, and their files as the
    /// list has them.
    pub fn names(&self) -> Names<'_> {
        let mut names = Names::new(&self.list, self.utterances.iter().map(|u| &*u.id));
        for (place, utterance) in self.utterances.iter().enumerate() {
            if let Some(listed) = utterance.listed() {
                names.add_file(place, listed);
            }
        }
        names
    }

    /// The utterances of each speaker, as indices into [`Corpus::utterances`].
    pub fn by_speaker(&self) -> Vec<Vec<usize>> {
        let mut lists = vec![Vec::new(); self.speakers.len()];
        for (i, u) in self.utterances.iter().enumerate() {
            lists[u.speaker as usize].push(i);
        }
        lists
    }

    /// Speakers with a single utterance. A network can learn only that recording, so a trainer
    /// should warn.
    pub fn lone_speakers(&self) -> Vec<&str> {
        let mut counts = vec![0usize; self.speakers.len()];
        self.utterances.iter().for_each(|u| counts[u.speaker as usize] += 1);
        let alone = counts.iter().zip(&self.speakers).filter(|(n, _)| **n == 1);
        alone.map(|(_, name)| name.as_str()).collect()
    }
}

#[cfg(test)]
mod tests;
