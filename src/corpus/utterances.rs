//! The utterances of a corpus with their speakers, whatever form its lists have.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::lists::{located, speaker_map, wav_scp};
use super::raw_list::raw_list;
use super::shards::{Shards, index_of};
use super::{Done, Names, Shard};
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

/// Id, audio, speaker and line of an utterance, and whether its file is there.
type Listed<'t> = (&'t str, Place, &'t str, usize, bool);

impl Corpus {
    /// Reads the lists of a corpus: a folder with `wav.scp` and `utt2spk`, or one of WeSpeaker's
    /// lists (`raw.list`: JSON lines; `shard.list`: tar files), or a folder that has one of those.
    ///
    /// # Errors
    /// Those of [`read_wav_scp`](super::read_wav_scp), [`read_utt2spk`](super::read_utt2spk) and
    /// [`Shards::scan`]; an utterance without a speaker and a file that does not exist, at their
    /// line.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let corpus = Self::load_all(path)?;
        let first = corpus.missing().next();
        match first {
            Some((_, error)) => Err(error),
            None => Ok(corpus),
        }
    }

    /// [`Corpus::load`], which leaves it to the caller what to do about files that are not there
    /// ([`Corpus::missing`]).
    ///
    /// # Errors
    /// Those of [`Corpus::load`] but for such files.
    pub fn load_all(path: impl AsRef<Path>) -> Result<Self> {
        Self::load_all_with(path, &|_, _| ())
    }

    /// [`Corpus::load_all`], which calls `done` as [`Shards::scan`] does: reading tar files without
    /// an index may take long.
    ///
    /// # Errors
    /// Those of [`Corpus::load_all`].
    pub fn load_all_with(path: impl AsRef<Path>, done: &Done) -> Result<Self> {
        let path = path.as_ref();
        if path.is_file() {
            return match fs::parent(path) {
                folder if path.file_name().is_some_and(|name| name == "wav.scp") => {
                    Self::of_wav_scp(path, &speaker_list(folder))
                }
                _ if is_raw_list(path)? => Self::of_raw_list(path),
                _ => Self::of_shards(path, done),
            };
        }
        if !path.is_dir() {
            let what = "no such folder; wanted one with wav.scp and utt2spk, or a raw.list or \
                        shard.list";
            return Err(Error::file(path, what));
        }
        let [scp, raw, shards] = ["wav.scp", "raw.list", "shard.list"].map(|name| path.join(name));
        match (raw.exists(), shards.exists()) {
            _ if scp.exists() => Self::of_wav_scp(&scp, &speaker_list(path)),
            (true, _) => Self::of_raw_list(&raw),
            (false, true) => Self::of_shards(&shards, done),
            (false, false) => {
                let what = "has no lists: wav.scp with utt2spk, raw.list or shard.list is wanted \
                            (`revox prepare` makes lists of a folder of audio)";
                Err(Error::file(path, what))
            }
        }
    }

    fn of_wav_scp(scp: &Path, map: &Path) -> Result<Self> {
        let (text, speakers) = (fs::read_to_string(scp)?, fs::read_to_string(map)?);
        let (entries, speaker_of) = (wav_scp(scp, &text)?, speaker_map(map, &speakers)?);
        let listed: Result<Vec<Listed>> = entries
            .into_par_iter()
            .map(|(id, file, line)| {
                let (speaker, _) = *speaker_of.get(id).ok_or_else(|| {
                    let map = map.display();
                    Error::line(scp, line, format!("utterance `{id}` has no speaker in {map}"))
                })?;
                let (place, is_there) = file_at(scp, file);
                Ok((id, place, speaker, line, is_there))
            })
            .collect();
        drop(speaker_of);
        let corpus = Self::of_listed(scp, listed?);
        Ok(Self { speaker_list: Some(map.to_owned()), ..corpus })
    }

    fn of_raw_list(list: &Path) -> Result<Self> {
        let text = fs::read_to_string(list)?;
        let entries = raw_list(list, &text)?;
        let listed = entries
            .par_iter()
            .map(|(entry, line)| {
                let (place, is_there) = file_at(list, &entry.wav);
                (&*entry.key, place, &*entry.spk, *line, is_there)
            })
            .collect();
        Ok(Self::of_listed(list, listed))
    }

    fn of_shards(list: &Path, done: &Done) -> Result<Self> {
        let (shards, entries) = Shards::scan(list, done)?;
        let listed = entries
            .iter()
            .map(|entry| {
                let (shard, offset, bytes) = (entry.shard, entry.offset, entry.bytes);
                let place = Place::Entry { shard, offset, bytes };
                (&*entry.id, place, &*entry.speaker, shards.line(shard), true)
            })
            .collect();
        Ok(Self { shards, ..Self::of_listed(list, listed) })
    }

    fn of_listed(list: &Path, listed: Vec<Listed>) -> Self {
        let mut numbers: HashMap<&str, u32> = listed.iter().map(|entry| (entry.2, 0)).collect();
        let mut names: Vec<&str> = numbers.keys().copied().collect();
        names.sort_unstable();
        numbers.extend(names.iter().copied().zip(0..));
        let speakers = names.into_iter().map(str::to_owned).collect();
        let missing = listed.iter().zip(0..).filter(|(entry, _)| !entry.4).map(|(_, i)| i);
        let missing = missing.collect();
        let utterances = listed
            .into_iter()
            .map(|(id, place, speaker, line, _)| Utterance {
                id: id.into(),
                place,
                speaker: numbers[speaker],
                line: line as u32,
            })
            .collect();
        Self { utterances, speakers, missing, list: list.to_owned(), ..Self::default() }
    }

    /// Utterances whose files are not there, by their places, with the errors of their lines.
    pub fn missing(&self) -> impl Iterator<Item = (usize, Error)> {
        self.missing.iter().map(|&place| {
            let utterance = &self.utterances[place as usize];
            let path = utterance.path().unwrap_or(&self.list).display();
            let message = format!("{path}: no such file");
            (place as usize, Error::line(&self.list, utterance.line as usize, message))
        })
    }

    /// How many speakers the lists have, which is known much sooner than [`Corpus::load`] is done.
    /// Speakers of utt2spk without an utterance in wav.scp count, too. `done` is called as
    /// [`Corpus::load_all_with`] calls it.
    ///
    /// # Errors
    /// Those of [`Corpus::load`].
    pub fn count_speakers(path: impl AsRef<Path>, done: &Done) -> Result<usize> {
        let path = path.as_ref();
        if !path.join("wav.scp").exists() {
            return Ok(Self::load_all_with(path, done)?.speakers.len());
        }
        let map = speaker_list(path);
        let text = fs::read_to_string(&map)?;
        let speakers = speaker_map(&map, &text)?;
        Ok(speakers.values().map(|(speaker, _)| speaker).collect::<HashSet<_>>().len())
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

/// The list of speakers in a folder: utt2spk, or spk2utt where only that is.
fn speaker_list(folder: &Path) -> PathBuf {
    let [utt2spk, spk2utt] = ["utt2spk", "spk2utt"].map(|name| folder.join(name));
    if !utt2spk.exists() && spk2utt.exists() { spk2utt } else { utt2spk }
}

/// The place of a listed file, and whether it is there.
fn file_at(list: &Path, listed: &str) -> (Place, bool) {
    let (path, is_there) = located(list, listed);
    // The list's text is the end of every path that it may lead to.
    let listed_at = path.as_os_str().len().saturating_sub(listed.len()) as u32;
    (Place::File { path: path.into(), listed_at }, is_there)
}

/// Whether a list has JSON lines.
fn is_raw_list(list: &Path) -> Result<bool> {
    use std::io::Read;
    let mut beginning = Vec::new();
    let file = fs::open(list)?.take(4096).read_to_end(&mut beginning);
    file.map_err(|e| Error::io(list, "read", e))?;
    let text = beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&beginning);
    Ok(text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{'))
}

#[cfg(test)]
mod tests;
