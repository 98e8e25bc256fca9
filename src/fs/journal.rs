//! Results of long work, appended as they come, so that a later process can go on after a killed
//! one.
//!
//! A journal begins with a line that says what work it is of, with blanks at its end: the first
//! block begins at a multiple of eight bytes. A block is the number of bytes and their FNV-1a
//! checksum (8 bytes each, little-endian), and the bytes. The end of a process may cut off the last
//! block, which is dropped.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::change::sync_folder;
use super::fault::{self, Op};
use super::lock::{Claim, claim};
use super::map::map_file;
use super::{Mapped, remove_file};
use crate::error::{Error, Result};
use crate::rng::fnv1a64;

/// The bytes of a journal, and the place of each block's content in them.
pub type Blocks = (Mapped, Vec<Range<usize>>);

/// The beginning of every journal.
const MARK: &str = "revox-journal 1 ";
/// Most bytes of the line that says what work it is.
const LONGEST: u64 = 1 << 16;
/// Bytes in front of a block's content.
const HEAD: usize = 16;

/// How long another process may hold the file.
const PATIENCE: Duration = Duration::from_millis(500);

/// An open journal, which no other process can open.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Makes a journal. `work` says in one line what work it is of.
    ///
    /// # Errors
    /// A file of that name, which may be another process's; a file that cannot be made.
    pub fn create(path: impl AsRef<Path>, work: &str) -> Result<Self> {
        let path = path.as_ref();
        let fail = |e: std::io::Error| match e.kind() {
            ErrorKind::AlreadyExists => {
                Error::file(path, "appeared meanwhile; another process does the same work")
            }
            _ => Error::io(path, "create", e),
        };
        fault::point(Op::Create, path).map_err(fail)?;
        let file =
            File::options().read(true).write(true).create_new(true).open(path).map_err(fail)?;
        sync_folder(path);
        let mut journal = Self { file, path: path.to_owned() }.claimed()?;
        let length = MARK.len() + work.len() + 1;
        let blanks = length.next_multiple_of(8) - length;
        journal.write(format!("{MARK}{work}{:blanks$}\n", "").as_bytes())?;
        Ok(journal)
    }

    /// Opens the journal at `path`, if there is one. `check` gets the line that says what work it
    /// is of, and `take` each whole block, in order. What follows the last whole block is cut off.
    ///
    /// # Errors
    /// Those of `check` and `take`; a file that is no journal or that another process has open; a
    /// file that cannot be read or written.
    pub fn open(
        path: impl AsRef<Path>,
        check: impl FnOnce(&str) -> Result<()>,
        mut take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<Option<Self>> {
        let path = path.as_ref();
        let fail = |e| Error::io(path, "read", e);
        let file = match File::options().read(true).write(true).open(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            file => file.map_err(|e| Error::io(path, "open", e))?,
        };
        let journal = Self { file, path: path.to_owned() }.claimed()?;
        let bytes = journal.file.metadata().map_err(fail)?.len();
        let mut reader = BufReader::new(&journal.file);
        let mut line = Vec::new();
        (&mut reader).take(LONGEST).read_until(b'\n', &mut line).map_err(fail)?;
        let begins = line.starts_with(MARK.as_bytes()) || MARK.as_bytes().starts_with(&line);
        let work = line.strip_suffix(b"\n").and_then(|line| line.strip_prefix(MARK.as_bytes()));
        let Some(work) = work else {
            if begins && line.len() as u64 == bytes {
                // Its process ended before the first line was whole.
                drop(reader);
                drop(journal);
                remove_file(path)?;
                return Ok(None);
            }
            let message = "is no journal of unfinished work, and is not replaced; move it away, \
                           or name another output";
            return Err(Error::file(path, message));
        };
        check(String::from_utf8_lossy(work).trim_end())?;
        let mut whole = line.len() as u64;
        while let Some(block) = next_block(&mut reader, bytes - whole).map_err(fail)? {
            whole += (HEAD + block.len()) as u64;
            take(&block)?;
        }
        drop(reader);
        journal.cut(whole).map_err(|e| Error::io(path, "write", e))?;
        Ok(Some(journal))
    }

    /// Appends a block and syncs it.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn append(&mut self, content: &[u8]) -> Result<()> {
        let mut block = Vec::with_capacity(HEAD + content.len());
        block.extend_from_slice(&(content.len() as u64).to_le_bytes());
        block.extend_from_slice(&fnv1a64(content).to_le_bytes());
        block.extend_from_slice(content);
        self.write(&block)
    }

    /// The bytes of the file, and the place of each block's content in them.
    ///
    /// # Errors
    /// A file that cannot be read, or that something else has changed.
    pub fn blocks(&self) -> Result<Blocks> {
        let bytes = self.mapped().map_err(|e| Error::io(&self.path, "read", e))?;
        let line = bytes.iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |end| end + 1);
        let (mut at, mut blocks) = (line, Vec::new());
        while let Some(length) = bytes[at..].first_chunk::<8>() {
            let begin = at + HEAD;
            let length = usize::try_from(u64::from_le_bytes(*length)).ok();
            let end = length.and_then(|length| begin.checked_add(length));
            at = end.filter(|&end| end <= bytes.len()).ok_or_else(|| {
                Error::file(&self.path, "was changed by something else; remove it to begin anew")
            })?;
            blocks.push(begin..at);
        }
        Ok((bytes, blocks))
    }

    /// The bytes of the file. Afterwards it is at its end again.
    fn mapped(&self) -> io::Result<Mapped> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0))?;
        let bytes = map_file(file.try_clone()?)?;
        file.seek(SeekFrom::End(0))?;
        Ok(bytes)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the file: the work is done.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub fn remove(self) -> Result<()> {
        let Self { file, path } = self;
        drop(file);
        remove_file(path)
    }

    /// Refuses a file that another process has. A program that this process is just starting holds
    /// it, too, for a moment.
    fn claimed(self) -> Result<Self> {
        let end = Instant::now() + PATIENCE;
        let mut found = claim(&self.file, &self.path);
        while matches!(found, Claim::Theirs) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
            found = claim(&self.file, &self.path);
        }
        match found {
            // Where the file system has no locks, nothing keeps processes apart.
            Claim::Ours | Claim::Unlockable(_) => Ok(self),
            Claim::Theirs => {
                Err(Error::file(&self.path, "another process is doing this work right now"))
            }
            Claim::Gone => Err(Error::file(&self.path, "is a link, or was replaced just now")),
        }
    }

    /// Drops what follows the whole blocks, and goes to their end.
    fn cut(&self, whole: u64) -> std::io::Result<()> {
        let mut file = &self.file;
        if file.metadata()?.len() > whole {
            fault::point(Op::Write, &self.path)?;
            file.set_len(whole)?;
        }
        file.seek(SeekFrom::Start(whole))?;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = fault::writing(Op::Append, &self.path, &mut self.file, bytes)
            .and_then(|()| self.file.write_all(bytes))
            .and_then(|()| fault::point(Op::SyncAppend, &self.path))
            .and_then(|()| self.file.sync_data());
        written.map_err(|e| Error::io(&self.path, "write", e))
    }
}

/// The next block's content, of a file that has so many bytes left; none if no block is whole.
fn next_block(reader: &mut impl Read, left: u64) -> std::io::Result<Option<Vec<u8>>> {
    let Some(most) = left.checked_sub(HEAD as u64) else { return Ok(None) };
    let (mut length, mut checksum) = ([0; 8], [0; 8]);
    reader.read_exact(&mut length)?;
    reader.read_exact(&mut checksum)?;
    let length = u64::from_le_bytes(length);
    if length > most {
        return Ok(None);
    }
    // No longer than the file.
    let mut content = vec![0; length as usize];
    reader.read_exact(&mut content)?;
    Ok((fnv1a64(&content) == u64::from_le_bytes(checksum)).then_some(content))
}

#[cfg(test)]
mod tests;
