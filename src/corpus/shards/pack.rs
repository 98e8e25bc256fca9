//! Packs a corpus into tar files.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rayon::prelude::*;

use super::content::Content;
use super::index::{self, Facts};
use super::is_word;
use super::scan::ShardEntry;
use super::write::Writer;
use crate::corpus::{Corpus, Done, Utterance};
use crate::error::{Error, Result};
use crate::fs::{self, TemporaryFolder};
use crate::rng::Stream;

/// The list of tar files, in the folder that is made.
const LIST: &str = "shard.list";

/// How to pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packing {
    /// Utterances of a tar file.
    pub per_shard: usize,
    /// Seed of the order.
    pub seed: u64,
    /// Whether recordings of 16 bits become FLAC, without loss, where that is shorter. All others
    /// keep their bytes.
    pub flac: bool,
    /// Whether recordings that cannot be read are left out.
    pub skip_errors: bool,
}

impl Default for Packing {
    fn default() -> Self {
        Self { per_shard: 1000, seed: 1, flac: false, skip_errors: false }
    }
}

/// What [`pack`] has made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackReport {
    /// Utterances in the tar files.
    pub utterances: usize,
    /// Their speakers.
    pub speakers: usize,
    /// Tar files.
    pub shards: usize,
    /// Bytes of the tar files.
    pub bytes: u64,
    /// Recordings that became FLAC.
    pub encoded: usize,
    /// Ids of recordings that were left out, and the reasons, in the order of packing.
    pub left_out: Vec<(String, String)>,
}

/// A finished tar file.
#[derive(Default)]
struct Packed {
    /// None if it would be empty, and was not made.
    facts: Option<Facts>,
    /// Utterance, place and size.
    entries: Vec<(usize, u64, u64)>,
    encoded: usize,
    left_out: Vec<(String, String)>,
}

struct Job<'a> {
    corpus: &'a Corpus,
    packing: &'a Packing,
    /// The folder in the making.
    folder: &'a Path,
    /// Its name when it is finished.
    out: &'a Path,
    stop: &'a AtomicBool,
    told: &'a (dyn Fn() + Sync),
}

/// Makes the folder `out` with the recordings of a corpus in tar files, in random order. They are
/// named as WeSpeaker's are: `shards_000000000.tar`. Beside them stand `shard.list` with their
/// absolute paths, `utt2spk`, `spk2utt`, and the index by which [`Shards::scan`] finds utterances
/// faster. If recordings were left out, `left-out.txt` has `id reason` a line.
///
/// Bytes are copied as they are. Only recordings that may become FLAC are decoded.
///
/// Equal corpora and settings make equal tar files. The folder appears whole: a call that fails, or
/// that is stopped by setting `stop`, leaves nothing. Temporary folders of killed processes beside
/// it are removed. `done` is called after each recording.
///
/// [`Shards::scan`]: super::Shards::scan
///
/// # Errors
/// A folder that is not empty; an id or speaker that lists cannot hold; a recording that cannot be
/// read, unless such are to be left out; nothing to pack; a stop ([`Error::Interrupted`]); a file
/// that cannot be written.
pub fn pack(
    corpus: &Corpus,
    out: &Path,
    packing: &Packing,
    stop: &AtomicBool,
    done: &Done,
) -> Result<PackReport> {
    if packing.per_shard == 0 {
        return Err(Error::invalid("a tar file holds at least one utterance"));
    }
    refuse_names(corpus)?;
    let is_empty = || std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_none());
    if out.exists() && !is_empty() {
        return Err(Error::file(out, "is already there; name a folder to be made"));
    }
    let parent = fs::parent(out);
    fs::create_dir_all(parent)?;
    fs::sweep(parent);
    let temporary = TemporaryFolder::inside(parent, fs::Content::Corpus, out)?;
    let mut order: Vec<usize> = (0..corpus.utterances.len()).collect();
    Stream::new(packing.seed, "pack", &[]).shuffle(&mut order);
    let (all, finished) = (order.len(), AtomicUsize::new(0));
    let told = || done(finished.fetch_add(1, Ordering::Relaxed) + 1, all);
    let job = Job { corpus, packing, folder: temporary.path(), out, stop, told: &told };
    let packed: Vec<Packed> = order
        .par_chunks(packing.per_shard)
        .enumerate()
        .map(|(number, utterances)| job.shard(number, utterances))
        .collect::<Result<_>>()?;
    let report = job.lists(packed)?;
    temporary.rename(out)?;
    Ok(report)
}

/// Refuses names that neither utt2spk nor the names of entries can hold.
fn refuse_names(corpus: &Corpus) -> Result<()> {
    for utterance in &corpus.utterances {
        let speaker = &corpus.speakers[utterance.speaker as usize];
        for name in [&*utterance.id, speaker.as_str()] {
            if !is_word(name) {
                let error = Error::invalid(format!("{name:?} cannot be a name in a list"));
                return Err(corpus.at(utterance, error));
            }
        }
    }
    Ok(())
}

