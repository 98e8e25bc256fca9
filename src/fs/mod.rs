//! File access. Every error names the path, a write succeeds as a whole or changes nothing, and
//! processes know of each other.
//!
//! | to | use |
//! |---|---|
//! | read | [`read()`], [`read_to_string`], [`open`] |
//! | read where it is looked at | [`map()`], [`Mapped`] |
//! | write a whole file | [`write_atomic`], [`write_bytes`], after [`check_outputs`] |
//! | write a line of a log | [`append_line`] |
//! | keep results of long work as they come | [`Journal`] |
//! | make a folder that appears whole | [`TemporaryFolder`] |
//! | make and remove | [`create_dir_all`], [`remove_file`], [`remove_dir_all`] |
//! | give another name | [`rename`], [`link_or_copy`] |
//! | keep other processes out of a folder | [`Lock`] |
//! | remove files of killed processes | [`sweep()`], [`is_temporary`] |

mod change;
mod ending;
mod fault;
mod journal;
mod lock;
mod map;
mod same;
mod sweep;
mod temporary;
mod write;

pub use change::{append_line, create_dir_all, link_or_copy, remove_dir_all, remove_file, rename};
pub(crate) use ending::check_ending;
pub use journal::{Blocks, Journal};
pub use lock::{LOCK_NAME, Lock, Taken};
pub use map::{Mapped, map};
pub use same::check_outputs;
pub use sweep::sweep;
pub use temporary::{Content, TemporaryFolder, is_temporary};
pub use write::{STDOUT, is_stdout, write_atomic, write_bytes};

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};

/// The bytes of a file; `-` is standard input.
///
/// # Errors
/// A file that cannot be read.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    let path = path.as_ref();
    if is_stdin(path) {
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().read_to_end(&mut bytes);
        return read.map(|_| bytes).map_err(|e| Error::io(path, "read", e));
    }
    std::fs::read(path).map_err(|e| Error::io(path, "read", e))
}

/// Whether a path stands for this process's standard input: `-`.
pub fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == STDOUT
}

/// The text of a UTF-8 file, without the byte order mark that some editors put in front.
///
/// # Errors
/// A file that cannot be read; UTF-16; the first line that is not UTF-8.
pub fn read_to_string(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    let mut bytes = read(path)?;
    bytes.drain(..byte_order_mark(path, &bytes)?);
    String::from_utf8(bytes).map_err(|e| {
        let upto = e.utf8_error().valid_up_to();
        let line = 1 + e.as_bytes()[..upto].iter().filter(|&&b| b == b'\n').count();
        Error::line(path, line, "not UTF-8 text")
    })
}

/// Length of the byte order mark at the beginning of a UTF-8 text, 0 or 3 bytes.
///
/// # Errors
/// A byte order mark of UTF-16.
pub(crate) fn byte_order_mark(path: &Path, beginning: &[u8]) -> Result<usize> {
    match beginning {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            Err(Error::file(path, "is UTF-16 text; save it as UTF-8"))
        }
        [0xef, 0xbb, 0xbf, ..] => Ok(3),
        _ => Ok(0),
    }
}

/// Opens a file for reading; `-` is standard input.
///
/// # Errors
/// A folder; a file that cannot be opened.
pub fn open(path: impl AsRef<Path>) -> Result<File> {
    let path = path.as_ref();
    if path.is_dir() {
        return Err(Error::file(path, "is a folder, not a file"));
    }
    if is_stdin(path) {
        return stdin().map_err(|e| Error::io(path, "open", e));
    }
    File::open(path).map_err(|e| Error::io(path, "open", e))
}

#[cfg(unix)]
fn stdin() -> std::io::Result<File> {
    use std::os::fd::AsFd;
    std::io::stdin().as_fd().try_clone_to_owned().map(File::from)
}

#[cfg(windows)]
fn stdin() -> std::io::Result<File> {
    use std::os::windows::io::AsHandle;
    std::io::stdin().as_handle().try_clone_to_owned().map(File::from)
}

#[cfg(not(any(unix, windows)))]
fn stdin() -> std::io::Result<File> {
    Err(std::io::Error::from(std::io::ErrorKind::Unsupported))
}

/// The folder of a file, `.` for a bare name.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_byte_order_mark_is_no_text() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list");
        std::fs::write(&path, "\u{feff}a b\u{feff}\n").unwrap();
        assert_eq!(read_to_string(&path).unwrap(), "a b\u{feff}\n");
        std::fs::write(&path, b"\xff\xfea\0").unwrap();
        assert!(read_to_string(&path).unwrap_err().to_string().contains("UTF-16"));
    }
}
