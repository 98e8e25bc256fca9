//! A folder that has Kaldi's lists already.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use super::layout::{Found, ListFolder};
use super::{
    PrepareReport, PrepareSettings, ProblemKind, Problems, lists, refuse_existing, survey,
};
use crate::audio::pipe;
use crate::corpus::lists::speaker_map;
use crate::corpus::{Done, locate};
use crate::error::{Error, Result};
use crate::fs;

/// Checks Kaldi's lists in `folder`, `wav.scp` and `utt2spk` (or `spk2utt` alone), and writes them
/// anew into `out`: sorted, with absolute paths, with a new `spk2utt`, and without what cannot be
/// used. Lines that are not understood, utterances in two lines, without a speaker or without a
/// file, and commands in place of files are left out and reported. `done` is called after each
/// file.
///
/// # Errors
/// A folder with `segments`, since utterances must be files of their own; a list that cannot be
/// read; lists without usable audio; lists in `out`; a file that cannot be written.
pub fn prepare_kaldi(
    folder: &Path,
    out: &Path,
    settings: &PrepareSettings,
    done: &Done,
) -> Result<PrepareReport> {
    let lists = ListFolder::only(true);
    if !folder.is_dir() {
        return Err(Error::file(folder, "no such folder; wanted one with wav.scp and utt2spk"));
    }
    if !settings.dry_run {
        refuse_existing(out, lists.iter().flat_map(ListFolder::files))?;
    }
    let segments = folder.join("segments");
    if segments.exists() {
        let message = "its utterances are parts of recordings; make each a file first, with \
                       Kaldi's utils/data/extract_wav_segments_data_dir.sh";
        return Err(Error::file(segments, message));
    }
    let found = read(folder)?;
    let wanted = "wav.scp with files, and utt2spk with their speakers";
    let survey = survey::survey(found, wanted, &[folder], settings, done)?;
    lists::finish(survey, &lists, &[], out, settings)
}

/// The utterances of the lists that have a speaker and a file.
fn read(folder: &Path) -> Result<Found> {
    let [scp, utt2spk, spk2utt] = ["wav.scp", "utt2spk", "spk2utt"].map(|name| folder.join(name));
    let mut found = Found::default();
    let by_speaker = !utt2spk.exists() && spk2utt.exists();
    let source = if by_speaker { &spk2utt } else { &utt2spk };
    let text = fs::read_to_string(source)?;
    // The speaker of each utterance, and the line that says so.
    let mut speakers: HashMap<&str, (&str, usize)> = HashMap::new();
    if by_speaker {
        speakers = speaker_map(source, &text)?;
    } else {
        for (id, line, speaker) in lines(source, &text, &mut found.problems) {
            if speaker.contains(|c: char| c.is_ascii_whitespace()) {
                let text = format!("{}:{line}: more than two fields; left out", source.display());
                found.problems.add(ProblemKind::List, text);
            } else {
                speakers.insert(id, (speaker, line));
            }
        }
        compare(&spk2utt, &speakers, &mut found.problems)?;
    }
    let text = fs::read_to_string(&scp)?;
    let entries = lines(&scp, &text, &mut found.problems);
    let listed: HashSet<&str> = entries.iter().map(|(id, ..)| *id).collect();
    let unlisted = speakers.iter().filter(|(id, _)| !listed.contains(*id));
    let mut unlisted: Vec<(usize, &str)> = unlisted.map(|(id, (_, line))| (*line, *id)).collect();
    unlisted.sort_unstable();
    for (line, id) in unlisted {
        let (at, scp) = (source.display(), scp.display());
        let text = format!("{at}:{line}: utterance `{id}` has no line in {scp}; left out");
        found.problems.add(ProblemKind::List, text);
    }
    for (id, line, file) in entries {
        let path = locate(&scp, file);
        let (kind, reason) = match speakers.get(id) {
            _ if pipe::is_command(file) && !pipe::is_allowed() => {
                let what = "is a command in place of a file (--allow-pipes)";
                (ProblemKind::List, what.to_owned())
            }
            None => (ProblemKind::List, format!("has no speaker in {}", source.display())),
            Some(_) if !pipe::is_command(file) && !path.is_file() => {
                (ProblemKind::Unreachable, format!("{} is no file", path.display()))
            }
            Some((speaker, _)) => {
                found.add(id.to_owned(), path, Some((*speaker).to_owned()), 0);
                continue;
            }
        };
        let text = format!("{}:{line}: utterance `{id}`: {reason}; left out", scp.display());
        found.problems.add(kind, text);
    }
    Ok(found)
}

/// The first word, the number and the rest of each line. Other lines, and further ones of the same
/// first word, are problems; so is another order than that of the first words.
fn lines<'t>(
    list: &Path,
    text: &'t str,
    problems: &mut Problems,
) -> Vec<(&'t str, usize, &'t str)> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut entries: Vec<(&str, usize, &str)> = Vec::new();
    let mut unsorted = None;
    for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let at = format!("{}:{}", list.display(), i + 1);
        let Some((word, rest)) = line.trim().split_once(|c: char| c.is_ascii_whitespace()) else {
            problems.add(ProblemKind::List, format!("{at}: one field; left out"));
            continue;
        };
        if let Some(first) = seen.get(word) {
            let text = format!("{at}: `{word}` again, as in line {first}; left out");
            problems.add(ProblemKind::List, text);
            continue;
        }
        seen.insert(word, i + 1);
        if entries.last().is_some_and(|(last, ..)| *last > word) {
            unsorted.get_or_insert(at);
        }
        entries.push((word, i + 1, rest.trim()));
    }
    if let Some(at) = unsorted {
        let text = format!("{at}: not sorted by the first word; the lists that are written are");
        problems.add(ProblemKind::List, text);
    }
    entries
}

/// Reports a `spk2utt` that differs from `utt2spk`. It need not be there.
fn compare(
    spk2utt: &Path,
    speakers: &HashMap<&str, (&str, usize)>,
    problems: &mut Problems,
) -> Result<()> {
    if !spk2utt.exists() {
        return Ok(());
    }
    let text = fs::read_to_string(spk2utt)?;
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        if let Some(speaker) = words.next() {
            found.entry(speaker).or_default().extend(words);
        }
    }
    let mut wanted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (id, (speaker, _)) in speakers {
        wanted.entry(speaker).or_default().insert(id);
    }
    let differs = |speaker: &&&str| found.get(**speaker) != wanted.get(**speaker);
    if let Some(speaker) = found.keys().chain(wanted.keys()).find(differs) {
        let text = format!(
            "{}: has other utterances of speaker `{speaker}` than utt2spk; made anew",
            spk2utt.display()
        );
        problems.add(ProblemKind::List, text);
    }
    Ok(())
}
