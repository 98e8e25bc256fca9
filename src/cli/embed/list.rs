//! The utterances to be embedded.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use super::Args;
use crate::audio::Source;
use crate::bytes::hex;
use crate::corpus::{Corpus, Place, Shard, is_audio, locate, read_wav_scp};
use crate::error::{Error, Result};
use crate::fs;

/// The utterances of a command, in their order.
pub(in crate::cli) enum List {
    /// Files that are named, or those of a wav.scp.
    Files {
        /// The wav.scp.
        scp: Option<PathBuf>,
        /// The files.
        entries: Vec<Entry>,
    },
    /// The utterances of a corpus.
    Corpus(Corpus),
}

/// A file and the id of its utterance.
pub(in crate::cli) struct Entry {
    id: String,
    path: PathBuf,
    /// Its line in wav.scp, from 1.
    line: usize,
}

impl List {
    /// Reads the list, or takes the files that were named.
    ///
    /// # Errors
    /// A list that is wrong; two files of one id.
    pub fn of(args: &Args, files: &[PathBuf]) -> Result<Self> {
        if let Some(data) = &args.data {
            return Ok(Self::Corpus(match args.skip_errors {
                true => Corpus::load_all(data)?,
                false => Corpus::load(data)?,
            }));
        }
        Self::of_files(args.wav_scp.as_deref(), files)
    }

    /// The files of a wav.scp, or else those that were named.
    ///
    /// # Errors
    /// A list that is wrong; two files of one id.
    pub fn of_files(scp: Option<&Path>, files: &[PathBuf]) -> Result<Self> {
        let Some(scp) = scp else {
            let named = ids_of(files)?.into_iter().zip(files);
            let entries = named.map(|(id, path)| Entry { id, path: path.clone(), line: 0 });
            return Ok(Self::Files { scp: None, entries: entries.collect() });
        };
        let listed = read_wav_scp(scp)?.into_iter();
        let entries =
            listed.map(|(id, file, line)| Entry { id, path: locate(scp, &file), line }).collect();
        Ok(Self::Files { scp: Some(scp.to_owned()), entries })
    }

    /// What a path means: a wav.scp, or WeSpeaker's `raw.list` or `shard.list`; a folder with one
    /// of these; or else a folder with audio files at any depth. Those whose names, or folders'
    /// names, begin with a dot are left out.
    ///
    /// # Errors
    /// A list that is wrong, or of WeSpeaker's and names a file that is not there; a folder without
    /// lists and audio files, or that cannot be read.
    pub fn of_path(path: &Path) -> Result<Self> {
        let is_wespeakers = |name: &str| ["raw.list", "shard.list"].contains(&name);
        if !path.is_dir() {
            let name = path.file_name().and_then(OsStr::to_str);
            return match name.is_some_and(is_wespeakers) {
                true => Ok(Self::Corpus(Corpus::load(path)?)),
                false => Self::of_files(Some(path), &[]),
            };
        }
        let has = |name: &str| path.join(name).exists();
        if has("wav.scp") {
            return Self::of_files(Some(&path.join("wav.scp")), &[]);
        }
        match has("raw.list") || has("shard.list") {
            true => Ok(Self::Corpus(Corpus::load(path)?)),
            false => Self::of_folder(path),
        }
    }

