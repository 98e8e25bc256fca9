//! Temporary files and folders. Their names mark them, and a lock on each shows that its process
//! lives.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;

use tempfile::{NamedTempFile, TempDir};

use super::fault::{self, Op};
use super::lock::{Claim, LOCK_NAME, Lock, Taken, claim};
use super::parent;
use crate::error::{Error, Result};

/// The beginning of the names of temporary files.
pub(super) const PREFIX: &str = ".revox-file-";
/// The beginning of the names of dead processes' folders during their removal.
pub(super) const SWEPT: &str = ".revox-swept-";
/// Number of random letters and digits at the end of each name.
const RANDOM: usize = 6;
/// Most attempts to make a temporary. Another process may remove it, as a dead process's, before it
/// is locked.
const TRIES: usize = 16;

/// The content of a temporary folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A corpus that is being synthesized.
    Corpus,
    /// Lists that must appear together.
    Lists,
}

impl Content {
    const ALL: [Self; 2] = [Self::Corpus, Self::Lists];

    fn prefix(self) -> &'static str {
        match self {
            Self::Corpus => ".revox-synth-",
            Self::Lists => ".revox-lists-",
        }
    }
}

/// The beginning of a temporary's name and its random end; none for other names.
pub(super) fn parts(name: &str) -> Option<(&'static str, &str)> {
    let prefixes = Content::ALL.map(Content::prefix).into_iter().chain([PREFIX, SWEPT]);
    prefixes.filter_map(|prefix| Some((prefix, name.strip_prefix(prefix)?))).find(|(_, random)| {
        random.len() == RANDOM && random.bytes().all(|b| b.is_ascii_alphanumeric())
    })
}

/// Whether a name is that of a temporary or of a lock file.
pub fn is_temporary(name: &OsStr) -> bool {
    name == LOCK_NAME || name.to_str().is_some_and(|name| parts(name).is_some())
}

/// A maker of temporaries whose names begin with `prefix`.
pub(super) fn maker(prefix: &'static str) -> tempfile::Builder<'static, 'static> {
    let mut maker = tempfile::Builder::new();
    maker.prefix(prefix).rand_bytes(RANDOM);
    maker
}

/// Sets the permissions to ask for, of which the user's mask takes some away.
#[cfg(unix)]
fn set_mode(maker: &mut tempfile::Builder, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    maker.permissions(std::fs::Permissions::from_mode(mode));
}

/// Systems other than Unix have no such permissions.
#[cfg(not(unix))]
fn set_mode(_: &mut tempfile::Builder, _: u32) {}

/// Makes a locked temporary file in the folder of `path`, with the permissions that the user's mask
/// leaves.
pub(super) fn temporary_beside(path: &Path) -> std::io::Result<NamedTempFile> {
    fault::point(Op::Create, path)?;
    let mut maker = maker(PREFIX);
    set_mode(&mut maker, 0o666);
    for _ in 0..TRIES {
        // tempfile's own message has the temporary name, which would puzzle users.
        let temporary =
            maker.tempfile_in(parent(path)).map_err(|e| std::io::Error::from(e.kind()))?;
        match claim(temporary.as_file(), temporary.path()) {
            // Where there are no locks, nothing is swept.
            Claim::Ours | Claim::Unlockable(_) => return Ok(temporary),
            Claim::Theirs | Claim::Gone => {}
        }
    }
    Err(std::io::Error::other("every temporary file is taken away"))
}

/// A folder for unfinished work. Dropping it removes it with all its content.
#[derive(Debug)]
pub struct TemporaryFolder {
    // The first field is dropped first, so the folder is removed while it is locked.
    dir: TempDir,
    lock: Lock,
}

