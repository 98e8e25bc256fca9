//! Writes several lists, all of them or none.

use std::path::Path;

use crate::error::{Error, Result};
use crate::fs::{self, Content, TemporaryFolder};

/// Writes files, given by name and text, into a folder, and makes the folder if there is none.
///
/// # Errors
/// A folder or file that cannot be written. None of the files remains then.
pub(super) fn write(out: &Path, lists: &[(&str, String)]) -> Result<()> {
    let is_new = !out.exists();
    fs::create_dir_all(out)?;
    fs::sweep(out);
    let result = fill(out, lists);
    if result.is_err() && is_new {
        // This removes only an empty folder.
        let _ = std::fs::remove_dir(out);
    }
    result
}

fn fill(out: &Path, lists: &[(&str, String)]) -> Result<()> {
    let temp = TemporaryFolder::inside(out, Content::Lists, out)?;
    for (name, text) in lists {
        fs::write_bytes(temp.path().join(name), text.as_bytes()).map_err(|e| match e {
            Error::Io { action, source, .. } => Error::io(out.join(name), action, source),
            other => other,
        })?;
    }
    for (i, (name, _)) in lists.iter().enumerate() {
        if let Err(e) = fs::rename(temp.path().join(name), out.join(name)) {
            for (name, _) in &lists[..i] {
                let _ = fs::remove_file(out.join(name));
            }
            return Err(e);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("lists");
        let lists = [("a", "1".to_owned()), ("b", "2".to_owned())];
        // A folder in the way of the second file.
        std::fs::create_dir_all(out.join("b/c")).unwrap();
        assert!(write(&out, &lists).unwrap_err().to_string().contains("b: cannot write"));
        let names: Vec<_> =
            std::fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["b"]);
        assert!(
            write(&out, &[("no/such", String::new())])
                .unwrap_err()
                .to_string()
                .contains("lists/no/such")
        );
        assert!(write(&dir.path().join("new"), &[("no/such", String::new())]).is_err());
        assert!(!dir.path().join("new").exists());
        write(&dir.path().join("x/y"), &lists).unwrap();
        assert_eq!(std::fs::read_to_string(dir.path().join("x/y/b")).unwrap(), "2");
        assert_eq!(std::fs::read_dir(dir.path().join("x/y")).unwrap().count(), 2);
    }
}