    /// The audio files of a folder. Their paths within it are the ids.
    fn of_folder(folder: &Path) -> Result<Self> {
        let is_hidden = |name: &OsStr| name.as_encoded_bytes().starts_with(b".");
        let walk = WalkDir::new(folder).sort_by_file_name().follow_links(true).into_iter();
        let shown = walk.filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry.file_name()));
        let mut entries = Vec::new();
        for entry in shown {
            let entry = entry.map_err(|e| {
                let path = e.path().unwrap_or(folder).to_owned();
                let loops = || std::io::Error::other("a loop of links");
                Error::io(path, "read", e.into_io_error().unwrap_or_else(loops))
            })?;
            let path = entry.path();
            let ending = path.extension().and_then(OsStr::to_str);
            if entry.file_type().is_file() && ending.is_some_and(is_audio) {
                let id = path.strip_prefix(folder).unwrap_or(path).to_string_lossy().into_owned();
                entries.push(Entry { id, path: path.to_owned(), line: 0 });
            }
        }
        match entries.is_empty() {
            true => Err(Error::file(
                folder,
                "has neither audio files nor a list of some: wav.scp, raw.list or shard.list",
            )),
            false => Ok(Self::Files { scp: None, entries }),
        }
    }

    /// Leaves the utterances of a shard.
    pub fn keep(&mut self, shard: Shard) {
        match self {
            Self::Files { entries, .. } => shard.keep(entries),
            Self::Corpus(corpus) => corpus.keep(shard),
        }
    }

    /// Number of utterances.
    pub fn len(&self) -> usize {
        match self {
            Self::Files { entries, .. } => entries.len(),
            Self::Corpus(corpus) => corpus.utterances.len(),
        }
    }

    /// The id of the utterance at a place.
    pub fn id(&self, place: usize) -> &str {
        match self {
            Self::Files { entries, .. } => &entries[place].id,
            Self::Corpus(corpus) => &corpus.utterances[place].id,
        }
    }

    /// What warnings call the utterance at a place: its file, or its id within a tar file.
    pub fn shown(&self, place: usize) -> Cow<'_, str> {
        let path = match self {
            Self::Files { entries, .. } => Some(entries[place].path.as_path()),
            Self::Corpus(corpus) => corpus.utterances[place].path(),
        };
        path.map_or_else(|| self.id(place).into(), Path::to_string_lossy)
    }

    /// Opens the recording at a place.
    ///
    /// # Errors
    /// Those of [`Source::open`].
    pub fn open(&self, place: usize, rate: u32, channel: Option<usize>) -> Result<Source> {
        match self {
            Self::Files { entries, .. } => Source::open(&entries[place].path, rate, channel),
            Self::Corpus(corpus) => corpus.open(&corpus.utterances[place], rate, channel),
        }
    }

    /// An error of the utterance at a place, at its line of the list. The first of the files that
    /// are named might have been meant as the model (`or_model`).
    pub fn at(&self, place: usize, error: Error, or_model: bool) -> Error {
        let audio = |e: &OsStr| ["wav", "flac"].iter().any(|known| e.eq_ignore_ascii_case(known));
        match self {
            Self::Corpus(corpus) => corpus.at(&corpus.utterances[place], error),
            Self::Files { scp: Some(scp), entries } => {
                error.retold(|text| Error::line(scp, entries[place].line, text))
            }
            Self::Files { scp: None, entries }
                if or_model && place == 0 && !entries[0].path.extension().is_some_and(audio) =>
            {
                error.and(match fs::is_stdin(&entries[0].path) {
                    true => "and a model cannot be standard input: name its file",
                    false => "nor is it a model, which would be a safetensors file",
                })
            }
            Self::Files { .. } => error,
        }
    }

    /// The files that are read: lists and recordings.
    pub fn inputs(&self) -> Vec<Cow<'_, Path>> {
        match self {
            Self::Files { scp, entries } => {
                let paths = entries.iter().map(|entry| entry.path.as_path());
                scp.as_deref().into_iter().chain(paths).map(Cow::from).collect()
            }
            Self::Corpus(corpus) => {
                let lists = corpus.lists().into_iter().chain(corpus.beside_shards());
                let lists = lists.map(Cow::<Path>::from);
                lists.chain(corpus.files().into_iter().map(|(file, _)| file)).collect()
            }
        }
    }

    /// SHA-256 over ids and places of all utterances, in hexadecimal digits. The content of the
    /// recordings does not count.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        // The length in front keeps the boundary between two.
        let mut add = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        let path = |path: &Path| path.as_os_str().as_encoded_bytes().to_vec();
        match self {
            Self::Files { entries, .. } => {
                for entry in entries {
                    add(entry.id.as_bytes());
                    add(&path(&entry.path));
                }
            }
            Self::Corpus(corpus) => {
                for utterance in &corpus.utterances {
                    add(utterance.id.as_bytes());
                    match &utterance.place {
                        Place::File { path: file, .. } => add(&path(file)),
                        Place::Entry { shard, offset, bytes } => {
                            add(format!("{shard} {offset} {bytes}").as_bytes());
                        }
                    }
                }
                if let Some(shards) = corpus.shards() {
                    (0..shards.len() as u32).for_each(|shard| add(&path(shards.path(shard))));
                }
            }
        }
        hex(hash)
    }
}

/// The ids of files: their names without folder and ending.
///
/// # Errors
/// Two files of one id; a name that is not UTF-8, which no list could name.
fn ids_of(files: &[PathBuf]) -> Result<Vec<String>> {
    let mut seen: HashMap<&str, &PathBuf> = HashMap::new();
    for path in files {
        let stem = path.file_stem().unwrap_or_default();
        let Some(id) = stem.to_str().filter(|id| !id.is_empty() && !id.contains('\n')) else {
            return Err(Error::file(
                path,
                "its name cannot be an id: UTF-8 without line breaks is wanted",
            ));
        };
        if let Some(other) = seen.insert(id, path) {
            let message = format!(
                "has the id `{id}`, as {} has; a list (wav.scp) can give them two",
                other.display()
            );
            return Err(Error::file(path, message));
        }
    }
    Ok(files
        .iter()
        .map(|path| path.file_stem().and_then(|s| s.to_str()).unwrap_or_default().to_owned())
        .collect())
}
