//! LibriSpeech and corpora of its form: `PART/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NUMBER.flac`.

use std::path::Path;

use super::layout::{Layout, ListFolder, Named};
use super::names::{as_id, stem};
use super::{PrepareReport, PrepareSettings, prepare};
use crate::corpus::Done;
use crate::error::Result;

const MISPLACED: Named = Named::Misplaced("not in a folder PART/SPEAKER/CHAPTER");

#[derive(Default)]
struct LibriSpeech {
    /// The parts, by the numbers of their groups.
    parts: Vec<String>,
}

impl Layout for LibriSpeech {
    fn wanted(&self) -> &'static str {
        "files PART/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NUMBER.flac (or .wav)"
    }

    fn name(&mut self, parts: &[&str], _root: usize) -> Named {
        let [.., part, speaker, chapter, file] = parts else { return MISPLACED };
        let is_number = |name: &str| name.bytes().all(|b| b.is_ascii_digit());
        if !is_number(speaker) || !is_number(chapter) {
            return MISPLACED;
        }
        // Names of LibriTTS have `_` in place of `-`, and a further number.
        if stem(file).split(['-', '_']).next() != Some(*speaker) {
            return Named::Misplaced("named after another speaker than its folder");
        }
        let part = as_id(part);
        let group = self.parts.iter().position(|known| *known == part).unwrap_or_else(|| {
            self.parts.push(part);
            self.parts.len() - 1
        });
        Named::Utterance {
            id: as_id(stem(file)),
            speaker: Some((*speaker).to_owned()),
            group: group as u32,
        }
    }

    fn lists(&self) -> Vec<ListFolder> {
        let list = |(group, name): (u32, &String)| ListFolder {
            name: name.clone(),
            groups: vec![group],
            speakers: true,
            copies: false,
        };
        (0..).zip(&self.parts).map(list).collect()
    }
}

/// Makes the lists of LibriSpeech in `out`: a folder for each part, such as `train-clean-100`, with
/// `wav.scp`, `utt2spk` and `spk2utt`. Each of `roots` is the whole corpus or one part. Ids are
/// those of LibriSpeech, `19-198-0000`, and speakers their first numbers. What cannot be used is
/// left out and reported. `done` is called after each file.
///
/// # Errors
/// A root that cannot be read; roots without usable audio; lists in `out`; a file that cannot be
/// written.
pub fn prepare_librispeech(
    roots: &[&Path],
    out: &Path,
    settings: &PrepareSettings,
    done: &Done,
) -> Result<PrepareReport> {
    prepare(roots, out, &mut LibriSpeech::default(), settings, done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_by_folders() {
        let mut layout = LibriSpeech::default();
        for (path, wanted) in [
            ("d/train-clean-100/19/198/19-198-0000.flac", Some((0, "19-198-0000"))),
            ("d/dev-clean/84/121123/84-121123-0000.flac", Some((1, "84-121123-0000"))),
            ("d/train-clean-100/26/495/26-495-0001.flac", Some((0, "26-495-0001"))),
            ("d/train-clean-100/26/495/27-495-0001.flac", None),
            ("d/train-clean-100/x/495/x-495-0001.flac", None),
            ("19/198/19-198-0000.flac", None),
        ] {
            let parts: Vec<&str> = path.split('/').collect();
            let named = match layout.name(&parts, 1) {
                Named::Utterance { id, group, .. } => Some((group, id)),
                _ => None,
            };
            assert_eq!(named.as_ref().map(|(group, id)| (*group, id.as_str())), wanted, "{path}");
        }
        let names: Vec<String> = layout.lists().into_iter().map(|list| list.name).collect();
        assert_eq!(names, ["train-clean-100", "dev-clean"]);
    }
}
