//! Files as bytes in memory that are read only where they are looked at.

#![cfg_attr(unix, allow(unsafe_code, reason = "a mapped file is memory that others can change"))]

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::{Deref, Range};
use std::path::Path;

use super::{is_stdin, read};
use crate::error::{Error, Result};

/// Shorter files are read: a map would cost more than it saves.
#[cfg(unix)]
const SHORT: u64 = 1 << 20;
/// Bytes of a mapped file that [`Mapped::blocks`] reads at a time.
#[cfg(unix)]
const BLOCK: usize = 1 << 20;

/// The bytes of a file: a long one is mapped into memory, a short one is read.
///
/// A mapped file stays as it is if a new file takes its name, as [`write_atomic`] does. Another
/// program that changes it in place changes these bytes, and one that makes it shorter ends this
/// process when it looks at bytes that are gone.
///
/// [`write_atomic`]: super::write_atomic
pub struct Mapped(Held);

enum Held {
    Memory(Vec<u8>),
    #[cfg(unix)]
    File {
        file: File,
        map: memmap2::Mmap,
    },
}

/// The bytes of a file. What is no plain file, such as a pipe or standard input (`-`), is read into
/// memory, and so are all files where a mapped file could not be replaced (Windows).
///
/// # Errors
/// A folder; a file that cannot be read.
pub fn map(path: impl AsRef<Path>) -> Result<Mapped> {
    let path = path.as_ref();
    if is_stdin(path) {
        return read(path).map(Mapped::from);
    }
    if path.is_dir() {
        return Err(Error::file(path, "is a folder, not a file"));
    }
    let fail = |e| Error::io(path, "read", e);
    map_file(File::open(path).map_err(fail)?).map_err(fail)
}

/// [`map`] for a file that is open at its beginning.
pub(super) fn map_file(mut file: File) -> io::Result<Mapped> {
    #[cfg(unix)]
    {
        let about = file.metadata()?;
        // Not every file system can map its files.
        if about.is_file()
            && about.len() >= SHORT
            && let Ok(map) = mapped(&file)
        {
            return Ok(Mapped(Held::File { file, map }));
        }
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(Mapped(Held::Memory(bytes)))
}

#[cfg(unix)]
fn mapped(file: &File) -> io::Result<memmap2::Mmap> {
    // SAFETY: the map is only read, as bytes and as f32, for which every pattern of bits is a
    // value. If another program changes the file, values change; if it cuts the file, the system
    // ends this process. `Mapped` says so, and revox itself replaces files instead.
    unsafe { memmap2::Mmap::map(file) }
}

impl Mapped {
    /// Gives the bytes of a range to `each`, in order. Those of a mapped file are read block by
    /// block, so that they do not stay in this process's memory. All blocks but the last have a
    /// multiple of eight bytes.
    ///
    /// # Errors
    /// A file that cannot be read any more, or that has become shorter.
    pub fn blocks(&self, range: Range<usize>, each: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        match &self.0 {
            Held::Memory(bytes) => each(&bytes[range]),
            #[cfg(unix)]
            Held::File { file, .. } => {
                use std::os::unix::fs::FileExt;
                let mut buffer = vec![0; BLOCK.min(range.len())];
                let (mut at, end) = (range.start, range.end);
                while at < end {
                    let block = &mut buffer[..BLOCK.min(end - at)];
                    file.read_exact_at(block, at as u64)?;
                    each(block);
                    at += block.len();
                }
            }
        }
        Ok(())
    }
}

impl From<Vec<u8>> for Mapped {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Held::Memory(bytes))
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Held::Memory(bytes) => bytes,
            #[cfg(unix)]
            Held::File { map, .. } => map,
        }
    }
}

impl fmt::Debug for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} bytes of a file", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::write_bytes;

    /// Lengths around those of a block.
    const LENGTHS: [usize; 5] = [0, 5, (1 << 20) - 1, 1 << 20, (3 << 20) + 17];

    fn content(length: usize) -> Vec<u8> {
        (0..length).map(|i| (i % 251) as u8).collect()
    }

    #[test]
    fn a_file_has_its_bytes_whether_it_is_mapped_or_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        for length in LENGTHS {
            let wanted = content(length);
            std::fs::write(&path, &wanted).unwrap();
            let found = map(&path).unwrap();
            assert!(found[..] == wanted[..], "{length}");
            for range in [0..length, length / 3..length, length / 2..length / 2] {
                let mut blocks = Vec::new();
                found.blocks(range.clone(), &mut |block| blocks.extend_from_slice(block)).unwrap();
                assert!(blocks[..] == wanted[range], "{length}");
            }
        }
    }

    #[test]
    fn a_new_file_of_the_name_leaves_the_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let old = content(2 << 20);
        std::fs::write(&path, &old).unwrap();
        let found = map(&path).unwrap();
        write_bytes(&path, b"new").unwrap();
        assert!(found[..] == old[..]);
        assert_eq!(map(&path).unwrap()[..], *b"new");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let dir = tempfile::tempdir().unwrap();
        assert!(map(dir.path()).unwrap_err().to_string().contains("is a folder"));
        let error = map(dir.path().join("none")).unwrap_err().to_string();
        assert!(error.contains("none: cannot read: "), "{error}");
    }

    #[test]
    #[cfg(unix)]
    fn a_pipe_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let (wanted, to) = (content(2 << 20), pipe.clone());
        let writer = std::thread::spawn(move || std::fs::write(to, content(2 << 20)).unwrap());
        assert!(map(&pipe).unwrap()[..] == wanted[..]);
        writer.join().unwrap();
    }
}
