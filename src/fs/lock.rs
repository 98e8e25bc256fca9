//! Locks that keep processes out of a folder. A lock ends with its process, even a killed one.

mod holder;

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use holder::Holder;

use super::fault::{self, Op};
use crate::error::{Error, Result};

/// The name of the file that a process locks in a folder.
pub const LOCK_NAME: &str = ".revox-lock";
/// Most times that a lock file is opened. Its holder may have removed it just now, or not yet
/// written its name.
const TRIES: usize = 16;
/// Pause before the file is opened again.
const PAUSE: Duration = Duration::from_millis(5);
/// Most bytes of a lock file that are read.
const MOST_BYTES: u64 = 1024;

/// The result of an attempt to lock an open file.
pub(super) enum Claim {
    /// This process has the lock.
    Ours,
    /// Another process has the lock.
    Theirs,
    /// The path leads to another file by now, or to none.
    Gone,
    /// The file system has no locks.
    Unlockable(io::Error),
}

/// Tries to lock an open file, and checks that it is still at its path.
pub(super) fn claim(file: &File, path: &Path) -> Claim {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Claim::Theirs,
        // A network file that another machine has removed is stale.
        Err(TryLockError::Error(e))
            if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::StaleNetworkFileHandle) =>
        {
            Claim::Gone
        }
        _ if !is_at(file, path) => Claim::Gone,
        Err(TryLockError::Error(e)) => Claim::Unlockable(e),
        Ok(()) => Claim::Ours,
    }
}

/// Whether an open file is the one at a path. A link at the path does not count.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |found: io::Result<std::fs::Metadata>| found.ok().map(|m| (m.dev(), m.ino()));
    let own = identity(file.metadata());
    own.is_some() && own == identity(std::fs::symlink_metadata(path))
}

/// On systems other than Unix, an open file keeps its name.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

/// An open lock file.
pub(super) enum Attempt {
    /// No other process has the lock. `left` is the text of an earlier holder. `unlocked` is the
    /// reason if this process has no lock either, because the file system has none.
    Open { file: File, left: Vec<u8>, unlocked: Option<io::Error> },
    /// Another process has the lock, and has written this.
    Held(Vec<u8>),
}

/// Opens and locks a lock file. The file is made if it does not exist.
///
/// # Errors
/// A file that cannot be opened.
pub(super) fn attempt(path: &Path) -> io::Result<Attempt> {
    let mut held = None;
    for _ in 0..TRIES {
        let file =
            File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        let unlocked = match claim(&file, path) {
            Claim::Gone => continue,
            Claim::Theirs => {
                std::thread::sleep(PAUSE);
                let text = text_of(&file);
                if Holder::parse(&text).is_some() {
                    return Ok(Attempt::Held(text));
                }
                held = Some(text);
                continue;
            }
            Claim::Unlockable(e) => Some(e),
            Claim::Ours => None,
        };
        let left = text_of(&file);
        return Ok(Attempt::Open { file, left, unlocked });
    }
    match held {
        Some(text) => Ok(Attempt::Held(text)),
        None => {
            Err(io::Error::other(format!("{LOCK_NAME} is replaced all the time, or is a link")))
        }
    }
}

/// The beginning of a lock file, empty if it cannot be read.
fn text_of(file: &File) -> Vec<u8> {
    let mut text = Vec::new();
    let _ = file.take(MOST_BYTES).read_to_end(&mut text);
    text
}

/// A lock on a folder. It keeps out other processes that ask for the lock. Dropping it ends the
/// lock and removes its file.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    file: File,
}

/// A lock, and a note for the user.
#[derive(Debug)]
pub struct Taken {
    /// The lock.
    pub lock: Lock,
    /// Says that an earlier holder ended without ending its lock, or that the file system has no
    /// locks.
    pub note: Option<String>,
}

impl Lock {
    /// Locks a folder. If the file system has no locks, [`Taken::note`] says so.
    ///
    /// # Errors
    /// A folder that another process has locked, with the name of the process; a folder in which no
    /// file can be made.
    pub fn take(folder: &Path) -> Result<Taken> {
        let fail = |e| Error::io(folder, "lock", e);
        let path = folder.join(LOCK_NAME);
        if !path.exists() {
            fault::point(Op::Create, &path).map_err(fail)?;
        }
        match attempt(&path).map_err(fail)? {
            Attempt::Held(text) => {
                let who = match Holder::parse(&text) {
                    Some(Holder { pid, host, since }) => {
                        format!("process {pid} on {host} since {since}")
                    }
                    None => "another process".to_owned(),
                };
                Err(Error::file(
                    folder,
                    format!("is in use by {who}; wait for it, or name another folder"),
                ))
            }
            Attempt::Open { file, left, unlocked } => {
                let lock = Self { path, file };
                lock.sign().map_err(fail)?;
                Ok(Taken { lock, note: note(folder, &left, unlocked.as_ref()) })
            }
        }
    }

    /// [`take`](Self::take), which waits at most `wait` for another holder to end. A killed process
    /// keeps its locks for some moments.
    ///
    /// # Errors
    /// Those of [`take`](Self::take).
    pub fn take_within(folder: &Path, wait: Duration) -> Result<Taken> {
        let until = Instant::now() + wait;
        loop {
            match Self::take(folder) {
                Err(Error::File { .. }) if Instant::now() < until => std::thread::sleep(10 * PAUSE),
                result => return result,
            }
        }
    }

    /// Removes the file of the lock, then ends the lock.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub(super) fn give_back(self) -> io::Result<()> {
        fault::point(Op::Remove, &self.path)?;
        std::fs::remove_file(&self.path)
    }

    /// Writes this process's name into the file.
    fn sign(&self) -> io::Result<()> {
        let text = serde_json::to_vec(&Holder::own())?;
        let mut out = &self.file;
        out.rewind()?;
        fault::writing(Op::Write, &self.path, &mut out, &text)?;
        out.write_all(&text)?;
        // The old text is cut off last, so the file names a holder at all times.
        out.set_len(text.len() as u64)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The file is removed before it is unlocked, so a process that has already opened it finds
        // it gone from its path.
        if is_at(&self.file, &self.path) && fault::point(Op::Remove, &self.path).is_ok() {
            let _ = std::fs::remove_file(&self.path);
        }
        // Closing the file is not enough: a child process may have it open, too, until that process
        // starts its program.
        let _ = self.file.unlock();
    }
}

/// The note for the user on a new lock.
fn note(folder: &Path, left: &[u8], unlocked: Option<&io::Error>) -> Option<String> {
    let folder = folder.display();
    if let Some(e) = unlocked {
        return Some(format!(
            "{folder}: this file system cannot lock ({e}): \
             nothing keeps another process from writing here"
        ));
    }
    if left.trim_ascii().is_empty() {
        return None;
    }
    let who = match Holder::parse(left) {
        Some(Holder { pid, host, since }) => format!("process {pid} on {host}, since {since}"),
        None => "another process".to_owned(),
    };
    Some(format!("{folder}: takes over the lock of {who}, which does not hold it any more"))
}

#[cfg(test)]
mod tests;
