//! Writes that are all or nothing, and never reach a file that is being read.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::parent;
use crate::error::{Error, Result};

/// The name that stands for standard output.
pub const STDOUT: &str = "-";

/// Whether a path stands for this process's standard output: `-`, or the system's name for it.
///
/// Opening `/dev/stdout` anew would begin at the start of a file that standard output was
/// redirected to, and overwrite what is in it.
pub fn is_stdout(path: &Path) -> bool {
    let names = [STDOUT, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];
    names.iter().any(|name| path.as_os_str() == *name)
}

/// Writes a file through a temporary one beside it: written, synced, renamed. When anything
/// fails, a full disk included, the old file is untouched and the temporary one is gone.
///
/// A link keeps its place: the file that it leads to is replaced. A device or a pipe is written as
/// it is, since nothing can take its place. `-` is standard output.
pub fn write_atomic(path: impl AsRef<Path>, fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<()> {
    let path = path.as_ref();
    let fail = |e| Error::io(path, "write", e);
    if is_stdout(path) {
        let mut out = BufWriter::new(std::io::stdout().lock());
        return fill(&mut out).and_then(|()| out.flush()).map_err(|e| Error::io("standard output", "write", e));
    }
    if path.is_dir() {
        return Err(Error::file(path, "is a folder, not a file to write"));
    }
    let target = target(path).map_err(fail)?;
    if is_written_through(&target) {
        let mut out = BufWriter::new(File::options().write(true).open(path).map_err(fail)?);
        return fill(&mut out).and_then(|()| out.flush()).map_err(fail);
    }
    replace(&target, fill).map_err(|(action, e)| Error::io(path, action, e))
}

/// [`write_atomic`] for bytes at hand.
pub fn write_bytes(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    write_atomic(path, |out| out.write_all(bytes))
}

/// Whether nothing can take a file's place: devices, pipes, and what the kernel makes up.
pub(super) fn is_written_through(target: &Path) -> bool {
    target.exists() && !target.is_file() || is_kernels(target)
}

/// A temporary file in the folder of `path`, with the permissions that the user's mask leaves.
pub(super) fn temporary_beside(path: &Path) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".revox-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    // The temporary name in tempfile's own message would only puzzle.
    builder.tempfile_in(parent(path)).map_err(|e| e.kind().into())
}

/// Whether a file belongs to a file system that the kernel makes up, where nothing can be renamed.
fn is_kernels(path: &Path) -> bool {
    ["/dev/fd", "/proc", "/sys"].iter().any(|root| path.starts_with(root))
}

/// Follows links to the name that they lead to, whether a file has it already or not.
pub(super) fn target(path: &Path) -> std::io::Result<PathBuf> {
    /// As many as Linux follows.
    const MOST: usize = 40;
    let mut at = path.to_owned();
    for _ in 0..MOST {
        // A process's open files look like links, and what they show need not be a name.
        if is_kernels(&at) || !at.is_symlink() {
            return Ok(at);
        }
        let next = std::fs::read_link(&at)?;
        at = parent(&at).join(next);
    }
    Err(std::io::Error::other("a loop of links"))
}

/// Puts a new file in the place of a file.
fn replace(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> std::result::Result<(), (&'static str, std::io::Error)> {
    let fail = |e| ("write", e);
    let mut temp = temporary_beside(path).map_err(|e| ("create", e))?;
    {
        let mut out = BufWriter::new(temp.as_file_mut());
        fill(&mut out).map_err(fail)?;
        out.flush().map_err(fail)?;
    }
    // What replaces a file keeps that file's permissions.
    #[cfg(unix)]
    if let Ok(old) = std::fs::metadata(path) {
        temp.as_file().set_permissions(old.permissions()).map_err(fail)?;
    }
    temp.as_file().sync_all().map_err(fail)?;
    temp.persist(path).map_err(|e| fail(e.error))?;
    // The rename itself is durable only once the folder is on disk; not every system can sync one.
    if let Ok(folder) = File::open(parent(path)) {
        let _ = folder.sync_all();
    }
    Ok(())
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

    #[test]
    #[cfg(unix)]
    fn a_full_disk_is_an_error_that_names_the_file() {
        if !Path::new("/dev/full").exists() {
            return; // only Linux has it
        }
        let error = write_bytes("/dev/full", &[0; 1 << 16]).unwrap_err().to_string();
        assert!(error.contains("/dev/full: cannot write"), "{error}");
    }
}
