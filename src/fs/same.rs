//! Tells whether two paths lead to one file, and checks outputs before the work for them.

use std::path::{Path, PathBuf};

use super::temporary::temporary_beside;
use super::write::{check_replaceable, is_written_through, target};
use super::{is_stdout, parent, sweep};
use crate::error::{Error, Result};

/// The identity of a file, which does not depend on the spelling of the path.
#[cfg(unix)]
fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    // Devices and pipes may be both read and written, so they do not count.
    std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|m| (m.dev(), m.ino()))
}

#[cfg(not(unix))]
fn identity(path: &Path) -> Option<PathBuf> {
    std::fs::canonicalize(path).ok().filter(|p| p.is_file())
}

/// Whether two paths lead to one existing file.
pub(super) fn is_one_file(first: &Path, second: &Path) -> bool {
    let first = identity(first);
    first.is_some() && first == identity(second)
}

/// Refuses an output that cannot be written. Returns the folder of its temporary file, if it gets
/// one.
fn writable(output: &Path) -> Result<Option<PathBuf>> {
    let ends_in_slash = output.as_os_str().as_encoded_bytes().ends_with(b"/");
    if output.is_dir() || ends_in_slash {
        return Err(Error::file(output, "is a folder, not a file to write"));
    }
    let target = target(output).map_err(|e| Error::io(output, "write", e))?;
    // A device or pipe cannot be tried without writing to it.
    if target.exists() && is_written_through(&target) {
        return Ok(None);
    }
    check_replaceable(output, &target)?;
    let folder = parent(&target);
    if !folder.is_dir() {
        return Err(Error::file(output, format!("no folder {} to write into", folder.display())));
    }
    if let Err(e) = std::fs::symlink_metadata(&target)
        && e.kind() != std::io::ErrorKind::NotFound
    {
        return Err(Error::io(output, "write", e));
    }
    temporary_beside(&target).map_err(|e| Error::io(output, "create", e))?;
    Ok(Some(folder.to_owned()))
}

/// Checks outputs before any work. Also removes temporary files of dead processes beside them.
///
/// # Errors
/// An output that is an input, which would be lost; two outputs that are one file; an output that
/// is read-only or cannot be written.
pub fn check_outputs(outputs: &[&Path], inputs: &[&Path]) -> Result<()> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for (i, output) in outputs.iter().enumerate() {
        if let Some(twice) = outputs[..i].iter().find(|o| o == &output) {
            return Err(Error::file(twice, "is named as the output twice"));
        }
        if is_stdout(output) {
            continue;
        }
        let file = identity(output);
        if let Some(input) = inputs.iter().find(|p| file.is_some() && identity(p) == file) {
            let which = if input == output {
                "an input".into()
            } else {
                format!("the input {}", input.display())
            };
            return Err(Error::file(
                output,
                format!("is {which}, which would be lost; name another output"),
            ));
        }
        if let Some(other) = outputs[..i].iter().find(|o| file.is_some() && identity(o) == file) {
            return Err(Error::file(output, format!("is the output {} too", other.display())));
        }
        folders.extend(writable(output)?);
    }
    folders.sort_unstable();
    folders.dedup();
    for folder in folders {
        sweep(&folder);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_no_input_however_it_is_spelled() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("sub")).unwrap();
        std::fs::write(at("in"), "x").unwrap();
        std::fs::hard_link(at("in"), at("hard")).unwrap();
        let mut spellings = vec![at("in"), at("./in"), at("sub/../in"), at("hard")];
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(at("in"), at("soft")).unwrap();
            spellings.push(at("soft"));
        }
        for output in &spellings {
            let error =
                check_outputs(&[output], &[&at("other"), &at("in")]).unwrap_err().to_string();
            assert!(error.contains("would be lost"), "{error}");
        }
        check_outputs(&[&at("new"), &at("other")], &[&at("in")]).unwrap();
        assert!(check_outputs(&[&at("new"), &at("new")], &[]).is_err());
        assert!(check_outputs(&[&at("in"), &at("hard")], &[]).is_err());
        let fails = |output: &str, wanted: &str| {
            let error = check_outputs(&[&at(output)], &[]).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        };
        fails("sub", "is a folder");
        fails("none/new", "no folder");
        fails("new/", "is a folder");
        fails(&"n".repeat(300), "cannot");
    }

    #[test]
    fn what_the_dead_have_left_beside_an_output_goes() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("sub")).unwrap();
        let left = [".revox-file-aaaaaa", "sub/.revox-file-aaaaaa"].map(at);
        for path in &left {
            std::fs::write(path, "left").unwrap();
        }
        check_outputs(&[&at("none/a"), &at("sub/a")], &[]).unwrap_err();
        assert!(left.iter().all(|path| path.exists()));
        check_outputs(&[&at("sub/a"), &at("sub/b")], &[]).unwrap();
        assert_eq!(left.map(|path| path.exists()), [true, false]);
    }

    #[test]
    fn a_read_only_output_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kept");
        std::fs::write(&path, "kept").unwrap();
        let mut permissions = std::fs::metadata(&path).unwrap().permissions();
        permissions.set_readonly(true);
        std::fs::set_permissions(&path, permissions).unwrap();
        let error = check_outputs(&[&path], &[]).unwrap_err().to_string();
        assert!(error.ends_with("kept: is read-only; it is not replaced"), "{error}");
    }

    #[test]
    #[cfg(unix)]
    fn devices_may_be_both() {
        check_outputs(&[Path::new("/dev/null")], &[Path::new("/dev/null")]).unwrap();
    }
}
