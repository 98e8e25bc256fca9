//! Reads the lists of a corpus, whatever form they have.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::{Corpus, Place, Utterance};
use crate::corpus::Done;
use crate::corpus::lists::{located, speaker_map, wav_scp};
use crate::corpus::raw_list::raw_list;
use crate::corpus::shards::Shards;
use crate::error::{Error, Result};
use crate::fs;

/// Id, audio, speaker and line of an utterance, and whether its file is there.
type Listed<'t> = (&'t str, Place, &'t str, usize, bool);

impl Corpus {
    /// Reads the lists of a corpus: a folder with `wav.scp` and `utt2spk`, or one of WeSpeaker's
    /// lists (`raw.list`: JSON lines; `shard.list`: tar files), or a folder that has one of those.
    ///
    /// # Errors
    /// Those of [`read_wav_scp`](crate::corpus::read_wav_scp),
    /// [`read_utt2spk`](crate::corpus::read_utt2spk) and [`Shards::scan`]; an utterance without a
    /// speaker and a file that does not exist, at their line.
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
        if fs::is_stdin(path) {
            let what = "a corpus cannot be standard input: speakers and files are looked for \
                        beside its list; name a folder or a list";
            return Err(Error::file(path, what));
        }
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
