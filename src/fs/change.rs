//! Changes other than writing a whole file: new names, appended lines, removal.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::fault::{self, Op};
use super::same::is_one_file;
use super::temporary::{PREFIX, maker};
use super::write::{check_replaceable, is_written_through, target};
use super::{parent, read, write_bytes};
use crate::error::{Error, Result};

/// Makes a folder and the folders above it.
///
/// # Errors
/// A folder that cannot be made.
pub fn create_dir_all(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    let fail = |e| Error::io(path, "create", e);
    if !path.is_dir() {
        fault::point(Op::CreateFolder, path).map_err(fail)?;
    }
    std::fs::create_dir_all(path).map_err(fail)
}

/// Gives a file or a folder another name in the same file system. A file with that name is
/// replaced.
///
/// # Errors
/// A name that cannot be given; it names `to`.
pub fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<()> {
    let (from, to) = (from.as_ref(), to.as_ref());
    fault::point(Op::Rename, to)
        .and_then(|()| std::fs::rename(from, to))
        .map_err(|e| Error::io(to, "write", e))?;
    sync_folder(to);
    Ok(())
}

/// Removes a file.
///
/// # Errors
/// A file that does not exist or cannot be removed.
pub fn remove_file(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    fault::point(Op::Remove, path)
        .and_then(|()| std::fs::remove_file(path))
        .map_err(|e| Error::io(path, "remove", e))
}

/// Removes a folder with all its content. Links in it are removed, but not their targets.
///
/// # Errors
/// A folder that does not exist or cannot be removed.
pub fn remove_dir_all(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    fault::point(Op::Remove, path)
        .and_then(|()| std::fs::remove_dir_all(path))
        .map_err(|e| Error::io(path, "remove", e))
}

/// Appends a line to a file and syncs it. The file is made if it does not exist. `line` must not
/// contain a line break; it gets one at its end.
///
/// If a killed process has written only part of its last line, that part stays a line of its own.
///
/// # Errors
/// A file that cannot be written.
pub fn append_line(path: impl AsRef<Path>, line: &str) -> Result<()> {
    let path = path.as_ref();
    append(path, line).map_err(|e| Error::io(path, "write", e))
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    let is_new = !path.exists();
    if is_new {
        fault::point(Op::Create, path)?;
    }
    let mut file = File::options().read(true).append(true).create(true).open(path)?;
    let text = match ends_a_line(&mut file)? {
        true => format!("{line}\n"),
        false => format!("\n{line}\n"),
    };
    fault::writing(Op::Append, path, &mut file, text.as_bytes())?;
    file.write_all(text.as_bytes())?;
    fault::point(Op::SyncAppend, path)?;
    file.sync_data()?;
    if is_new {
        sync_folder(path);
    }
    Ok(())
}

