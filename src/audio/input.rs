//! The bytes of a file that may be audio, or of a part of a file. A small one is held in memory, a
//! large one is read page by page. Of one that holds samples as they are, only what is wanted is
//! read.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::kind::{self, Kind};
use super::{pipe, tags};
use crate::error::{Error, Result};
use crate::fs;

/// Most bytes of a file that is held in memory: two minutes of 16 bits at 16 kHz.
const SMALL: u64 = 1 << 22;
/// Bytes of a larger file that are read at a time, unless the caller needs more.
pub(super) const PAGE: u64 = 1 << 18;
/// Most stored samples that are read at a time, in bytes: they stay in a core's cache. A file that
/// is no longer is held in memory.
pub(super) const PART: u64 = 1 << 16;
/// Bytes that are read at a time where a file holds samples as they are, unless more are wanted.
const LEAST: u64 = 1 << 14;

/// A file's bytes, some of them in memory.
pub(super) struct Input {
    path: PathBuf,
    /// Bytes of the file.
    length: u64,
    /// The bytes in memory.
    held: Vec<u8>,
    /// Their place in the file.
    start: u64,
    /// The source of the others; none if all are in memory.
    origin: Option<Origin>,
    page: u64,
}

/// The file that bytes come from, and its byte that counts as the first.
struct Origin {
    file: Arc<File>,
    first: u64,
}

impl Input {
    /// Opens a file. Of a small file that is not audio, only the first bytes are read.
    ///
    /// # Errors
    /// A folder; a file that cannot be opened or read.
    pub fn open(path: &Path) -> Result<Self> {
        if let Some(command) = pipe::command(path) {
            return Ok(Self::held(path, pipe::run(command)?));
        }
        Self::of(path, fs::open(path)?)
    }

    /// A file with these bytes.
    pub fn held(path: &Path, bytes: Vec<u8>) -> Self {
        let (path, length) = (path.to_owned(), bytes.len() as u64);
        Self { path, length, held: bytes, start: 0, origin: None, page: PAGE }
    }

    /// The file that is a part of another one, which several threads may read at once. Errors call
    /// it `path`.
    ///
    /// # Errors
    /// A file that cannot be read, or that is shorter.
    pub fn part(path: &Path, file: Arc<File>, place: Range<u64>) -> Result<Self> {
        let length = place.end.saturating_sub(place.start);
        let origin = Origin { file, first: place.start };
        let mut input = Self::paged(path, origin, length, Vec::new(), PAGE);
        // Whatever it is, little is read at once.
        let first = if length > PART { kind::HEAD } else { length };
        input.page = first;
        let is_stored = kind::of(input.at(0, first as usize)?).is_stored();
        if length > PART && is_stored {
            input.page = LEAST;
        } else if length > SMALL {
            input.page = PAGE;
        } else {
            input.at(0, length as usize)?;
            input.origin = None;
        }
        Ok(input)
    }

    fn of(path: &Path, mut file: File) -> Result<Self> {
        let io = |e| Error::io(path, "read", e);
        let metadata = file.metadata().map_err(io)?;
        let mut held = Vec::with_capacity(kind::HEAD as usize);
        file.by_ref().take(kind::HEAD).read_to_end(&mut held).map_err(io)?;
        let kind = kind::of(&held);
        // A pipe cannot be read twice.
        let length = if metadata.is_file() { metadata.len() } else { 0 };
        if length > SMALL || (length > PART && kind.is_stored()) {
            let page = if kind.is_stored() { LEAST } else { PAGE };
            let origin = Origin { file: Arc::new(file), first: 0 };
            return Ok(Self::paged(path, origin, length, held, page));
        }
        // A device may be a whole disk, so it is read to its end only if it begins like audio.
        let is_audio = !matches!(kind, Kind::Other(_) | Kind::Unknown);
        if is_audio || tags::id3v2(&held).is_some() {
            held.reserve_exact((length as usize).saturating_sub(held.len()));
            file.read_to_end(&mut held).map_err(io)?;
        }
        Ok(Self::held(path, held))
    }

    /// So many bytes of an origin, of which the first are in memory.
    fn paged(path: &Path, origin: Origin, length: u64, held: Vec<u8>, page: u64) -> Self {
        Self { path: path.to_owned(), length, held, start: 0, origin: Some(origin), page }
    }

    /// The file's name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the file.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The bytes from a place on, as far as they are in memory: at least `least` of them, or all up
    /// to the end of the file.
    ///
    /// # Errors
    /// A file that cannot be read, or that became shorter since it was opened.
    pub fn at(&mut self, place: u64, least: usize) -> Result<&[u8]> {
        let end = place.saturating_add(least as u64).min(self.length);
        if place >= end {
            return Ok(&[]);
        }
        if place < self.start || end > self.start + self.held.len() as u64 {
            self.load(place, end)?;
        }
        Ok(&self.held[(place - self.start) as usize..])
    }

    /// Whether the file holds these bytes at a place.
    ///
    /// # Errors
    /// Those of [`Input::at`].
    pub fn begins(&mut self, place: u64, with: &[u8]) -> Result<bool> {
        Ok(self.at(place, with.len())?.starts_with(with))
    }

    /// Reads a page or more around the bytes from `place` to `end`. The next bytes in the same
    /// direction are then in memory, too.
    fn load(&mut self, place: u64, end: u64) -> Result<()> {
        let Some(Origin { file, first }) = &self.origin else { return Ok(()) };
        let start = if place < self.start { place - place % self.page } else { place };
        let end = end.max(place + self.page).min(self.length);
        let length = (end - start) as usize;
        self.start = start;
        if length > self.held.len() {
            self.held = vec![0; length];
        }
        self.held.truncate(length);
        read_exact_at(file, &mut self.held, first + start).map_err(|e| {
            self.held.clear();
            match e.kind() {
                ErrorKind::UnexpectedEof => {
                    Error::file(&self.path, "became shorter while it was read")
                }
                _ => Error::io(&self.path, "read", e),
            }
        })
    }

    /// The error for a file that breaks the rules of its format.
    pub fn unreadable(&self, format: &str, why: impl Display) -> Error {
        Error::file(&self.path, format!("not a readable {format} file: {why}"))
    }
}

/// Reads bytes from a place on, whatever other threads read.
///
/// # Errors
/// A file that cannot be read, or that ends before ([`ErrorKind::UnexpectedEof`]).
#[cfg(unix)]
pub(crate) fn read_exact_at(file: &File, bytes: &mut [u8], place: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, place)
}

/// Elsewhere a file has one place for all threads.
///
/// # Errors
/// A file that cannot be read, or that ends before ([`ErrorKind::UnexpectedEof`]).
#[cfg(not(unix))]
pub(crate) fn read_exact_at(mut file: &File, bytes: &mut [u8], place: u64) -> io::Result<()> {
    use std::io::{Seek, SeekFrom};
    use std::sync::{Mutex, PoisonError};
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    file.seek(SeekFrom::Start(place))?;
    file.read_exact(bytes)
}

#[cfg(test)]
pub(super) mod tests;
