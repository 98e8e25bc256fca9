//! The index of packed tar files: where each utterance is. It spares reading the headers of all tar
//! files.
//!
//! It is a text beside the list: `shard.list` has `shard.index.tsv`. Fields are separated by tabs.
//! The first line says what the file is; the second one has the number of tar files, that of
//! utterances, a hash of utt2spk (`-` without one) and a hash of all that follows. Then come the
//! name, the size and a hash of the first bytes of each tar file, and id, speaker, number of the
//! tar file, place and size of each utterance.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::files::{Shard, failed, read_exact_at};
use super::header::BLOCK;
use super::scan::{ShardEntry, Shared};
use crate::error::{Error, Result};
use crate::fs;
use crate::rng::fnv1a64;
use crate::terminal::note;

/// The first line.
const MARK: &str = "revox index of tar files, 1";

/// What the index says about a tar file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    /// Its name, without folder.
    pub name: String,
    pub bytes: u64,
    /// A hash of its first header.
    pub head: u64,
}

impl Facts {
    /// Looks at a tar file.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn of(path: &Path, bytes: u64) -> Result<Self> {
        let mut first = vec![0; bytes.min(BLOCK) as usize];
        read_exact_at(&fs::open(path)?, &mut first, 0).map_err(|e| failed(path, e))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, bytes, head: fnv1a64(&first) })
    }

    fn line(&self) -> String {
        format!("{}\t{}\t{:016x}", self.name, self.bytes, self.head)
    }
}

/// The index of a list.
pub(in crate::corpus) fn path_of(list: &Path) -> PathBuf {
    list.with_extension("index.tsv")
}

/// A hash of utt2spk as the index has it.
fn hashed(speakers: Option<&str>) -> String {
    speakers.map_or("-".into(), |text| format!("{:016x}", fnv1a64(text.as_bytes())))
}

/// Whether a text is a whole hash.
fn is_hash(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// The index as text. `speakers` is the text of utt2spk.
#[cfg_attr(not(any(test, feature = "train")), allow(dead_code, reason = "packing writes it"))]
pub(super) fn text(shards: &[Facts], entries: &[ShardEntry], speakers: Option<&str>) -> String {
    let mut text: String = shards.iter().map(|shard| format!("{}\n", shard.line())).collect();
    for ShardEntry { id, speaker, shard, offset, bytes } in entries {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{id}\t{speaker}\t{shard}\t{offset}\t{bytes}");
    }
    let (all, utterances, hash) = (shards.len(), entries.len(), hashed(speakers));
    let rest = fnv1a64(text.as_bytes());
    format!("{MARK}\n{all}\t{utterances}\t{hash}\t{rest:016x}\n{text}")
}

/// The utterances by the index, if there is one that fits the tar files and utt2spk. One of other
/// files is left out with a note.
///
/// # Errors
/// A damaged index.
pub(super) fn read(
    list: &Path,
    shards: &[Shard],
    speakers: Option<&str>,
) -> Result<Option<Vec<ShardEntry>>> {
    let path = path_of(list);
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(&path)?;
    let bad = |line: usize| {
        let message = "is damaged here; remove the file, and the headers of the tar files are read";
        Error::line(&path, line, message)
    };
    let mut lines = text.lines().zip(1usize..);
    if lines.next().is_none_or(|(line, _)| line != MARK) {
        return Err(bad(1));
    }
    let counts = lines.next().and_then(|(line, _)| {
        let mut fields = line.split('\t');
        let [all, utterances] = [fields.next()?, fields.next()?].map(|f| f.parse::<usize>().ok());
        let hash = fields.next().filter(|hash| *hash == "-" || is_hash(hash))?;
        let rest = fields.next().filter(|rest| is_hash(rest))?;
        Some((all?, utterances?, hash, rest))
    });
    let (all, utterances, hash, rest) = counts.ok_or_else(|| bad(2))?;
    let behind = text.splitn(3, '\n').nth(2).unwrap_or_default();
    if rest != format!("{:016x}", fnv1a64(behind.as_bytes())) {
        return Err(bad(2));
    }
    let stale = |what: String| {
        note!("{}: {what}; the headers of all tar files are read instead", path.display());
        Ok(None)
    };
    if all != shards.len() {
        return stale(format!("is of {all} tar files, and the list has {}", shards.len()));
    }
    if speakers.is_some() && hash != hashed(speakers) {
        return stale("is of another utt2spk".into());
    }
    let facts: Result<Vec<Facts>> =
        shards.par_iter().map(|shard| Facts::of(&shard.path, shard.bytes)).collect();
    for facts in facts? {
        let (line, number) = lines.next().ok_or_else(|| bad(2))?;
        let fields: Vec<&str> = line.split('\t').collect();
        if fields.len() != 3 || !is_hash(fields[2]) {
            return Err(bad(number));
        }
        if line != facts.line() {
            return stale(format!("its line {number} is not about {} as it is", facts.name));
        }
    }
    // An entry takes a line of at least ten bytes.
    let mut entries = Vec::with_capacity(utterances.min(text.len() / 10));
    let mut names = Shared::default();
    for (line, number) in lines {
        entries.push(entry(line, shards, &mut names).ok_or_else(|| bad(number))?);
    }
    match entries.len() == utterances && text.ends_with('\n') {
        true => Ok(Some(entries)),
        false => Err(bad(3 + all + entries.len())),
    }
}

/// The utterance of a line.
fn entry(line: &str, shards: &[Shard], names: &mut Shared) -> Option<ShardEntry> {
    let mut fields = line.split('\t');
    let mut next = || fields.next().filter(|field| !field.is_empty());
    let (id, speaker) = (next()?.into(), names.get(next()?));
    let shard: u32 = next()?.parse().ok()?;
    let (offset, bytes): (u64, u64) = (next()?.parse().ok()?, next()?.parse().ok()?);
    let fits = offset.checked_add(bytes)? <= shards.get(shard as usize)?.bytes;
    (fits && next().is_none()).then_some(ShardEntry { id, speaker, shard, offset, bytes })
}