/// Whether the file is empty or ends with a line break.
fn ends_a_line(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// Gives a file the second name `to`, and replaces a file of that name. Where the system cannot do
/// this, `to` becomes a copy. If anything fails, the old file is untouched.
///
/// Both names have the same content until one of them is written anew: [`write_bytes`] makes a new
/// file for one name and leaves that of the other.
///
/// # Errors
/// A file `from` that cannot be read; a file `to` that is read-only or cannot be written.
pub fn link_or_copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<()> {
    let (from, to) = (from.as_ref(), to.as_ref());
    // A second name for a link would always lead to the link's target, whatever is written there.
    let source = target(from).map_err(|e| Error::io(from, "read", e))?;
    let place = target(to).map_err(|e| Error::io(to, "write", e))?;
    check_replaceable(to, &place)?;
    if !is_written_through(&place) && link(&source, &place).is_ok() {
        return Ok(());
    }
    write_bytes(to, &read(from)?)
}

fn link(from: &Path, to: &Path) -> io::Result<()> {
    // Renaming one of two names of a file to the other does nothing.
    if is_one_file(from, to) {
        return Ok(());
    }
    fault::point(Op::Link, to)?;
    let temporary = maker(PREFIX).make_in(parent(to), |path| std::fs::hard_link(from, path))?;
    fault::point(Op::Rename, to)?;
    temporary.persist(to).map_err(|e| e.error)?;
    sync_folder(to);
    Ok(())
}

/// Makes the name of a new file durable.
///
/// Not every system can sync a folder. Without it, a crash of the machine may bring back the
/// earlier state, but not a damaged one. So a failure here does not make the operation fail.
pub(super) fn sync_folder(path: &Path) {
    if fault::point(Op::SyncFolder, path).is_ok()
        && let Ok(folder) = File::open(parent(path))
    {
        let _ = folder.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_appended_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        append_line(&path, "a").unwrap();
        append_line(&path, "b").unwrap();
        assert_eq!(read(&path).unwrap(), b"a\nb\n");
        std::fs::write(&path, "a\nhalf of").unwrap();
        append_line(&path, "c").unwrap();
        append_line(&path, "").unwrap();
        assert_eq!(read(&path).unwrap(), b"a\nhalf of\nc\n\n");
        let error = append_line(dir.path().join("none/log"), "a").unwrap_err().to_string();
        assert!(error.contains("log: cannot write"), "{error}");
    }

    #[test]
    fn names_change_and_go() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        create_dir_all(at("x/y")).unwrap();
        create_dir_all(at("x/y")).unwrap();
        std::fs::write(at("x/y/file"), "1").unwrap();
        std::fs::write(at("old"), "2").unwrap();
        rename(at("x/y/file"), at("old")).unwrap();
        assert_eq!(read(at("old")).unwrap(), b"1");
        rename(at("x"), at("z")).unwrap();
        assert!(at("z/y").is_dir());
        remove_file(at("old")).unwrap();
        remove_dir_all(at("z")).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        for (result, wanted) in [
            (rename(at("none"), at("new")), "new: cannot write"),
            (remove_file(at("none")), "none: cannot remove"),
            (remove_dir_all(at("none")), "none: cannot remove"),
        ] {
            let error = result.unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn a_second_name_keeps_the_content() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let count = || std::fs::read_dir(dir.path()).unwrap().count();
        std::fs::write(at("a"), "1").unwrap();
        std::fs::write(at("b"), "old").unwrap();
        for _ in 0..2 {
            link_or_copy(at("a"), at("b")).unwrap();
            assert_eq!((read(at("b")).unwrap(), count()), (b"1".to_vec(), 2));
        }
        write_bytes(at("a"), b"2").unwrap();
        assert_eq!(read(at("b")).unwrap(), b"1");
        link_or_copy(at("a"), at("c")).unwrap();
        assert!(is_one_file(&at("a"), &at("c")));
        assert!(
            link_or_copy(at("none"), at("b"))
                .unwrap_err()
                .to_string()
                .contains("none: cannot read")
        );
        std::fs::create_dir(at("folder")).unwrap();
        assert!(
            link_or_copy(at("a"), at("folder")).unwrap_err().to_string().contains("is a folder")
        );
        assert_eq!((read(at("b")).unwrap(), count()), (b"1".to_vec(), 4));
    }

    #[test]
    #[cfg(unix)]
    fn links_and_devices_get_copies_of_the_content() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("a"), "1").unwrap();
        std::os::unix::fs::symlink("a", at("soft")).unwrap();
        link_or_copy(at("soft"), at("b")).unwrap();
        write_bytes(at("soft"), b"2").unwrap();
        assert_eq!(
            (read(at("a")).unwrap(), read(at("b")).unwrap()),
            (b"2".to_vec(), b"1".to_vec())
        );
        link_or_copy(at("b"), at("soft")).unwrap();
        assert!(at("soft").is_symlink());
        assert_eq!(read(at("a")).unwrap(), b"1");
        link_or_copy(at("a"), "/dev/null").unwrap();
        assert!(!Path::new("/dev/null").is_file());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3, "no temporary name may stay");
    }

    /// Linux has a file system in memory at `/dev/shm`.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_file_of_another_file_system_is_copied() {
        let (dir, memory) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm").unwrap());
        let (from, to) = (memory.path().join("a"), dir.path().join("a"));
        std::fs::write(&from, "3").unwrap();
        link_or_copy(&from, &to).unwrap();
        assert_eq!(read(&to).unwrap(), b"3");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary name may stay");
    }

    #[test]
    fn a_read_only_file_is_not_replaced_by_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("a"), "1").unwrap();
        std::fs::write(at("b"), "old").unwrap();
        let mut permissions = std::fs::metadata(at("b")).unwrap().permissions();
        permissions.set_readonly(true);
        std::fs::set_permissions(at("b"), permissions).unwrap();
        let error = link_or_copy(at("a"), at("b")).unwrap_err().to_string();
        assert!(error.contains("b: is read-only"), "{error}");
        assert_eq!(read(at("b")).unwrap(), b"old");
    }
}
