//! Remarks on usable files: copies of others, and low rates.

use super::layout::ListFolder;
use super::names::shown;
use super::survey::Entry;
use super::{Problem, ProblemKind, Problems};

/// Reports copies, and files of a lower rate than `sample_rate` that the lists of `folders` have.
pub(super) fn remark(
    entries: &[Entry],
    folders: &[ListFolder],
    sample_rate: u32,
    problems: &mut Problems,
) {
    for entry in entries {
        if let Some(first) = entry.copy_of {
            let (path, first) = (shown(&entry.path), shown(&entries[first].path));
            let text = format!("{path}: the same audio as {first}; {}", fate(entry, folders));
            problems.add(ProblemKind::Copy, text);
        }
        if entry.rate < sample_rate && folders.iter().any(|folder| entry.is_in(folder)) {
            let (path, rate) = (shown(&entry.path), entry.rate);
            let text = format!(
                "{path}: recorded at {rate} Hz; kept, but there is nothing above {} Hz",
                rate / 2
            );
            let reason = Some(format!("{rate} Hz"));
            problems.push(Problem { kind: ProblemKind::Narrow, text, reason });
        }
    }
}

/// What becomes of a copy.
fn fate(copy: &Entry, folders: &[ListFolder]) -> String {
    let of_group = folders.iter().filter(|folder| folder.groups.contains(&copy.group));
    let (with, without): (Vec<&ListFolder>, Vec<&ListFolder>) =
        of_group.partition(|folder| copy.is_in(folder));
    let names = |folders: &[&ListFolder]| {
        folders.iter().map(|folder| folder.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    match (with.is_empty(), without.is_empty()) {
        (true, _) => "left out".to_owned(),
        (false, true) => "stays, since trials may name it".to_owned(),
        (false, false) => format!(
            "left out of {}; stays in {}, since trials may name it",
            names(&without),
            names(&with)
        ),
    }
}
