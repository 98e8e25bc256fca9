//! The tar files of a list, and reading from them.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub(super) use crate::audio::read_exact_at;
use crate::error::{Error, Result};
use crate::fs;

/// Most files that are kept open. Systems allow a process at least 256.
const MOST_OPEN: usize = 64;

/// The tar files of a list, by number. Clones share the open files.
#[derive(Debug, Clone, Default)]
pub struct Shards {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    shards: Vec<Shard>,
    /// Open files, the one that was used last at the end.
    open: Mutex<VecDeque<(u32, Arc<File>)>>,
}

/// A tar file.
#[derive(Debug)]
pub(super) struct Shard {
    pub path: PathBuf,
    /// Its line in the list, from 1.
    pub line: usize,
    pub bytes: u64,
}

impl Shards {
    pub(super) fn new(shards: Vec<Shard>) -> Self {
        Self { inner: Arc::new(Inner { shards, open: Mutex::default() }) }
    }

    pub(super) fn all(&self) -> &[Shard] {
        &self.inner.shards
    }

    /// Number of tar files.
    pub fn len(&self) -> usize {
        self.inner.shards.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The path of a tar file.
    ///
    /// # Panics
    /// If there is none of this number.
    pub fn path(&self, shard: u32) -> &Path {
        &self.inner.shards[shard as usize].path
    }

    /// The line of a tar file in the list, from 1.
    ///
    /// # Panics
    /// If there is none of this number.
    pub fn line(&self, shard: u32) -> usize {
        self.inner.shards[shard as usize].line
    }

    /// Some bytes of a tar file, such as the content of an entry. Several threads may read at once.
    /// A few files are kept open.
    ///
    /// # Errors
    /// Bytes that the tar file does not have; a file that cannot be read, or that became shorter
    /// since it was listed.
    ///
    /// # Panics
    /// If there is no tar file of this number.
    pub fn read(&self, shard: u32, offset: u64, bytes: u64) -> Result<Vec<u8>> {
        let (file, place) = self.part(shard, offset, bytes)?;
        let mut content = vec![0; bytes as usize];
        read_exact_at(&file, &mut content, place.start).map_err(|e| failed(self.path(shard), e))?;
        Ok(content)
    }

    /// A tar file, opened, and the place of some of its bytes.
    ///
    /// # Errors
    /// Bytes that the tar file does not have; a file that cannot be opened.
    ///
    /// # Panics
    /// If there is no tar file of this number.
    pub(crate) fn part(
        &self,
        shard: u32,
        offset: u64,
        bytes: u64,
    ) -> Result<(Arc<File>, Range<u64>)> {
        let Shard { path, bytes: all, .. } = &self.inner.shards[shard as usize];
        match offset.checked_add(bytes).filter(|end| end <= all) {
            Some(end) => Ok((self.file(shard)?, offset..end)),
            None => {
                let why = format!("holds {all} bytes, not {bytes} of them from byte {offset} on");
                Err(Error::file(path, why))
            }
        }
    }

    /// Tells the system that these tar files will be read soon, from the front to the back, so that
    /// it reads ahead. Only Linux listens.
    ///
    /// # Panics
    /// If there is no tar file of one of these numbers.
    pub fn expect(&self, shards: &[u32]) {
        for &shard in shards {
            // Reading will tell what is wrong with the file.
            if let Ok(file) = self.file(shard) {
                advise(&file);
            }
        }
    }

    fn file(&self, shard: u32) -> Result<Arc<File>> {
        let kept = || self.inner.open.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut open = kept();
            if let Some(place) = open.iter().position(|(number, _)| *number == shard)
                && let Some(found) = open.remove(place)
            {
                let file = found.1.clone();
                open.push_back(found);
                return Ok(file);
            }
        }
        // Other threads need not wait for a slow file system.
        let file = Arc::new(fs::open(self.path(shard))?);
        let mut open = kept();
        open.push_back((shard, file.clone()));
        if open.len() > MOST_OPEN {
            open.pop_front();
        }
        Ok(file)
    }
}

/// The error of a read that failed.
pub(super) fn failed(path: &Path, e: io::Error) -> Error {
    match e.kind() {
        io::ErrorKind::UnexpectedEof => Error::file(path, "became shorter while it was used"),
        _ => Error::io(path, "read", e),
    }
}

/// A file system may ignore the advice.
#[cfg(target_os = "linux")]
fn advise(file: &File) {
    use rustix::fs::{Advice, fadvise};
    let _ = fadvise(file, 0, None, Advice::Sequential);
    let _ = fadvise(file, 0, None, Advice::WillNeed);
}

/// Other systems have no such advice, or other forms of it.
#[cfg(not(target_os = "linux"))]
fn advise(_: &File) {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files whose bytes are all their number.
    fn shards(dir: &Path, count: u32) -> Shards {
        let shard = |i: u32| {
            let path = dir.join(i.to_string());
            std::fs::write(&path, [i as u8; 100]).unwrap();
            Shard { path, line: i as usize + 1, bytes: 100 }
        };
        Shards::new((0..count).map(shard).collect())
    }

    #[test]
    fn many_files_are_read_by_threads_and_few_stay_open() {
        let dir = tempfile::tempdir().unwrap();
        let shards = shards(dir.path(), 200);
        std::thread::scope(|scope| {
            for t in 0..4u32 {
                let shards = shards.clone();
                scope.spawn(move || {
                    for i in 0..400 {
                        let shard = (i * 7 + t * 50) % 200;
                        shards.expect(&[shard]);
                        let found = shards.read(shard, u64::from(i % 90), 10).unwrap();
                        assert_eq!(found, [shard as u8; 10]);
                    }
                });
            }
        });
        assert_eq!(shards.inner.open.lock().unwrap().len(), MOST_OPEN);
        assert_eq!((shards.len(), shards.line(3)), (200, 4));
        assert!(Shards::default().is_empty());
    }

    #[test]
    fn bytes_that_are_not_there_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let shards = shards(dir.path(), 1);
        assert_eq!(shards.read(0, 100, 0).unwrap(), b"");
        for (offset, bytes) in [(91, 10), (101, 0), (u64::MAX, 2), (0, u64::MAX)] {
            let error = shards.read(0, offset, bytes).unwrap_err().to_string();
            assert!(error.contains("holds 100 bytes, not"), "{error}");
        }
        std::fs::write(shards.path(0), "less").unwrap();
        let error = shards.read(0, 0, 5).unwrap_err().to_string();
        assert!(error.contains("became shorter"), "{error}");
    }
}
