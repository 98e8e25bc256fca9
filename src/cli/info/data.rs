//! What `revox info` tells of files that are no models: embeddings and tar shards.

use std::collections::HashSet;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use safetensors::tensor::SafeTensors;
use serde_json::{Value, json};
use zip::ZipArchive;

use super::{length, plda};
use crate::archive;
use crate::bytes::{counted, human};
use crate::cli::{Global, shown};
use crate::corpus::shards::{SCANNING, Shards};
use crate::error::Result;
use crate::fs;
use crate::progress::reporting;
use crate::scoring::{Embeddings, PldaForm};
use crate::terminal::outln;

/// Bytes at the beginning of a file in which the first line of a list of tar files ends.
const LINE: usize = 4096;

/// A file that is no model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Data {
    /// Embeddings in one of their forms.
    Embeddings(Form),
    /// Tar files, by their list.
    Shards(PathBuf),
    /// A PLDA model.
    Plda(PldaForm),
}

/// The forms of a file of embeddings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The project's own, with a checksum or, from an older version, without one.
    Tensors { has_checksum: bool },
    /// NumPy's.
    Npz,
    /// Kaldi's archive or list.
    Kaldi,
}

impl Data {
    /// What a path holds, by the first bytes of the file. The names of Kaldi's archives and lists
    /// and of an index of tar files decide by themselves. None for models and whatever else only
    /// the reader of models can tell.
    pub fn of(path: &Path) -> Option<Self> {
        if archive::is_archive(path) {
            return Some(Self::Embeddings(Form::Kaldi));
        }
        if path.is_dir() {
            let list = path.join("shard.list");
            return list.is_file().then_some(Self::Shards(list));
        }
        // A pipe can be read only once.
        if !path.is_file() {
            return None;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".index.tsv") {
            return Some(Self::Shards(path.with_extension("").with_extension("list")));
        }
        let bytes = fs::map(path).ok()?;
        if names_tar_files(&bytes) {
            return Some(Self::Shards(path.to_owned()));
        }
        let plda = PldaForm::of_content(&bytes).map(Self::Plda);
        plda.or_else(|| form(&bytes).map(Self::Embeddings))
    }

    /// Prints the description.
    ///
    /// # Errors
    /// Those of [`Embeddings::load`] and [`Shards::scan`]; a PLDA model that cannot be read.
    pub fn show(&self, path: &Path, global: &Global) -> Result<()> {
        let (rows, json) = match self {
            Self::Embeddings(form) => embeddings(path, *form, global)?,
            Self::Shards(list) => shards(list, global)?,
            Self::Plda(form) => plda::described(path, *form)?,
        };
        match global.json {
            true => outln!("{json}"),
            false => rows.iter().for_each(|(name, text)| outln!("{name:14}{text}")),
        }
        Ok(())
    }
}

/// Whether the first line of a text is the path of a tar file.
fn names_tar_files(bytes: &[u8]) -> bool {
    let mut lines = bytes[..bytes.len().min(LINE)].split(|&byte| byte == b'\n');
    let first = lines.find_map(|line| Some(line.trim_ascii()).filter(|line| !line.is_empty()));
    first.is_some_and(|line| line.ends_with(b".tar"))
}

/// The form of embeddings, if the bytes are a file of them.
fn form(bytes: &[u8]) -> Option<Form> {
    // A PyTorch checkpoint is a zip archive, too.
    if bytes.starts_with(b"PK\x03\x04") {
        let archive = ZipArchive::new(Cursor::new(bytes)).ok()?;
        return archive.index_for_name("embeddings.npy").map(|_| Form::Npz);
    }
    if !Embeddings::are_tensors(bytes) {
        return None;
    }
    let (_, header) = SafeTensors::read_metadata(bytes).ok()?;
    let has_checksum = header.metadata().as_ref().is_some_and(|all| all.contains_key("sha256"));
    Some(Form::Tensors { has_checksum })
}