impl TemporaryFolder {
    /// Makes a folder in `folder`, with the permissions that the user's mask leaves. `meant` is the
    /// path that errors name: that of the finished work.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub fn inside(folder: &Path, content: Content, meant: &Path) -> Result<Self> {
        let fail = |e: std::io::Error| Error::io(meant, "create", e);
        fault::point(Op::CreateFolder, meant).map_err(fail)?;
        let mut maker = maker(content.prefix());
        set_mode(&mut maker, 0o777);
        for _ in 0..TRIES {
            let dir = maker.tempdir_in(folder).map_err(|e| fail(e.kind().into()))?;
            match Lock::take(dir.path()) {
                Ok(Taken { lock, .. }) => return Ok(Self { dir, lock }),
                Err(Error::Io { source, .. }) if dir.path().is_dir() => return Err(fail(source)),
                // Another process has removed it as a dead process's.
                Err(_) => {}
            }
        }
        Err(Error::file(meant, "every folder made for it is taken away"))
    }

    /// The folder's path.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Gives the folder its final name, which nothing or an empty folder may have.
    ///
    /// # Errors
    /// A name that cannot be given. The folder is then removed.
    pub fn rename(self, to: &Path) -> Result<()> {
        let Self { dir, lock } = self;
        // The finished folder must not contain the lock file, however this process ends.
        let _held = hold(dir.path());
        lock.give_back().map_err(|e| Error::io(to, "create", e))?;
        super::rename(dir.path(), to)?;
        let _ = dir.keep();
        Ok(())
    }
}

/// Locks a folder itself, without a file in it. Some file systems, such as NFS, cannot. There a
/// sweep may make the next operation fail, but nobody takes a half-removed folder for a whole one.
pub(super) fn hold(folder: &Path) -> Option<File> {
    let file = File::open(folder).ok()?;
    // This waits for a sweep that has locked the folder.
    file.lock().ok()?;
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporaries_are_known_by_their_names() {
        let ours = [
            LOCK_NAME,
            ".revox-file-aB3dE6",
            ".revox-synth-aB3dE6",
            ".revox-lists-aB3dE6",
            ".revox-swept-aB3dE6",
        ];
        for name in ours {
            assert!(is_temporary(OsStr::new(name)), "{name}");
        }
        let others = [
            "",
            "aB3dE6",
            ".revox-",
            ".revox-file-aB3dE",
            ".revox-file-aB3dE67",
            ".revox-file-aB3d_6",
            ".revox-file-äB3d6",
            "revox-aB3dE6",
            ".revox-synth-",
            ".revox-other-aB3dE6",
            ".revox-file-aB3dE6 ",
            ".revox-synth-aB3dE6.wav",
            ".revox-lock2",
        ];
        for name in others {
            assert!(!is_temporary(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn a_temporary_file_is_locked_and_well_named() {
        let dir = tempfile::tempdir().unwrap();
        let temporary = temporary_beside(&dir.path().join("a")).unwrap();
        assert!(is_temporary(temporary.path().file_name().unwrap()));
        let other = File::options().write(true).open(temporary.path()).unwrap();
        assert!(matches!(claim(&other, temporary.path()), Claim::Theirs));
        drop(temporary);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_temporary_folder_is_renamed_whole_or_gone() {
        let dir = tempfile::tempdir().unwrap();
        let names = |path: &Path| -> Vec<_> {
            let mut names: Vec<_> =
                std::fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let out = dir.path().join("out");
        let new = || TemporaryFolder::inside(dir.path(), Content::Corpus, &out).unwrap();
        let filled = new();
        assert!(is_temporary(filled.path().file_name().unwrap()));
        assert!(Lock::take(filled.path()).is_err());
        std::fs::write(filled.path().join("a"), "a").unwrap();
        filled.rename(&out).unwrap();
        assert_eq!(names(&out), ["a"]);
        // A folder with content is not replaced.
        let second = new();
        std::fs::write(second.path().join("b"), "b").unwrap();
        assert!(second.rename(&out).is_err());
        drop(new());
        assert_eq!(names(dir.path()), ["out"]);
        assert_eq!(names(&out), ["a"]);
    }

    #[test]
    #[cfg(unix)]
    fn the_users_mask_decides_who_may_read_a_folder() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let plain = dir.path().join("plain");
        std::fs::create_dir(&plain).unwrap();
        let folder = TemporaryFolder::inside(dir.path(), Content::Lists, &plain).unwrap();
        assert_eq!(mode(folder.path()), mode(&plain));
    }
}
