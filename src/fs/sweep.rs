//! Removes temporary files and folders of killed processes.

use std::fs::{DirEntry, File};
use std::io;
use std::path::{Path, PathBuf};

use super::fault::{self, Op};
use super::lock::{Attempt, Claim, LOCK_NAME, attempt, claim};
use super::parent;
use super::temporary::{PREFIX, SWEPT, parts};

/// Removes the temporary files and folders of dead processes from a folder. Returns their paths.
///
/// A living process holds a lock on each of its temporaries. If the file system has no locks,
/// nothing is removed. Failures are ignored, since the caller wants something else.
pub fn sweep(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let is_ours =
        |entry: &DirEntry| entry.file_name().to_str().is_some_and(|name| parts(name).is_some());
    // The list must be complete before the folder changes.
    let found: Vec<DirEntry> = entries.flatten().filter(is_ours).collect();
    found.iter().filter(|entry| remove(entry).unwrap_or(false)).map(DirEntry::path).collect()
}

/// Removes a temporary. Returns false if a living process has it or may have it.
fn remove(entry: &DirEntry) -> io::Result<bool> {
    let (name, path, kind) = (entry.file_name(), entry.path(), entry.file_type()?);
    match name.to_str().and_then(parts) {
        Some((PREFIX, _)) if kind.is_file() => remove_file(&path),
        Some((SWEPT, _)) if kind.is_dir() => remove_folder(&path, SWEPT),
        Some((prefix, random)) if prefix != PREFIX && kind.is_dir() => {
            remove_unlocked(&path, prefix, random)
        }
        _ => Ok(false),
    }
}

fn remove_file(path: &Path) -> io::Result<bool> {
    let file = File::options().write(true).open(path)?;
    // A living process cannot take over the file meanwhile, since it would find the lock.
    let is_dead = matches!(claim(&file, path), Claim::Ours);
    if is_dead {
        fault::point(Op::Remove, &meant(PREFIX))?;
        std::fs::remove_file(path)?;
    }
    Ok(is_dead)
}

fn remove_unlocked(path: &Path, prefix: &str, random: &str) -> io::Result<bool> {
    // A process that renames the folder holds a lock on the folder itself: it has already removed
    // the lock file.
    let folder = File::open(path).ok();
    if folder
        .as_ref()
        .is_some_and(|folder| matches!(claim(folder, path), Claim::Theirs | Claim::Gone))
    {
        return Ok(false);
    }
    let Attempt::Open { file: held, unlocked: None, .. } = attempt(&path.join(LOCK_NAME))? else {
        return Ok(false);
    };
    // On systems other than Unix, an open file keeps its folder from being renamed.
    let held = cfg!(unix).then_some(held);
    // The folder gets another name first. A process that has made it but not locked it yet must not
    // find it half removed.
    let swept = parent(path).join(format!("{SWEPT}{random}"));
    fault::point(Op::Rename, &meant(SWEPT))?;
    std::fs::rename(path, &swept)?;
    let removed = remove_folder(&swept, prefix);
    drop((folder, held));
    removed
}

fn remove_folder(path: &Path, prefix: &str) -> io::Result<bool> {
    fault::point(Op::Remove, &meant(prefix))?;
    std::fs::remove_dir_all(path)?;
    Ok(true)
}

/// The name, at points of faults, of a temporary whose own name ends at random.
fn meant(prefix: &str) -> PathBuf {
    PathBuf::from(format!("{prefix}XXXXXX"))
}

#[cfg(test)]
mod tests {
    use super::super::lock::Lock;
    use super::super::temporary::{Content, TemporaryFolder, hold, temporary_beside};
    use super::*;

    fn swept(folder: &Path) -> Vec<String> {
        let name = |path: PathBuf| path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
        let mut names: Vec<String> = sweep(folder).into_iter().map(name).collect();
        names.sort();
        names
    }