/// The lines of a description, by their names, and its JSON.
pub(super) type Described = (Vec<(&'static str, String)>, Value);

fn embeddings(path: &Path, form: Form, global: &Global) -> Result<Described> {
    // This reads all of the file once and compares the checksum, if there is one.
    let all = Embeddings::load(path)?;
    let (what, name) = match form {
        Form::Tensors { .. } => ("embeddings in a safetensors file", "safetensors"),
        Form::Npz => ("embeddings in NumPy's archive", "npz"),
        Form::Kaldi => ("embeddings in Kaldi's archive or list", "kaldi"),
    };
    let checksum = match form {
        Form::Tensors { has_checksum: true } if global.no_checksum => "unchecked",
        Form::Tensors { has_checksum: true } | Form::Npz => "holds",
        Form::Tensors { has_checksum: false } | Form::Kaldi => "none",
    };
    // `ark:F` is no path.
    let bytes = length(path).ok();
    // A set that was read is not empty.
    let (first, last) = (all.id(0), all.id(all.len() - 1));
    let mut rows = vec![
        ("what", what.to_owned()),
        ("embeddings", format!("{} of {}", all.len(), counted(all.dim(), "value"))),
    ];
    rows.extend(bytes.map(|bytes| ("file", format!("{bytes} bytes"))));
    rows.extend([
        ("checksum", checksum.to_owned()),
        ("first id", first.to_owned()),
        ("last id", last.to_owned()),
    ]);
    let json = json!({
        "kind": "embeddings",
        "form": name,
        "embeddings": all.len(),
        "embedding_dim": all.dim(),
        "bytes": bytes,
        "checksum": checksum,
        "first_id": first,
        "last_id": last,
    });
    Ok((rows, json))
}

fn shards(list: &Path, global: &Global) -> Result<Described> {
    // Headers are read only without an index that fits.
    let has_index = AtomicBool::new(true);
    let bar = reporting(SCANNING, global.quiet);
    let done = |finished: usize, all: usize| {
        has_index.store(false, Ordering::Relaxed);
        bar(finished, all);
    };
    let (shards, entries) = Shards::scan(list, &done)?;
    let has_index = has_index.load(Ordering::Relaxed);
    let mut utterances = vec![0; shards.len()];
    entries.iter().for_each(|entry| utterances[entry.shard as usize] += 1);
    let audio: u64 = entries.iter().map(|entry| entry.bytes).sum();
    let speakers = entries.iter().map(|entry| &*entry.speaker).collect::<HashSet<&str>>().len();
    let tars: Vec<(&Path, u64, usize)> = (0u32..)
        .zip(utterances)
        .map(|(number, held)| {
            let path = shards.path(number);
            Ok((path, length(path)?, held))
        })
        .collect::<Result<_>>()?;
    let bytes: u64 = tars.iter().map(|tar| tar.1).sum();
    let (first, last) = (entries.first().map(|e| &*e.id), entries.last().map(|e| &*e.id));
    let index = if has_index { "with an index" } else { "without an index that fits" };
    let mut rows = vec![
        ("what", format!("tar files of {}, {index}", list.display())),
        ("utterances", format!("{} of {}", entries.len(), counted(speakers, "speaker"))),
        ("tar files", format!("{}, {} ({bytes} bytes)", tars.len(), human(bytes))),
        ("recordings", format!("{} ({audio} bytes)", human(audio))),
    ];
    let largest = tars.iter().max_by_key(|tar| tar.1);
    rows.extend(largest.map(|(path, bytes, held)| {
        let held = counted(*held, "utterance");
        ("largest", format!("{}: {held}, {} ({bytes} bytes)", path.display(), human(*bytes)))
    }));
    rows.extend(first.map(|id| ("first id", id.to_owned())));
    rows.extend(last.map(|id| ("last id", id.to_owned())));
    let json = json!({
        "kind": "shards",
        "list": shown(list),
        "index": has_index,
        "utterances": entries.len(),
        "speakers": speakers,
        "shards": tars.len(),
        "bytes": bytes,
        "audio_bytes": audio,
        "largest": largest.map(|(path, bytes, held)| {
            json!({"path": shown(path), "bytes": bytes, "utterances": held})
        }),
        "first_id": first,
        "last_id": last,
    });
    Ok((rows, json))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_tar_files_are_known_by_their_first_line() {
        for list in ["\n a/shards_0.tar \r\nb.tar\n", "a b.tar"] {
            assert!(names_tar_files(list.as_bytes()), "{list:?}");
        }
        for other in ["", "\n\n", "{\"wav\": \"a.tar\"}\n", "u a.wav\nb.tar\n", "a.tar.gz\n"] {
            assert!(!names_tar_files(other.as_bytes()), "{other:?}");
        }
    }

    #[test]
    fn what_only_looks_like_embeddings_is_left_to_the_reader_of_models() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        for (name, bytes) in
            [("a", &b"PK\x03\x04 a checkpoint"[..]), ("b", b"\x02\0\0\0\0\0\0\0{}"), ("c", b"")]
        {
            assert_eq!(Data::of(&path(name, bytes)), None, "{name}");
        }
        assert_eq!(Data::of(dir.path()), None);
        let index = path("s.index.tsv", b"");
        assert_eq!(Data::of(&index), Some(Data::Shards(dir.path().join("s.list"))));
        assert_eq!(Data::of(Path::new("scp:x")), Some(Data::Embeddings(Form::Kaldi)));
    }
}
