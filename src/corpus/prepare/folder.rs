//! A folder of audio with a sub-folder for each speaker: `ROOT/<speaker>/**/<file>`.

use std::path::Path;

use super::equal::refuse_equal_names;
use super::layout::{Layout, ListFolder, Named};
use super::names::as_id;
use super::{PrepareReport, PrepareSettings, gather, lists, survey};
use crate::corpus::Done;
use crate::error::Result;

struct Folder;

impl Layout for Folder {
    fn wanted(&self) -> &'static str {
        "audio files in folders of speakers"
    }

    fn name(&mut self, parts: &[&str], root: usize) -> Named {
        match &parts[root..] {
            below @ [speaker, .., _] => Named::Utterance {
                id: as_id(&below.join("/")),
                speaker: Some(as_id(speaker)),
                group: 0,
            },
            _ => Named::Misplaced("not in a speaker's folder"),
        }
    }

    fn lists(&self) -> Vec<ListFolder> {
        ListFolder::only(true)
    }
}

/// Makes the lists of `root` in `out`: `wav.scp`, `utt2spk`, `spk2utt` and `problems.txt`. A
/// speaker is a folder in `root`. An id is the path below `root`, such as `ann/day_1/2.wav`: blanks
/// become `_`, because ids have none.
///
/// Unreadable, short and silent files, copies of other files of the speaker, links to nothing, and
/// names that lists cannot hold are left out and reported. Audio of two speakers is reported.
/// Names that begin with a dot are left out. `done` is called after each file.
///
/// # Errors
/// Folders that would be one speaker and files that would be one utterance; a root without usable
/// audio; lists in `out`; a file that cannot be written. Nothing is written then.
pub fn prepare_folder(
    root: &Path,
    out: &Path,
    settings: &PrepareSettings,
    done: &Done,
) -> Result<PrepareReport> {
    let found = gather(&[root], out, &mut Folder, settings)?;
    refuse_equal_names(root, &found)?;
    let survey = survey::survey(found, Folder.wanted(), &[root], settings, done)?;
    lists::finish(survey, &Folder.lists(), &[], out, settings)
}
