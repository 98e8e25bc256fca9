//! Fingerprints of lists and of the files that they name.

use std::borrow::Cow;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::UNIX_EPOCH;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Identity;
use crate::audio::pipe;
use crate::bytes::hex;
use crate::corpus::{Corpus, locate, read_wav_scp};
use crate::error::{Error, Result};
use crate::fs;
use crate::progress::Progress;
use crate::train::Recipe;
use crate::train::sounds::list_at;

/// Bytes of a file that are read at once.
const CHUNK: usize = 1 << 18;

/// Lists and the files that they name, each as SHA-256 in hexadecimal digits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The lists themselves.
    pub lists: String,
    /// Sizes of the files, in the order of the list.
    pub sizes: String,
    /// Modification times of the files, in nanoseconds.
    pub times: String,
    /// Content of the files, if it was read. A trial list names no files.
    #[serde(default)]
    pub bytes: Option<String>,
}

/// The difference of two fingerprints.
pub(super) enum Change {
    None,
    /// Times, but not the content.
    Times,
    /// A change that a person must accept.
    Other(&'static str),
}

impl Fingerprint {
    /// The first difference in what both fingerprints hold.
    pub(super) fn change_from(&self, old: &Self) -> Change {
        let same_content =
            self.bytes.as_ref().zip(old.bytes.as_ref()).map(|(ours, theirs)| ours == theirs);
        if self.lists != old.lists {
            return Change::Other("the lists have changed");
        }
        if self.sizes != old.sizes {
            return Change::Other("sizes of files have changed");
        }
        match (same_content, self.times == old.times) {
            (Some(false), _) => {
                Change::Other("sizes of files are the same, but their content has changed")
            }
            (Some(true), false) => Change::Times,
            (None, false) if old.bytes.is_some() => Change::Other(
                "times of files have changed, their sizes have not (reading their content would \
                 tell whether that has)",
            ),
            (None, false) => Change::Other("times of files have changed, their sizes have not"),
            (Some(true) | None, true) => Change::None,
        }
    }
}

impl Identity {
    /// Adds the data: both corpora, the trials, noises and room responses. With `verify` it reads
    /// every byte of every file, with a progress bar unless `quiet`. Setting `stop` ends it.
    ///
    /// # Errors
    /// A file that cannot be read, at its line. [`Error::Interrupted`].
    pub fn add_data(
        &mut self,
        recipe: &Recipe,
        train: &Corpus,
        dev: &Corpus,
        verify: bool,
        quiet: bool,
        stop: &AtomicBool,
    ) -> Result<()> {
        let mut sources = vec![
            Source::corpus("data.train", train),
            Source::corpus("data.dev", dev),
            Source {
                name: "data.trials",
                lists: vec![recipe.data.trials.clone()],
                files: Vec::new(),
            },
        ];
        for (name, list) in
            [("augment.noise", &recipe.augment.noise), ("augment.reverb", &recipe.augment.reverb)]
        {
            if let Some(list) = list {
                sources.push(Source::sounds(name, list)?);
            }
        }
        let total = sources.iter().map(|source| source.files.len()).sum();
        let progress = Mutex::new(Progress::new("reading the data", total, quiet || !verify));
        for source in &sources {
            let mut fingerprint = source.fingerprint(stop)?;
            if recipe.data.synth.is_some() && source.name.starts_with("data.") {
                // A synthetic corpus is made anew where it is missing, at another time.
                fingerprint.times = hex(Sha256::new());
            }
            if verify && !source.files.is_empty() {
                fingerprint.bytes = Some(source.content(&progress, stop)?);
            }
            self.data.insert(source.name.to_owned(), fingerprint);
        }
        Ok(())
    }

