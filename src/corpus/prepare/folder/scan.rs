//! Finds the audio files of a folder, names them, and leaves out what lists cannot hold.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::error::{Error, Result};

/// Endings of supported audio files, in any case.
const ENDINGS: [&str; 2] = ["wav", "flac"];
/// Endings of other audio files.
const OTHERS: [&str; 13] =
    ["mp3", "m4a", "mp4", "aac", "ogg", "opus", "wma", "amr", "sph", "aif", "aiff", "caf", "wave"];
/// Most pairs of names that an error shows.
const SHOWN: usize = 3;

/// An audio file and its names.
pub(super) struct AudioFile {
    /// The utterance's id: speaker and path below the speaker's folder.
    pub id: String,
    /// The speaker: the folder's name.
    pub speaker: String,
    /// The speaker's folder.
    pub folder: PathBuf,
    /// The file, below the root as the caller names it.
    pub path: PathBuf,
}

/// The result of [`scan`].
#[derive(Default)]
pub(super) struct Scan {
    /// Files in the order of their paths.
    pub files: Vec<AudioFile>,
    /// What is left out and why, one line each.
    pub problems: Vec<String>,
}

/// A path as one line of printable text.
fn shown(path: &Path) -> String {
    match path.to_str() {
        Some(text) if !text.contains(char::is_control) => text.to_owned(),
        _ => format!("{path:?}"),
    }
}

/// Why a list cannot hold a path, if so.
fn unlistable(path: &Path) -> Option<&'static str> {
    match path.to_str() {
        None => Some("its name is not UTF-8, as lists must be"),
        // A byte order mark would be lost at the start of a list.
        Some(text) if text.contains(|c: char| c.is_control() || c == '\u{feff}') => {
            Some("its name holds a control character, which lists cannot")
        }
        Some(_) => None,
    }
}

/// Whether file managers hide a name: `._1.wav` beside `1.wav` from a Mac, `.git`, `.Trashes`, and
/// the folder of a Mac's archive.
fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".") || name == "__MACOSX"
}

/// A name's ending, and whether it is one of [`ENDINGS`].
fn ending(path: &Path) -> (&OsStr, bool) {
    let ending = path.extension().unwrap_or_default();
    (ending, ENDINGS.iter().any(|e| ending.eq_ignore_ascii_case(e)))
}

/// Whether blanks or `|`, which readers of lists misunderstand, follow an audio file's ending.
fn ends_in_blanks(ending: &OsStr) -> bool {
    let text = ending.to_str().unwrap_or_default();
    let trimmed = text.trim_end_matches(|c: char| c.is_whitespace() || c == '|');
    trimmed != text && ENDINGS.iter().any(|e| e.eq_ignore_ascii_case(trimmed))
}

/// A name as part of an id, where a blank would end the id.
fn as_id(name: &str) -> String {
    name.replace(char::is_whitespace, "_")
}

/// All audio files below `root` that lists can hold. The scan follows links.
///
/// # Errors
/// A root that cannot be read or listed, and one without audio files in folders.
pub(super) fn scan(root: &Path) -> Result<Scan> {
    let absolute = std::path::absolute(root).map_err(|e| Error::io(root, "locate", e))?;
    if let Some(reason) = unlistable(&absolute) {
        return Err(Error::file(root, reason));
    }
    let mut found = Scan::default();
    let (mut hidden, mut others) = (0, Vec::new());
    let mut walk = WalkDir::new(root).sort_by_file_name().follow_links(true).into_iter();
    while let Some(entry) = walk.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) if e.depth() == 0 => {
                let reason =
                    e.into_io_error().unwrap_or_else(|| std::io::Error::other("a loop of links"));
                return Err(Error::io(root, "scan", reason));
            }
            Err(e) => {
                found.problems.extend(unreadable(root, &e));
                continue;
            }
        };
        let (path, kind) = (entry.path(), entry.file_type());
        let (ending, is_audio) = ending(path);
        if entry.depth() > 0 && is_hidden(entry.file_name()) {
            hidden += usize::from(kind.is_dir() || is_audio);
            if kind.is_dir() {
                walk.skip_current_dir();
            }
            continue;
        }
        let below = path.strip_prefix(root).expect("walked from the root");
        let reason = if kind.is_dir() {
            continue;
        } else if ends_in_blanks(ending) {
            "its name ends in a blank or `|`, which lists cannot hold"
        } else if !is_audio {
            if OTHERS.iter().any(|e| ending.eq_ignore_ascii_case(e)) {
                others.push(path.to_owned());
            }
            continue;
        } else if !kind.is_file() {
            "no ordinary file"
        } else if let Some(reason) = unlistable(below) {
            reason
        } else if let Some(file) = name(root, path, below) {
            found.files.push(file);
            continue;
        } else {
            "not in a speaker's folder"
        };
        found.problems.push(format!("{}: {reason}; left out", shown(path)));
    }
    if hidden > 0 {
        let what = "hidden files and folders (names that begin with a dot, __MACOSX)";
        found.problems.push(format!("{}: {hidden} {what} left out", shown(root)));
    }
    if let Some(first) = others.first() {
        let (count, first) = (others.len(), shown(first));
        let what = "audio files of other formats, which are not read, left out; the first is";
        found.problems.push(format!("{}: {count} {what} {first}", shown(root)));
    }
    match (found.files.is_empty(), found.problems.first()) {
        (false, _) => Ok(found),
        (true, None) => Err(Error::file(root, "no .wav or .flac files in folders of speakers")),
        (true, Some(first)) => Err(Error::file(
            root,
            format!("no usable .wav or .flac files in folders of speakers; {first}"),
        )),
    }
}

