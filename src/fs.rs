//! File access in which every error names the path, and every write is all or nothing.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::error::{Error, Result};

/// The bytes of a file.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    let path = path.as_ref();
    std::fs::read(path).map_err(|e| Error::io(path, "read", e))
}

/// The text of a UTF-8 file.
pub fn read_to_string(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    String::from_utf8(read(path)?).map_err(|e| {
        let upto = e.utf8_error().valid_up_to();
        let line = 1 + e.as_bytes()[..upto].iter().filter(|&&b| b == b'\n').count();
        Error::line(path, line, "not UTF-8 text")
    })
}

/// A file opened for reading.
pub fn open(path: impl AsRef<Path>) -> Result<File> {
    let path = path.as_ref();
    if path.is_dir() {
        return Err(Error::file(path, "is a folder, not a file"));
    }
    File::open(path).map_err(|e| Error::io(path, "open", e))
}

/// Makes a folder and the folders above it.
pub fn create_dir_all(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    std::fs::create_dir_all(path).map_err(|e| Error::io(path, "create", e))
}

/// The folder a file lies in (`.` for a bare name).
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    }
}

/// Writes a file through a temporary one beside it: written, synced, renamed. When anything fails, a full
/// disk included, the old file is untouched and the temporary one is gone.
pub fn write_atomic(path: impl AsRef<Path>, fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<()> {
    let path = path.as_ref();
    let fail = |e| Error::io(path, "write", e);
    if path.is_dir() {
        return Err(Error::file(path, "is a folder, not a file to write"));
    }
    // A device or a pipe (`/dev/stdout`) cannot be renamed over; it is written as it is.
    if path.exists() && !path.is_file() {
        let mut out = File::options().write(true).open(path).map_err(fail)?;
        fill(&mut out).map_err(fail)?;
        return out.flush().map_err(fail);
    }
    let mut temp = tempfile::Builder::new()
        .prefix(".revox-")
        .tempfile_in(parent(path))
        .map_err(|e| Error::io(path, "create", e))?;
    {
        let mut out = BufWriter::new(temp.as_file_mut());
        fill(&mut out).map_err(fail)?;
        out.flush().map_err(fail)?;
    }
    temp.as_file().sync_all().map_err(fail)?;
    #[cfg(unix)]
    {
        // Temporary files are private to their owner; what replaces a named file gets ordinary permissions.
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path).map_or(0o644, |m| m.permissions().mode());
        temp.as_file().set_permissions(std::fs::Permissions::from_mode(mode)).map_err(fail)?;
    }
    temp.persist(path).map_err(|e| Error::io(path, "write", e.error))?;
    // The rename itself is durable only once the folder is on disk; not every system can sync a folder.
    if let Ok(dir) = File::open(parent(path)) {
        let _ = dir.sync_all();
    }
    Ok(())
}

/// [`write_atomic`] for bytes at hand.
pub fn write_bytes(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    write_atomic(path, |out| out.write_all(bytes))
}

#[cfg(test)]
mod tests {
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
    fn errors_name_the_path() {
        let error = read("no/such/file").unwrap_err().to_string();
        assert!(error.contains("no/such/file") && error.contains("read"), "{error}");
        let dir = tempfile::tempdir().unwrap();
        assert!(open(dir.path()).unwrap_err().to_string().contains("folder"));
        std::fs::write(dir.path().join("latin1"), b"a\nb\xe9\n").unwrap();
        let error = read_to_string(dir.path().join("latin1")).unwrap_err().to_string();
        assert!(error.contains("latin1:2"), "{error}");
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
