//! Makes the lists of a corpus as it is downloaded, and checks every file of it.
//!
//! All corpora go the same way. A layout says which files are utterances, of whom, and into which
//! lists they go. The files are checked, and all lists are written, or none. What is left out, and
//! why, stands in `problems.txt`.

mod check;
mod cnceleb;
mod equal;
mod folder;
mod kaldi;
mod layout;
mod librispeech;
mod lists;
mod musan;
mod names;
mod problems;
mod remarks;
mod report;
mod rirs;
mod survey;
mod trials;
mod voxceleb;
mod walk;
mod write;

pub use cnceleb::prepare_cnceleb;
pub use folder::prepare_folder;
pub use kaldi::prepare_kaldi;
pub use librispeech::prepare_librispeech;
pub use musan::prepare_musan;
pub use problems::{Problem, ProblemGroup, ProblemKind, Problems};
pub use report::{ListsReport, PrepareReport, PrepareSettings, TrialsReport};
pub use rirs::prepare_rirs;
pub use voxceleb::{VoxCeleb, prepare_voxceleb};
pub(super) use write::{Output, refuse_existing, write};

use std::path::Path;

use self::layout::{Found, Layout};
use super::Done;
use crate::error::{Error, Result};

/// Prepares a corpus that needs nothing but its layout.
fn prepare(
    roots: &[&Path],
    out: &Path,
    layout: &mut dyn Layout,
    settings: &PrepareSettings,
    done: &Done,
) -> Result<PrepareReport> {
    let found = gather(roots, out, layout, settings)?;
    let survey = survey::survey(found, layout.wanted(), roots, settings, done)?;
    lists::finish(survey, &layout.lists(), &[], out, settings)
}

/// Refuses roots that are not there.
fn check_roots(roots: &[&Path]) -> Result<()> {
    match roots.iter().find(|root| !root.is_dir()) {
        Some(root) => Err(Error::file(root, "no such folder")),
        None => Ok(()),
    }
}

/// Finds the files of a corpus, after a look at the output folder. A dry run writes nothing, so
/// lists may be there.
fn gather(
    roots: &[&Path],
    out: &Path,
    layout: &mut dyn Layout,
    settings: &PrepareSettings,
) -> Result<Found> {
    check_roots(roots)?;
    let refuse = |layout: &dyn Layout| match settings.dry_run {
        true => Ok(()),
        false => refuse_existing(out, layout.lists().iter().flat_map(layout::ListFolder::files)),
    };
    refuse(layout)?;
    let mut found = Found::default();
    for root in roots {
        walk::walk(root, layout, &mut found)?;
    }
    // Some lists are known only now.
    refuse(layout)?;
    Ok(found)
}

#[cfg(test)]
mod tests;
