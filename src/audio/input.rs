//! The bytes of a file that may be audio. A small file is held in memory, a large one is read page
//! by page.

use std::fmt::Display;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::kind::{self, Kind};
use super::{pipe, tags};
use crate::error::{Error, Result};
use crate::fs;

/// Most bytes of a file that is held in memory: two minutes of 16 bits at 16 kHz.
const SMALL: u64 = 1 << 22;
/// Bytes of a larger file that are read at a time, unless the caller needs more.
pub(super) const PAGE: u64 = 1 << 18;

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
    file: Option<File>,
    page: u64,
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
        Self::of(path, fs::open(path)?, SMALL, PAGE)
    }

    /// A file with these bytes.
    pub fn held(path: &Path, bytes: Vec<u8>) -> Self {
        let (path, length) = (path.to_owned(), bytes.len() as u64);
        Self { path, length, held: bytes, start: 0, file: None, page: PAGE }
    }

    fn of(path: &Path, mut file: File, small: u64, page: u64) -> Result<Self> {
        let io = |e| Error::io(path, "read", e);
        let metadata = file.metadata().map_err(io)?;
        if metadata.is_file() && metadata.len() > small {
            let (path, length) = (path.to_owned(), metadata.len());
            return Ok(Self { path, length, held: Vec::new(), start: 0, file: Some(file), page });
        }
        // A pipe cannot be read twice. A device may be a whole disk, so it is read to its end only
        // if it begins like audio.
        let mut held =
            Vec::with_capacity(if metadata.is_file() { metadata.len() as usize } else { 0 });
        file.by_ref().take(kind::HEAD).read_to_end(&mut held).map_err(io)?;
        let is_audio = !matches!(kind::of(&held), Kind::Other(_) | Kind::Unknown);
        if is_audio || tags::id3v2(&held).is_some() {
            file.read_to_end(&mut held).map_err(io)?;
        }
        Ok(Self { page, ..Self::held(path, held) })
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
        let Some(file) = &mut self.file else { return Ok(()) };
        let start = if place < self.start { place - place % self.page } else { place };
        let end = end.max(place + self.page).min(self.length);
        self.start = start;
        self.held.resize((end - start) as usize, 0);
        let read = file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(&mut self.held));
        read.map_err(|e| {
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

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use super::*;

    /// A file with these bytes, all of them in memory.
    pub fn held(name: &str, bytes: &[u8]) -> Input {
        Input::held(Path::new(name), bytes.to_vec())
    }

    /// A file with these bytes, about a page of them in memory.
    pub fn paged(name: &str, bytes: &[u8], page: u64) -> Input {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Input::of(Path::new(name), file, 0, page).unwrap()
    }

    /// The same file, in memory and with pages of two sizes.
    pub fn every(name: &str, bytes: &[u8]) -> [Input; 3] {
        [held(name, bytes), paged(name, bytes, 7), paged(name, bytes, 64)]
    }

    #[test]
    fn all_places_have_their_bytes() {
        let bytes: Vec<u8> = (0..100).collect();
        for mut input in every("a", &bytes) {
            assert_eq!((input.length(), input.path()), (100, Path::new("a")));
            for place in [0u64, 50, 3, 99, 100, 17, 101, 0, 64, u64::MAX] {
                for least in [1usize, 8, 60, 1000, 0] {
                    let wanted = bytes.get(place.min(100) as usize..).unwrap();
                    let found = input.at(place, least).unwrap();
                    assert!(found.len() >= least.min(wanted.len()), "{place} {least}");
                    assert_eq!(found, &wanted[..found.len()], "{place} {least}");
                }
            }
            assert!(
                input.begins(97, &[97, 98, 99]).unwrap()
                    && !input.begins(97, &[97, 98, 99, 100]).unwrap()
            );
        }
    }

    #[test]
    fn little_is_held_of_a_large_file() {
        let mut input = paged("a", &[5; 100_000], 64);
        for place in (0..100_000).step_by(33) {
            input.at(place, 40).unwrap();
            assert!(input.held.len() <= 2 * 64, "{} bytes", input.held.len());
        }
    }

    #[test]
    fn a_file_that_shrinks_is_an_error() {
        let mut input = paged("a.wav", &[1; 1000], 64);
        assert_eq!(input.at(0, 8).unwrap()[..8], [1; 8]);
        input.file.as_mut().unwrap().set_len(500).unwrap();
        let error = input.at(490, 64).unwrap_err().to_string();
        assert!(error.contains("a.wav: became shorter"), "{error}");
        assert_eq!(input.at(400, 8).unwrap()[..8], [1; 8]);
    }

    #[test]
    fn of_a_small_file_that_is_no_audio_the_beginning_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, vec![b'x'; 5000]).unwrap();
        assert_eq!(Input::open(&path).unwrap().length(), kind::HEAD);
        std::fs::write(&path, [b"RIFF".as_slice(), &[0; 5000]].concat()).unwrap();
        assert_eq!(Input::open(&path).unwrap().length(), 5004);
        assert!(Input::open(dir.path()).is_err());
    }
}
