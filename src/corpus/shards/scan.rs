//! From the list of tar files to their utterances.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::files::{Shard, Shards};
use super::index;
use super::pairs::{Pair, pairs};
use crate::corpus::Done;
use crate::corpus::lists::{located, utt2spk};
use crate::error::{Error, Result};
use crate::fs;
use crate::rng::fnv1a64;
use crate::terminal::note;

/// An utterance in a tar file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardEntry {
    /// Its id.
    pub id: Box<str>,
    /// Its speaker. Entries of one speaker share the name.
    pub speaker: Arc<str>,
    /// The number of the tar file, from 0, in the order of the list.
    pub shard: u32,
    /// The byte of the tar file at which its audio begins.
    pub offset: u64,
    /// Bytes of its audio.
    pub bytes: u64,
}

/// A text that is held once for all that have it.
#[derive(Default)]
pub(super) struct Shared(HashSet<Arc<str>>);

impl Shared {
    pub fn get(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        let new: Arc<str> = text.into();
        self.0.insert(new.clone());
        new
    }
}

impl Shards {
    /// Reads a list of tar files, and which utterances they hold: from the index that `revox pack`
    /// writes, or from the headers of all tar files. `done` is called after each tar file whose
    /// headers were read.
    ///
    /// A relative path is looked for as [`locate`](crate::corpus::locate) does. A tar file that is
    /// not where the list says is looked for beside the list. If all paths are absolute ones into
    /// one other folder, as in a copy of a packed folder, those beside the list come first.
    /// `utt2spk` beside the list gives speakers that the tar files do not tell, and must agree with
    /// those that they tell. A note says so if it names more utterances than the tar files hold.
    ///
    /// # Errors
    /// A list that cannot be read, names nothing, or names a tar file twice or one that does not
    /// exist; a tar file that is cut short, damaged, compressed, without audio or none at all; an
    /// utterance in two places, without a speaker or that `utt2spk` does not have; a damaged index.
    pub fn scan(list: &Path, done: &Done) -> Result<(Self, Vec<ShardEntry>)> {
        let shards = Self::new(read_list(list)?);
        let map = fs::parent(list).join("utt2spk");
        let speakers = map.exists().then(|| fs::read_to_string(&map)).transpose()?;
        let entries = match index::read(list, shards.all(), speakers.as_deref())? {
            Some(entries) => entries,
            None => {
                let (all, finished) = (shards.len(), AtomicUsize::new(0));
                let read = |shard: &Shard| {
                    let found = pairs(&shard.path);
                    done(finished.fetch_add(1, Ordering::Relaxed) + 1, all);
                    found
                };
                let found: Vec<Vec<Pair>> =
                    shards.all().par_iter().map(read).collect::<Result<_>>()?;
                named(&shards, found, &map, speakers.as_deref())?
            }
        };
        refuse_repeats(&shards, &entries)?;
        let lines = |text: &str| text.lines().filter(|line| !line.trim().is_empty()).count();
        let (named, held) = (speakers.as_deref().map_or(0, lines), entries.len());
        if named > held {
            let (map, list) = (map.display(), list.display());
            note!("{map} names {named} utterances, the tar files of {list} hold {held}");
        }
        Ok((shards, entries))
    }
}

/// The tar files of a list.
fn read_list(list: &Path) -> Result<Vec<Shard>> {
    let text = fs::read_to_string(list)?;
    let copied_from = copied_from(list, &text);
    let mut is_told = false;
    let mut seen: HashMap<PathBuf, usize> = HashMap::new();
    let mut shards = Vec::new();
    for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
        let bad = |message: String| Error::line(list, line, message);
        let (mut path, is_there) = located(list, text.trim());
        // The list and its tar files may have been moved or copied together.
        if !is_there || copied_from.is_some() {
            let beside = path.file_name().map(|name| fs::parent(list).join(name));
            match beside.filter(|beside| beside.is_file()) {
                Some(beside) => path = beside,
                None if is_there => {}
                None => return Err(bad(format!("{}: no such file", path.display()))),
            }
            if let Some(folder) = copied_from.filter(|folder| fs::parent(&path) != *folder)
                && is_there
                && !std::mem::replace(&mut is_told, true)
            {
                let (list, folder) = (list.display(), folder.display());
                note!("{list}: the tar files beside it are read, not those in {folder}");
            }
        }
        let found =
            std::fs::metadata(&path).map_err(|e| bad(format!("{}: {e}", path.display())))?;
        if found.is_dir() {
            return Err(bad(format!("{}: is a folder, not a tar file", path.display())));
        }
        if let Some(first) = seen.insert(path.clone(), line) {
            let path = path.display();
            return Err(bad(format!("{path} again; it is already in line {first}")));
        }
        shards.push(Shard { path, line, bytes: found.len() });
    }
    match shards.is_empty() {
        true => Err(Error::file(list, "names no tar files")),
        false => Ok(shards),
    }
}