    /// SHA-256 over lists and sizes of all data, in hexadecimal digits. A model file names its
    /// training data by this hash, so times of files do not count.
    pub fn data_hash(&self) -> String {
        let mut hash = Sha256::new();
        for (name, fingerprint) in &self.data {
            hash.update(format!("{name} {} {}\n", fingerprint.lists, fingerprint.sizes));
        }
        hex(hash)
    }
}

/// Lists with the files that the first of them names.
struct Source<'a> {
    name: &'static str,
    lists: Vec<PathBuf>,
    /// Files with their lines.
    files: Vec<(Cow<'a, Path>, usize)>,
}

impl<'a> Source<'a> {
    fn corpus(name: &'static str, corpus: &'a Corpus) -> Self {
        Self { name, lists: corpus.lists(), files: corpus.files() }
    }

    fn sounds(name: &'static str, list: &Path) -> Result<Self> {
        let list = list_at(list)?;
        let entries = read_wav_scp(&list)?.into_iter();
        let files = entries
            .filter(|(_, file, _)| !pipe::is_command(file))
            .map(|(_, file, line)| (Cow::<Path>::Owned(locate(&list, &file)), line))
            .collect();
        Ok(Self { name, lists: vec![list], files })
    }

    /// The fingerprint without the content.
    fn fingerprint(&self, stop: &AtomicBool) -> Result<Fingerprint> {
        let mut lists = Sha256::new();
        for list in &self.lists {
            let bytes = fs::read(list)?;
            // The length in front keeps the boundary between two lists.
            lists.update((bytes.len() as u64).to_le_bytes());
            lists.update(bytes);
        }
        let stat =
            |(file, line): &(Cow<'_, Path>, usize)| self.at(*line, size_and_time(file, stop));
        let stats: Vec<(u64, i128)> = self.files.par_iter().map(stat).collect::<Result<_>>()?;
        let (mut sizes, mut times) = (Sha256::new(), Sha256::new());
        for (size, time) in stats {
            sizes.update(format!("{size}\n"));
            times.update(format!("{time}\n"));
        }
        Ok(Fingerprint { lists: hex(lists), sizes: hex(sizes), times: hex(times), bytes: None })
    }

    /// The hash of the hashes of all files.
    fn content(&self, progress: &Mutex<Progress>, stop: &AtomicBool) -> Result<String> {
        let hashes: Vec<[u8; 32]> = self
            .files
            .par_iter()
            .map_init(
                || vec![0u8; CHUNK],
                |buffer, (file, line)| {
                    let hash = self.at(*line, hash_file(file, buffer, stop))?;
                    progress.lock().expect("no holder panics").add(1);
                    Ok::<_, Error>(hash)
                },
            )
            .collect::<Result<_>>()?;
        let mut all = Sha256::new();
        hashes.iter().for_each(|hash| all.update(hash));
        Ok(hex(all))
    }

    /// An error of a file at the line that names it.
    fn at<T>(&self, line: usize, result: Result<T>) -> Result<T> {
        result.map_err(|e| {
            if matches!(e.bare(), Error::Interrupted(_)) {
                return e;
            }
            e.retold(|text| Error::line(&self.lists[0], line, text))
        })
    }
}

fn go_on(stop: &AtomicBool) -> Result<()> {
    match stop.load(Ordering::Relaxed) {
        true => Err(Error::Interrupted("the data was being read".to_owned())),
        false => Ok(()),
    }
}

/// A file's size in bytes and its modification time in nanoseconds since 1970.
fn size_and_time(path: &Path, stop: &AtomicBool) -> Result<(u64, i128)> {
    go_on(stop)?;
    let failed = |e| Error::io(path, "read", e);
    let metadata = std::fs::metadata(path).map_err(failed)?;
    let time = match metadata.modified().map_err(failed)?.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_nanos() as i128,
        Err(before) => -(before.duration().as_nanos() as i128),
    };
    Ok((metadata.len(), time))
}

fn hash_file(path: &Path, buffer: &mut [u8], stop: &AtomicBool) -> Result<[u8; 32]> {
    let mut file = fs::open(path)?;
    let mut hash = Sha256::new();
    loop {
        go_on(stop)?;
        match file.read(buffer) {
            Ok(0) => return Ok(hash.finalize().into()),
            Ok(n) => hash.update(&buffer[..n]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::io(path, "read", e)),
        }
    }
}