/// The names of a file whose path lists can hold, or none if it is outside of speakers' folders.
fn name(root: &Path, path: &Path, below: &Path) -> Option<AudioFile> {
    let bare = below.with_extension("");
    let parts: Vec<&str> =
        bare.iter().map(|part| part.to_str().expect("checked to be UTF-8")).collect();
    let [speaker, .., _] = parts.as_slice() else { return None };
    let (id, folder) = (as_id(&parts.join("-")), root.join(speaker));
    Some(AudioFile { id, speaker: as_id(speaker), folder, path: path.to_owned() })
}

/// The problem with something that cannot be read, unless it is hidden.
fn unreadable(root: &Path, error: &walkdir::Error) -> Option<String> {
    let Some(path) = error.path() else {
        return Some(format!(
            "a folder below {}: {error}; what it holds beyond is left out",
            shown(root)
        ));
    };
    if path.file_name().is_some_and(is_hidden) {
        return None;
    }
    let reason = match (error.loop_ancestor(), error.io_error()) {
        (Some(ancestor), _) => format!("a link back to {}", shown(ancestor)),
        (None, Some(e)) if e.kind() == std::io::ErrorKind::NotFound && path.is_symlink() => {
            "a link to nothing".into()
        }
        (None, Some(e)) => e.to_string(),
        (None, None) => error.to_string(),
    };
    Some(format!("{}: {reason}; left out", shown(path)))
}

/// Refuses folders that would be one speaker, and files that would be one utterance.
///
/// # Errors
/// The first pairs of them.
pub(super) fn refuse_equal_names(root: &Path, files: &[AudioFile]) -> Result<()> {
    let (mut speakers, mut ids) = (BTreeMap::new(), BTreeMap::new());
    for file in files {
        let folders: &mut Vec<&Path> = speakers.entry(file.speaker.as_str()).or_default();
        if !folders.contains(&file.folder.as_path()) {
            folders.push(&file.folder);
        }
        let paths: &mut Vec<&Path> = ids.entry(file.id.as_str()).or_default();
        paths.push(&file.path);
    }
    let equal = |what: &'static str, all: BTreeMap<&str, Vec<&Path>>| -> Vec<String> {
        let pairs = all.into_iter().filter(|(_, paths)| paths.len() > 1);
        pairs
            .map(|(name, p)| {
                format!("`{}` and `{}` would be one {what}, `{name}`", shown(p[0]), shown(p[1]))
            })
            .collect()
    };
    let pairs = [equal("speaker", speakers), equal("utterance", ids)].concat();
    if pairs.is_empty() {
        return Ok(());
    }
    let more = if pairs.len() > SHOWN {
        format!("; and {} more", pairs.len() - SHOWN)
    } else {
        String::new()
    };
    let pairs = pairs[..pairs.len().min(SHOWN)].join("; ");
    Err(Error::file(root, format!("{pairs}{more}; rename one of two")))
}