/// The one folder that a list has all its tar files in, by absolute paths, if that is not the
/// list's own: it was copied or moved. Tar files of several folders may have equal names.
fn copied_from<'t>(list: &Path, text: &'t str) -> Option<&'t Path> {
    let paths = text.lines().map(str::trim).filter(|path| !path.is_empty()).map(Path::new);
    let mut folders = paths.map(fs::parent);
    let first = folders.next()?;
    let real = |folder: &Path| folder.canonicalize().ok();
    let is_other = real(first) != real(fs::parent(list));
    (first.is_absolute() && folders.all(|other| other == first) && is_other).then_some(first)
}

/// The utterances of all tar files with their speakers. `map` is the list with the text `speakers`.
fn named(
    shards: &Shards,
    found: Vec<Vec<Pair>>,
    map: &Path,
    speakers: Option<&str>,
) -> Result<Vec<ShardEntry>> {
    let known = speakers.map(|text| utt2spk(map, text)).transpose()?;
    let mut names = Shared::default();
    let mut entries = Vec::with_capacity(found.iter().map(Vec::len).sum());
    for (shard, pairs) in (0u32..).zip(found) {
        let bad = |message: String| Error::file(shards.path(shard), message);
        for Pair { id, speaker, offset, bytes } in pairs {
            let listed = known.as_ref().map(|known| known.get(&*id).copied());
            let speaker = match (&speaker, listed) {
                (_, Some(None)) => {
                    let map = map.display();
                    return Err(bad(format!(
                        "its utterance `{id}` is not in {map}; add the line `{id} SPEAKER` there, \
                         or remove that list if every tar file has `KEY.spk` entries"
                    )));
                }
                (Some(own), Some(Some((other, line)))) if **own != *other => {
                    return Err(Error::line(
                        map,
                        line,
                        format!(
                            "`{other}` is the speaker of `{id}` here, and `{own}` is in {}",
                            shards.path(shard).display()
                        ),
                    ));
                }
                (Some(own), _) => names.get(own),
                (None, Some(Some((listed, _)))) => names.get(listed),
                (None, None) => {
                    return Err(bad(format!(
                        "its utterance `{id}` has no speaker: wanted an entry `{id}.spk` next to \
                         its audio, or a list utt2spk beside the list of tar files"
                    )));
                }
            };
            entries.push(ShardEntry { id, speaker, shard, offset, bytes });
        }
    }
    Ok(entries)
}

/// Refuses an id that two utterances have.
fn refuse_repeats(shards: &Shards, entries: &[ShardEntry]) -> Result<()> {
    // Sorted hashes take less memory than a map of a million ids.
    let mut hashes: Vec<(u64, usize)> =
        entries.iter().enumerate().map(|(i, entry)| (fnv1a64(entry.id.as_bytes()), i)).collect();
    hashes.par_sort_unstable();
    for equal in hashes.chunk_by(|a, b| a.0 == b.0).filter(|equal| equal.len() > 1) {
        let mut seen: HashMap<&str, u32> = HashMap::new();
        for &(_, i) in equal {
            let ShardEntry { id, shard, .. } = &entries[i];
            if let Some(first) = seen.insert(id, *shard) {
                let first = shards.path(first).display();
                let message = format!("utterance `{id}` again; it is already in {first}");
                return Err(Error::file(shards.path(*shard), message));
            }
        }
    }
    Ok(())
}
