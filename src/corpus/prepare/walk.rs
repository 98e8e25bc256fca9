//! Finds the audio files of a folder, and leaves out what lists cannot hold.

use std::path::{Component, Path};

use walkdir::WalkDir;

use super::check::of_error;
use super::layout::{Found, Layout, Named};
use super::names::{ends_in_blanks, is_audio, is_hidden, shown, unlistable};
use super::{Problem, ProblemKind};
use crate::audio::{Source, is_unsupported};
use crate::bytes::counted;
use crate::error::{Error, Result};

/// Adds all audio files below `root` that lists can hold. The walk follows links.
///
/// # Errors
/// A root that does not exist or cannot be read or listed.
pub(super) fn walk(root: &Path, layout: &mut dyn Layout, found: &mut Found) -> Result<()> {
    if !root.is_dir() {
        return Err(Error::file(root, "no such folder"));
    }
    let absolute = std::path::absolute(root).map_err(|e| Error::io(root, "locate", e))?;
    if let Some(reason) = unlistable(&absolute) {
        return Err(Error::file(root, reason));
    }
    let above = names(&absolute);
    let mut hidden = [0, 0];
    let mut walk = WalkDir::new(root).sort_by_file_name().follow_links(true).into_iter();
    while let Some(entry) = walk.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) if e.depth() == 0 => {
                let reason =
                    e.into_io_error().unwrap_or_else(|| std::io::Error::other("a loop of links"));
                return Err(Error::io(root, "scan", reason));
            }
            Err(e) => {
                if let Some(problem) = unreachable(root, &e) {
                    found.problems.add(ProblemKind::Unreachable, problem);
                }
                continue;
            }
        };
        let (path, kind) = (entry.path(), entry.file_type());
        if entry.depth() > 0 && is_hidden(entry.file_name()) {
            hidden[0] += usize::from(!kind.is_dir() && is_audio(path));
            hidden[1] += usize::from(kind.is_dir());
            if kind.is_dir() {
                walk.skip_current_dir();
            }
            continue;
        }
        if kind.is_dir() {
            continue;
        }
        let below = path.strip_prefix(root).expect("walked from the root");
        match place(path, below, kind.is_file(), &above, layout) {
            Ok(Named::Utterance { id, speaker, group }) => {
                found.add(id, path.to_owned(), speaker, group);
            }
            Ok(Named::Misplaced(reason)) => {
                found.problems.push(left_out(path, ProblemKind::Misplaced, reason));
            }
            Ok(Named::Unwanted) => {}
            Err(problem) => found.problems.push(problem),
        }
    }
    if hidden != [0, 0] {
        let kinds = hidden.into_iter().zip(["hidden file", "hidden folder"]);
        let what: Vec<String> = kinds
            .filter(|(count, _)| *count > 0)
            .map(|(count, kind)| counted(count, kind))
            .collect();
        let (root, what) = (shown(root), what.join(" and "));
        let text = format!("{root}: {what} left out (names that begin with a dot, and __MACOSX)");
        found.problems.add(ProblemKind::Hidden, text);
    }
    Ok(())
}

/// The names of a path that lists can hold.
fn names(path: &Path) -> Vec<&str> {
    path.components()
        .filter_map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect()
}

/// What something that is no folder is, or the problem with it.
fn place(
    path: &Path,
    below: &Path,
    is_file: bool,
    above: &[&str],
    layout: &mut dyn Layout,
) -> Result<Named, Problem> {
    if ends_in_blanks(path) {
        let reason = "its name ends in a blank or `|`, which lists cannot hold";
        return Err(left_out(path, ProblemKind::Unlistable, reason));
    }
    if !is_audio(path) {
        // Any rate does: nothing is decoded.
        return match is_file.then(|| Source::open(path, 16_000, Some(0))) {
            Some(Ok(_)) => {
                let reason = "audio, but its name does not end like it";
                Err(left_out(path, ProblemKind::OddEnding, reason))
            }
            Some(Err(error)) if is_unsupported(path) => Err(of_error(path, &error)),
            _ => Ok(Named::Unwanted),
        };
    }
    if !is_file {
        return Err(left_out(path, ProblemKind::Unreachable, "no ordinary file"));
    }
    if let Some(reason) = unlistable(below) {
        return Err(left_out(path, ProblemKind::Unlistable, reason));
    }
    let parts = [above, &names(below)].concat();
    Ok(layout.name(&parts, above.len()))
}

/// The problem of a file that is left out.
fn left_out(path: &Path, kind: ProblemKind, reason: &str) -> Problem {
    Problem { kind, text: format!("{}: {reason}; left out", shown(path)), reason: None }
}

/// The problem with something that cannot be read, unless it is hidden.
fn unreachable(root: &Path, error: &walkdir::Error) -> Option<String> {
    let Some(path) = error.path() else {
        return Some(format!(
            "a folder below {}: {error}; what it holds beyond is left out",
            shown(root)
        ));
    };
    if path.file_name().is_some_and(is_hidden) {
        return None;
    }
    let reason = match (error.loop_ancestor(), error.io_error()) {
        (Some(ancestor), _) => format!("a link back to {}", shown(ancestor)),
        (None, Some(e)) if e.kind() == std::io::ErrorKind::NotFound && path.is_symlink() => {
            "a link to nothing".into()
        }
        (None, Some(e)) => e.to_string(),
        (None, None) => error.to_string(),
    };
    Some(format!("{}: {reason}; left out", shown(path)))
}
