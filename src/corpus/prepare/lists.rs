//! From checked files to lists on disk.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use super::layout::ListFolder;
use super::remarks::remark;
use super::survey::{Entry, Survey};
use super::trials::TrialSet;
use super::{
    ListsReport, Output, PrepareReport, PrepareSettings, ProblemKind, refuse_existing, write,
};
use crate::audio::pipe;
use crate::error::{Error, Result};

/// The file with all problems.
const PROBLEMS: &str = "problems.txt";

/// Writes the lists of all folders that have utterances, the trials, and the problems. Writes
/// nothing in a dry run.
///
/// # Errors
/// Lists that are there already; a corpus without a file for any list; a file that cannot be
/// written.
pub(super) fn finish(
    survey: Survey,
    folders: &[ListFolder],
    trials: &[TrialSet],
    out: &Path,
    settings: &PrepareSettings,
) -> Result<PrepareReport> {
    let Survey { entries, speakers, mut problems } = survey;
    remark(&entries, folders, settings.sample_rate, &mut problems);
    let mut report = PrepareReport::default();
    let mut outputs = Vec::new();
    for folder in folders {
        let mine: Vec<&Entry> = entries.iter().filter(|entry| entry.is_in(folder)).collect();
        if mine.is_empty() {
            continue;
        }
        let by_speaker = by_speaker(&mine, &speakers);
        report.lists.push(ListsReport {
            name: folder.name.clone(),
            utterances: mine.len(),
            speakers: by_speaker.len(),
            seconds: mine.iter().map(|entry| entry.seconds).sum(),
        });
        if folder.speakers {
            outputs.extend(with_speakers(folder, &mine, &speakers, by_speaker));
        }
        let scp = move |out: &mut dyn Write| {
            mine.iter().try_for_each(|entry| -> io::Result<()> {
                let is_command = entry.path.to_str().is_some_and(pipe::is_command);
                let path = match is_command {
                    true => entry.path.clone(),
                    false => std::path::absolute(&entry.path)?,
                };
                writeln!(out, "{} {}", entry.id, path.display())
            })
        };
        outputs.push(Output::new(folder.file("wav.scp"), scp));
    }
    let used: Vec<&Entry> =
        entries.iter().filter(|e| folders.iter().any(|folder| e.is_in(folder))).collect();
    let all = by_speaker(&used, &speakers);
    report.utterances = used.len();
    report.speakers = all.len();
    report.seconds = used.iter().map(|entry| entry.seconds).sum();
    for (speaker, utterances) in &all {
        if utterances.len() == 1 {
            let text = format!("speaker `{speaker}` has a single utterance");
            problems.add(ProblemKind::Speaker, text);
        }
    }
    if let (1, Some(speaker)) = (all.len(), all.keys().next()) {
        let text =
            format!("all recordings are of one speaker, `{speaker}`; each speaker needs a folder");
        problems.add(ProblemKind::Speaker, text);
    }
    if used.is_empty() {
        let first = problems.all().first().map_or("none", |problem| problem.text.as_str());
        return Err(Error::file(out, format!("no usable audio; the first problem: {first}")));
    }
    for set in trials {
        report.trials.push(set.report());
        let entries = &entries;
        outputs.push(Output::new(set.name.clone(), move |to| set.write(entries, to)));
    }
    if !settings.dry_run {
        refuse_existing(out, outputs.iter().map(|output| &output.name))?;
        outputs.insert(0, Output::text(PROBLEMS, problems.text()));
        write(out, &outputs)?;
    }
    report.problems = problems;
    Ok(report)
}

/// The utterances of each speaker. Those without a speaker are left out.
fn by_speaker<'a>(
    entries: &[&'a Entry],
    speakers: &'a [String],
) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut lists: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for entry in entries {
        if let Some(number) = entry.speaker {
            lists.entry(&speakers[number as usize]).or_default().push(&entry.id);
        }
    }
    lists
}

/// `spk2utt` and `utt2spk`.
fn with_speakers<'a>(
    folder: &ListFolder,
    entries: &[&'a Entry],
    speakers: &'a [String],
    by_speaker: BTreeMap<&'a str, Vec<&'a str>>,
) -> [Output<'a>; 2] {
    let spk2utt = move |out: &mut dyn Write| -> io::Result<()> {
        by_speaker
            .iter()
            .try_for_each(|(speaker, ids)| writeln!(out, "{speaker} {}", ids.join(" ")))
    };
    let entries = entries.to_vec();
    let utt2spk = move |out: &mut dyn Write| -> io::Result<()> {
        entries.iter().try_for_each(|entry| match entry.speaker {
            Some(number) => writeln!(out, "{} {}", entry.id, speakers[number as usize]),
            None => Ok(()),
        })
    };
    [Output::new(folder.file("spk2utt"), spk2utt), Output::new(folder.file("utt2spk"), utt2spk)]
}
