//! What `revox prepare` says of its work.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::shown;
use crate::cli::values::counted;
use crate::corpus::prepare::{PrepareReport, Problems};
use crate::terminal::{errln, note, outln};

/// Prints what was written, or what would be, and warns of the problems.
pub(super) fn tell(report: &PrepareReport, out: &Path, dry_run: bool, as_json: bool) {
    match dry_run {
        true => report.problems.lines().iter().for_each(|line| errln!("{line}")),
        false => warn(&report.problems, out),
    }
    if as_json {
        outln!("{}", object(report, out, dry_run));
        return;
    }
    let verb = if dry_run { " would be" } else { "" };
    for list in &report.lists {
        let speakers = match list.speakers {
            0 => String::new(),
            count => format!(" of {}", counted(count, "speaker")),
        };
        outln!(
            "{}{speakers}, {}; lists{verb} in {}",
            counted(list.utterances, "utterance"),
            length(list.seconds),
            below(out, &list.name).display()
        );
    }
    for list in &report.trials {
        let left_out = match list.left_out {
            0 => String::new(),
            count => format!(", {count} left out"),
        };
        outln!(
            "{}{left_out};{verb} in {}",
            counted(list.trials, "trial"),
            out.join(&list.name).display()
        );
    }
}

/// The problems in few lines.
fn warn(problems: &Problems, out: &Path) {
    let summary = problems.summary();
    for problem in &summary {
        errln!("warning: {problem}");
    }
    if summary.len() < problems.all().len() {
        note!("{} has all problems", out.join("problems.txt").display());
    }
}

/// A folder of lists, without a `/` at its end.
fn below(out: &Path, name: &str) -> PathBuf {
    out.join(name).components().collect()
}

/// A length in minutes, or in hours if it is long.
fn length(seconds: f64) -> String {
    match seconds < 3.0 * 3600.0 {
        true => format!("{:.1} minutes", seconds / 60.0),
        false => format!("{:.1} hours", seconds / 3600.0),
    }
}

fn object(report: &PrepareReport, out: &Path, dry_run: bool) -> serde_json::Value {
    let lists: Vec<_> = report
        .lists
        .iter()
        .map(|list| {
            json!({
                "folder": shown(&below(out, &list.name)),
                "utterances": list.utterances,
                "speakers": list.speakers,
                "seconds": list.seconds,
            })
        })
        .collect();
    let trials: Vec<_> = report
        .trials
        .iter()
        .map(|list| {
            json!({
                "file": shown(&out.join(&list.name)),
                "trials": list.trials,
                "left_out": list.left_out,
            })
        })
        .collect();
    let problems: Vec<_> = report
        .problems
        .groups()
        .iter()
        .map(|group| {
            let mut told = json!(group);
            // Without a dry run, problems.txt has them.
            if dry_run {
                told["all"] = report.problems.of(group.kind).collect();
            }
            told
        })
        .collect();
    json!({
        "utterances": report.utterances,
        "speakers": report.speakers,
        "seconds": report.seconds,
        "lists": lists,
        "trials": trials,
        "problems": problems,
        "dry_run": dry_run,
    })
}
