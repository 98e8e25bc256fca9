//! Writes that succeed as a whole or change nothing, and that never touch a file in use.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::change::sync_folder;
use super::fault::{self, Op};
use super::parent;
use super::temporary::temporary_beside;
use crate::error::{Error, Result};

/// The name that stands for standard output.
pub const STDOUT: &str = "-";

/// Whether a path stands for this process's standard output: `-`, or one of the system's names.
///
/// Opening `/dev/stdout` anew would overwrite, from its start, a file that standard output is
/// redirected to.
pub fn is_stdout(path: &Path) -> bool {
    let names = [STDOUT, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];
    names.iter().any(|name| path.as_os_str() == *name)
}

/// Writes a file: makes a temporary one beside it, lets `fill` write that, syncs it, and renames
/// it. If anything fails, such as on a full disk, the old file is untouched and the temporary one
/// is removed.
///
/// A link stays, and its target is replaced. A device or a pipe is written directly, since nothing
/// can replace it. `-` is standard output.
///
/// # Errors
/// Those of `fill`; a folder; a file that is read-only or cannot be written.
pub fn write_atomic(
    path: impl AsRef<Path>,
    fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<()> {
    let path = path.as_ref();
    let fail = |e| Error::io(path, "write", e);
    if is_stdout(path) {
        let mut out = BufWriter::new(std::io::stdout().lock());
        return fill(&mut out)
            .and_then(|()| out.flush())
            .map_err(|e| Error::io("standard output", "write", e));
    }
    if path.is_dir() {
        return Err(Error::file(path, "is a folder, not a file to write"));
    }
    let target = target(path).map_err(fail)?;
    if is_written_through(&target) {
        let mut out = BufWriter::new(File::options().write(true).open(path).map_err(fail)?);
        return fill(&mut out).and_then(|()| out.flush()).map_err(fail);
    }
    check_replaceable(path, &target)?;
    replace(&target, fill).map_err(|(action, e)| Error::io(path, action, e))
}

/// [`write_atomic`] for bytes in memory.
///
/// # Errors
/// Those of [`write_atomic`].
pub fn write_bytes(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    write_atomic(path, |out| out.write_all(bytes))
}

/// Whether a file cannot be replaced: a device, a pipe, or a file of the kernel's own file systems.
pub(super) fn is_written_through(target: &Path) -> bool {
    target.exists() && !target.is_file() || is_kernels(target)
}

/// Refuses to replace a read-only file, even where its folder would allow that. `path` is the
/// user's name for `target`.
pub(super) fn check_replaceable(path: &Path, target: &Path) -> Result<()> {
    let Ok(found) = std::fs::metadata(target) else { return Ok(()) };
    let refuses = || {
        let opened = File::options().write(true).open(target);
        opened.is_err_and(|e| e.kind() == std::io::ErrorKind::PermissionDenied)
    };
    // The superuser may open every file, so the permissions count, too.
    match found.is_file() && (found.permissions().readonly() || refuses()) {
        true => Err(Error::file(path, "is read-only; it is not replaced")),
        false => Ok(()),
    }
}

/// Whether a file belongs to one of the kernel's own file systems, where nothing can be renamed.
fn is_kernels(path: &Path) -> bool {
    ["/dev/fd", "/proc", "/sys"].iter().any(|root| path.starts_with(root))
}

/// Follows links to the name at their end, whether a file has that name or not.
pub(super) fn target(path: &Path) -> std::io::Result<PathBuf> {
    /// Linux follows as many.
    const MOST: usize = 40;
    let mut at = path.to_owned();
    for _ in 0..MOST {
        // The open files of a process look like links, but their targets need not be names.
        if is_kernels(&at) || !at.is_symlink() {
            return Ok(at);
        }
        let next = std::fs::read_link(&at)?;
        at = parent(&at).join(next);
    }
    Err(std::io::Error::other("a loop of links"))
}

/// Replaces a file with a new one, or makes it. The error has the operation that failed.
fn replace(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> std::result::Result<(), (&'static str, std::io::Error)> {
    let fail = |e| ("write", e);
    let mut temp = temporary_beside(path).map_err(|e| ("create", e))?;
    let mut out = BufWriter::new(Passing { file: temp.as_file_mut(), path });
    let filled = fill(&mut out).and_then(|()| out.flush());
    // Dropping the writer would write its buffer, even after a failure.
    drop(out.into_parts());
    filled.map_err(fail)?;
    // The new file gets the permissions of the old one.
    #[cfg(unix)]
    if let Ok(old) = std::fs::metadata(path) {
        temp.as_file().set_permissions(old.permissions()).map_err(fail)?;
    }
    fault::point(Op::Sync, path).and_then(|()| temp.as_file().sync_all()).map_err(fail)?;
    fault::point(Op::Rename, path).map_err(fail)?;
    temp.persist(path).map_err(|e| fail(e.error))?;
    sync_folder(path);
    Ok(())
}

/// A temporary file. Each write passes a point of faults, under the name of the file to replace.
struct Passing<'a> {
    file: &'a mut File,
    path: &'a Path,
}

impl Write for Passing<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        fault::writing(Op::Write, self.path, self.file, bytes)?;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    #[test]
    fn an_interrupted_write_leaves_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        write_bytes(&path, b"old").unwrap();
        let error = write_atomic(&path, |out| {
            out.write_all(b"half of the ne")?;
            Err(std::io::Error::from(std::io::ErrorKind::StorageFull))
        })
        .unwrap_err();
        assert!(error.to_string().contains("a.txt"), "{error}");
        assert_eq!(read(&path).unwrap(), b"old");
        let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "no temporary file may stay: {names:?}");
    }

    #[test]
    fn a_read_only_file_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kept");
        write_bytes(&path, b"kept").unwrap();
        let mut permissions = std::fs::metadata(&path).unwrap().permissions();
        permissions.set_readonly(true);
        std::fs::set_permissions(&path, permissions).unwrap();
        let error = write_bytes(&path, b"new").unwrap_err().to_string();
        assert!(error.ends_with("kept: is read-only; it is not replaced"), "{error}");
        assert_eq!(read(&path).unwrap(), b"kept");
    }

    #[test]
    #[cfg(unix)]
    fn what_replaces_a_file_keeps_its_permissions() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        std::fs::write(dir.path().join("plain"), "").unwrap();
        write_bytes(&path, b"old").unwrap();
        assert_eq!(mode(&path), mode(&dir.path().join("plain")));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        write_bytes(&path, b"new").unwrap();
        assert_eq!((mode(&path), read(&path).unwrap()), (0o640, b"new".to_vec()));
    }

    #[test]
    #[cfg(unix)]
    fn links_stay_and_lead_to_what_was_written() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("sub")).unwrap();
        std::fs::write(at("sub/file"), "old").unwrap();
        symlink("sub/file", at("link")).unwrap();
        symlink("link", at("link to a link")).unwrap();
        symlink("sub/new", at("dangling")).unwrap();
        write_bytes(at("link to a link"), b"new").unwrap();
        write_bytes(at("dangling"), b"newer").unwrap();
        assert!(["link", "link to a link", "dangling"].iter().all(|name| at(name).is_symlink()));
        assert_eq!(read(at("sub/file")).unwrap(), b"new");
        assert_eq!(read(at("sub/new")).unwrap(), b"newer");
        symlink("b", at("a")).unwrap();
        symlink("a", at("b")).unwrap();
        assert!(write_bytes(at("a"), b"").unwrap_err().to_string().contains("loop of links"));
    }

    /// Only Linux has `/dev/full`.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_an_error_that_names_the_file() {
        let error = write_bytes("/dev/full", &[0; 1 << 16]).unwrap_err().to_string();
        assert!(error.contains("/dev/full: cannot write"), "{error}");
    }
}