    fn list(folder: &Path) -> Vec<String> {
        let name =
            |entry: io::Result<DirEntry>| entry.unwrap().file_name().to_str().unwrap().to_owned();
        let mut names: Vec<String> = std::fs::read_dir(folder).unwrap().map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn files_of_the_dead_go_and_all_others_stay() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let others = [
            ".revox-file-aB3dE",
            ".revox-file-aB3dE67",
            ".revox-file-aB3d_6",
            ".revox-lock",
            "aB3dE6",
            "revox-aB3dE6",
        ];
        for name in others.iter().chain(&[".revox-file-aB3dE6", ".revox-file-living"]) {
            std::fs::write(at(name), "x").unwrap();
        }
        std::fs::create_dir_all(at(".revox-file-folder/a")).unwrap();
        let held = File::options().write(true).open(at(".revox-file-living")).unwrap();
        held.try_lock().unwrap();
        let temporary = temporary_beside(&at("a")).unwrap();
        assert_eq!(swept(dir.path()), [".revox-file-aB3dE6"]);
        assert!(temporary.path().exists());
        drop(temporary);
        let mut kept: Vec<&str> =
            others.into_iter().chain([".revox-file-folder", ".revox-file-living"]).collect();
        kept.sort_unstable();
        assert_eq!(list(dir.path()), kept);
        held.unlock().unwrap();
        assert_eq!(swept(dir.path()), [".revox-file-living"]);
        assert!(sweep(&at("none")).is_empty());
    }

    #[test]
    #[cfg(unix)]
    fn what_a_link_leads_to_stays() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("folder")).unwrap();
        std::fs::write(at("folder/file"), "x").unwrap();
        std::os::unix::fs::symlink("folder/file", at(".revox-file-aaaaaa")).unwrap();
        std::os::unix::fs::symlink("folder", at(".revox-synth-aaaaaa")).unwrap();
        assert!(sweep(dir.path()).is_empty());
        assert!(at("folder/file").exists());
        assert_eq!(list(&at("folder")), ["file"]);
    }

    /// Linux can lock folders.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_folder_that_gets_its_name_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".revox-synth-aaaaaa");
        std::fs::create_dir(&path).unwrap();
        let held = hold(&path).unwrap();
        assert!(sweep(dir.path()).is_empty());
        assert_eq!(list(&path), [""; 0], "a lock file in a finished folder");
        held.unlock().unwrap();
        assert_eq!(swept(dir.path()), [".revox-synth-aaaaaa"]);
    }

    #[test]
    fn folders_of_the_dead_go() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let dead = [
            ".revox-lists-aaaaaa",
            ".revox-swept-bbbbbb",
            ".revox-synth-cccccc",
            ".revox-synth-dddddd",
        ];
        for name in dead.into_iter().chain([".revox-synth-living", ".revox-other-eeeeee"]) {
            std::fs::create_dir_all(at(name).join("train/wav")).unwrap();
            std::fs::write(at(name).join("train/wav/a.wav"), "x").unwrap();
        }
        std::fs::write(at(".revox-synth-cccccc").join(LOCK_NAME), "of a killed process").unwrap();
        std::fs::write(at(".revox-synth-ffffff"), "a file").unwrap();
        let taken = Lock::take(&at(".revox-synth-living")).unwrap();
        let made = TemporaryFolder::inside(dir.path(), Content::Corpus, &at("out")).unwrap();
        assert_eq!(swept(dir.path()), dead);
        assert!(sweep(dir.path()).is_empty());
        assert!(
            made.path().join(LOCK_NAME).exists()
                && at(".revox-synth-living/train/wav/a.wav").exists()
        );
        drop(made);
        assert_eq!(
            list(dir.path()),
            [".revox-other-eeeeee", ".revox-synth-ffffff", ".revox-synth-living"]
        );
        drop(taken);
        assert_eq!(swept(dir.path()), [".revox-synth-living"]);
    }
}
