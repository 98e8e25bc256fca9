//! Refuses names that would become one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::layout::Found;
use super::names::shown;
use crate::error::{Error, Result};

/// Most pairs of names that an error shows.
const SHOWN: usize = 3;

/// Refuses folders that would be one speaker, and files that would be one utterance, because blanks
/// in their names become `_`. The folders of speakers lie in `root`.
///
/// # Errors
/// The first pairs of them.
pub(super) fn refuse_equal_names(root: &Path, found: &Found) -> Result<()> {
    let (mut speakers, mut ids) = (BTreeMap::new(), BTreeMap::new());
    for file in &found.files {
        let first = file.path.strip_prefix(root).ok().and_then(|below| below.iter().next());
        if let (Some(number), Some(name)) = (file.speaker, first) {
            let speaker = found.speakers[number as usize].as_str();
            let folders: &mut Vec<PathBuf> = speakers.entry(speaker).or_default();
            let folder = root.join(name);
            if folders.last() != Some(&folder) && !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        let paths: &mut Vec<PathBuf> = ids.entry(&*file.id).or_default();
        paths.push(file.path.clone());
    }
    let pairs = [equal("speaker", &speakers), equal("utterance", &ids)].concat();
    if pairs.is_empty() {
        return Ok(());
    }
    let more = match pairs.len().checked_sub(SHOWN) {
        Some(more @ 1..) => format!("; and {more} more"),
        _ => String::new(),
    };
    let pairs = pairs[..pairs.len().min(SHOWN)].join("; ");
    Err(Error::file(root, format!("{pairs}{more}; rename one of two")))
}

/// The names that several paths would have.
fn equal(what: &str, all: &BTreeMap<&str, Vec<PathBuf>>) -> Vec<String> {
    all.iter()
        .filter(|(_, paths)| paths.len() > 1)
        .map(|(name, p)| {
            format!("`{}` and `{}` would be one {what}, `{name}`", shown(&p[0]), shown(&p[1]))
        })
        .collect()
}
