//! Checks all files of a corpus, and finds those that hold the same audio.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::check::{Content, check};
use super::layout::{Candidate, Found, ListFolder};
use super::names::shown;
use super::{PrepareSettings, ProblemKind, Problems};
use crate::corpus::Done;
use crate::error::{Error, Result};

/// A usable file.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its id.
    pub id: Box<str>,
    /// Its path as the user names it.
    pub path: PathBuf,
    /// Its speaker, as an index into [`Survey::speakers`].
    pub speaker: Option<u32>,
    /// Its group.
    pub group: u32,
    /// Its length, seconds; 0 if it is not known.
    pub seconds: f64,
    /// Its samples per second, before resampling.
    pub rate: u32,
    /// The number of an earlier file of the speaker that holds the same audio. Such a copy is left
    /// out of lists to train on.
    pub copy_of: Option<usize>,
}

impl Entry {
    /// Whether the lists of a folder have it.
    pub fn is_in(&self, folder: &ListFolder) -> bool {
        folder.groups.contains(&self.group) && (folder.copies || self.copy_of.is_none())
    }
}

/// All usable files of a corpus.
pub(super) struct Survey {
    /// The files, by id.
    pub entries: Vec<Entry>,
    /// Speakers.
    pub speakers: Vec<String>,
    /// What is left out, and why.
    pub problems: Problems,
}

/// Checks all files, in the order of their ids. `wanted` says what a corpus should have, and errors
/// name the first of `roots`. `done` is called after each file.
///
/// # Errors
/// A corpus without a usable file.
pub(super) fn survey(
    found: Found,
    wanted: &str,
    roots: &[&Path],
    settings: &PrepareSettings,
    done: &Done,
) -> Result<Survey> {
    let Found { mut files, speakers, mut problems, .. } = found;
    files.sort_unstable_by(|a, b| (&a.id, &a.path).cmp(&(&b.id, &b.path)));
    one_file_each(&mut files, &mut problems);
    let (all, finished) = (files.len(), AtomicUsize::new(0));
    let checked: Vec<_> = files
        .par_iter()
        .map(|file| {
            let content = check(&file.path, settings);
            done(finished.fetch_add(1, Ordering::Relaxed) + 1, all);
            content
        })
        .collect();
    let (mut entries, mut hashes) = (Vec::with_capacity(all), Vec::new());
    for (file, content) in files.into_iter().zip(checked) {
        match content {
            Ok(content) => {
                hashes.extend(content.hash.map(|hash| (hash, entries.len())));
                let Candidate { id, path, speaker, group } = file;
                let Content { seconds, rate, .. } = content;
                entries.push(Entry { id, path, speaker, group, seconds, rate, copy_of: None });
            }
            Err(problem) => problems.push(problem),
        }
    }
    if entries.is_empty() {
        let first = match problems.all().first() {
            Some(first) => format!("; the first problem: {}", first.text),
            None => String::new(),
        };
        let message = format!("no usable audio: wanted {wanted}{first}");
        return Err(Error::file(roots.first().unwrap_or(&Path::new(".")), message));
    }
    mark_copies(&mut entries, hashes, &speakers, &mut problems);
    Ok(Survey { entries, speakers, problems })
}

/// Leaves out further files of an utterance, such as a converted one beside the original.
fn one_file_each(files: &mut Vec<Candidate>, problems: &mut Problems) {
    files.dedup_by(|later, first| {
        let again = later.id == first.id;
        if again {
            let (id, later, first) = (&first.id, shown(&later.path), shown(&first.path));
            let text = format!("{later}: utterance `{id}` has {first} already; left out");
            problems.add(ProblemKind::SecondFile, text);
        }
        again
    });
}

/// Marks files that hold the same audio as an earlier one of their speaker. Audio of several
/// speakers is reported, and stays: only a listener knows whose voice it is.
fn mark_copies(
    entries: &mut [Entry],
    mut hashes: Vec<([u8; 32], usize)>,
    speakers: &[String],
    problems: &mut Problems,
) {
    hashes.par_sort_unstable();
    let mut runs: Vec<&[([u8; 32], usize)]> =
        hashes.chunk_by(|a, b| a.0 == b.0).filter(|run| run.len() > 1).collect();
    // In the order of ids, whatever the hashes are.
    runs.sort_unstable_by_key(|run| run[0].1);
    for run in runs {
        let first = run[0].1;
        let mut of_speaker: HashMap<Option<u32>, usize> = HashMap::new();
        for &(_, i) in run {
            let speaker = entries[i].speaker;
            if let Some(&earlier) = of_speaker.get(&speaker) {
                entries[i].copy_of = Some(earlier);
                continue;
            }
            of_speaker.insert(speaker, i);
            if i != first {
                let whose = entries[first].speaker.map_or("", |n| speakers[n as usize].as_str());
                let (path, earlier) = (shown(&entries[i].path), shown(&entries[first].path));
                let text = format!(
                    "{path}: the same audio as {earlier} of another speaker, `{whose}`; both stay"
                );
                problems.add(ProblemKind::Disputed, text);
            }
        }
    }
}
