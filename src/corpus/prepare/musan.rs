//! MUSAN: music, speech and noise to mix into recordings.

use std::path::Path;

use super::layout::{Layout, ListFolder, Named};
use super::names::as_id;
use super::{PrepareReport, PrepareSettings, prepare};
use crate::corpus::Done;
use crate::error::Result;

/// Folders of MUSAN, which ids begin with.
const CATEGORIES: [&str; 3] = ["music", "speech", "noise"];

struct Musan;

impl Layout for Musan {
    fn wanted(&self) -> &'static str {
        "audio files in folders music, speech and noise"
    }

    fn name(&mut self, parts: &[&str], root: usize) -> Named {
        let folders = &parts[..parts.len().saturating_sub(1)];
        let is_category = |name: &&str| CATEGORIES.contains(name);
        // The user may name a single category.
        let first = folders[root..].iter().position(is_category).map(|i| root + i);
        match first.or_else(|| folders[..root].iter().rposition(is_category)) {
            Some(at) => {
                Named::Utterance { id: as_id(&parts[at..].join("/")), speaker: None, group: 0 }
            }
            None => Named::Misplaced("in none of the folders music, speech and noise"),
        }
    }

    fn lists(&self) -> Vec<ListFolder> {
        ListFolder::only(false)
    }
}

/// Makes `wav.scp` of MUSAN in `out`. Ids begin with the category:
/// `noise/free-sound/noise-free-sound-0000.wav`. What cannot be used is left out and reported.
/// `done` is called after each file.
///
/// # Errors
/// A root without usable audio; a list in `out`; a file that cannot be written.
pub fn prepare_musan(
    root: &Path,
    out: &Path,
    settings: &PrepareSettings,
    done: &Done,
) -> Result<PrepareReport> {
    prepare(&[root], out, &mut Musan, settings, done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_the_category() {
        for (path, root, wanted) in [
            ("d/musan/noise/free-sound/a b.wav", 2, Some("noise/free-sound/a_b.wav")),
            ("d/noise/musan/speech/x.wav", 2, Some("speech/x.wav")),
            ("d/musan/music/fma/x.wav", 3, Some("music/fma/x.wav")),
            ("d/musan/music/fma/x.wav", 4, Some("music/fma/x.wav")),
            ("d/musan/other/x.wav", 2, None),
            ("music", 0, None),
        ] {
            let parts: Vec<&str> = path.split('/').collect();
            let id = match Musan.name(&parts, root) {
                Named::Utterance { id, .. } => Some(id),
                _ => None,
            };
            assert_eq!(id.as_deref(), wanted, "{path}");
        }
    }
}