impl Job<'_> {
    /// Writes a tar file.
    fn shard(&self, number: usize, utterances: &[usize]) -> Result<Packed> {
        let name = format!("shards_{number:09}.tar");
        let path = self.folder.join(&name);
        let (mut packed, mut length) = (Packed::default(), 0);
        let (mut failure, mut is_empty) = (None, false);
        let written = fs::write_atomic(&path, |out| {
            let mut tar = Writer::new(out);
            for &utterance in utterances {
                match self.content(utterance) {
                    Ok(content) => self.add(&mut tar, utterance, &content, &mut packed)?,
                    Err(e) if self.may_skip(&e) => {
                        let id = self.corpus.utterances[utterance].id.to_string();
                        packed.left_out.push((id, e.to_string().replace(['\n', '\r'], " ")));
                    }
                    Err(e) => {
                        failure = Some(e);
                        return Err(io::Error::other("a recording cannot be read"));
                    }
                }
                (self.told)();
            }
            is_empty = packed.entries.is_empty();
            if is_empty {
                return Err(io::Error::other("nothing is left"));
            }
            length = tar.finish()?;
            Ok(())
        });
        if is_empty {
            return Ok(packed);
        }
        if let Some(e) = failure {
            return Err(e);
        }
        self.meant(&name, written)?;
        packed.facts = Some(Facts::of(&path, length)?);
        Ok(packed)
    }

    /// What an utterance becomes.
    fn content(&self, utterance: usize) -> Result<Content> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted(format!("{} was not made", self.out.display())));
        }
        let utterance = &self.corpus.utterances[utterance];
        Content::of(self.corpus, utterance, self.packing.flac)
            .map_err(|e| self.corpus.at(utterance, e))
    }

    /// Whether a recording with this error is left out.
    fn may_skip(&self, e: &Error) -> bool {
        self.packing.skip_errors && !matches!(e, Error::Interrupted(_))
    }

    fn add(
        &self,
        tar: &mut Writer,
        number: usize,
        content: &Content,
        packed: &mut Packed,
    ) -> io::Result<()> {
        let Utterance { id, speaker, .. } = &self.corpus.utterances[number];
        let speaker = &self.corpus.speakers[*speaker as usize];
        tar.add(&format!("{id}.spk"), speaker.as_bytes())?;
        let place = tar.add(&format!("{id}.{}", content.ending), &content.bytes)?;
        packed.entries.push((number, place, content.bytes.len() as u64));
        packed.encoded += usize::from(content.is_encoded);
        Ok(())
    }

    /// Writes the lists and the index.
    fn lists(&self, packed: Vec<Packed>) -> Result<PackReport> {
        let corpus = self.corpus;
        let names: Vec<Arc<str>> =
            corpus.speakers.iter().map(|name| name.as_str().into()).collect();
        let (mut report, mut facts, mut entries) =
            (PackReport::default(), Vec::new(), Vec::<ShardEntry>::new());
        let mut is_packed = vec![false; corpus.utterances.len()];
        for shard in packed {
            report.encoded += shard.encoded;
            report.left_out.extend(shard.left_out);
            let Some(found) = shard.facts else { continue };
            for (number, offset, bytes) in shard.entries {
                let Utterance { id, speaker, .. } = &corpus.utterances[number];
                is_packed[number] = true;
                entries.push(ShardEntry {
                    id: id.clone(),
                    speaker: names[*speaker as usize].clone(),
                    shard: facts.len() as u32,
                    offset,
                    bytes,
                });
            }
            report.bytes += found.bytes;
            facts.push(found);
        }
        if entries.is_empty() {
            let why = report.left_out.first().map_or("the list is empty", |first| &*first.1);
            return Err(Error::file(self.out, format!("nothing to pack: {why}")));
        }
        let mut of_speakers = vec![String::new(); names.len()];
        let mut utt2spk = String::new();
        for (utterance, _) in
            corpus.utterances.iter().zip(&is_packed).filter(|(_, packed)| **packed)
        {
            utt2spk += &format!("{} {}\n", utterance.id, names[utterance.speaker as usize]);
            of_speakers[utterance.speaker as usize] += &format!(" {}", utterance.id);
        }
        let spoken = || names.iter().zip(&of_speakers).filter(|(_, ids)| !ids.is_empty());
        let spk2utt: String = spoken().map(|(name, ids)| format!("{name}{ids}\n")).collect();
        report.utterances = entries.len();
        report.speakers = spoken().count();
        report.shards = facts.len();
        let index = index::text(&facts, &entries, Some(&utt2spk));
        let index_name = index::path_of(Path::new(LIST)).display().to_string();
        self.write("utt2spk", &utt2spk)?;
        self.write("spk2utt", &spk2utt)?;
        self.write(&index_name, &index)?;
        if !report.left_out.is_empty() {
            let lines = report.left_out.iter().map(|(id, reason)| format!("{id} {reason}\n"));
            self.write("left-out.txt", &lines.collect::<String>())?;
        }
        self.write(LIST, &self.list(&facts)?)?;
        Ok(report)
    }

    /// The list: absolute paths, because WeSpeaker reads relative ones from its working folder.
    fn list(&self, facts: &[Facts]) -> Result<String> {
        let folder = std::path::absolute(self.out).map_err(|e| Error::io(self.out, "locate", e))?;
        // A list cannot hold every path. A bare name is found beside the list.
        let folder = folder.to_str().filter(|text| !text.contains(char::is_control));
        let path = |name: &str| match folder {
            Some(folder) => Path::new(folder).join(name).display().to_string(),
            None => name.to_owned(),
        };
        Ok(facts.iter().map(|shard| format!("{}\n", path(&shard.name))).collect())
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        self.meant(name, fs::write_bytes(self.folder.join(name), text.as_bytes()))
    }

    /// An error of a file in the making, under its final name.
    fn meant(&self, name: &str, written: Result<()>) -> Result<()> {
        written.map_err(|e| match e {
            Error::Io { action, source, .. } => Error::io(self.out.join(name), action, source),
            other => other,
        })
    }
}
