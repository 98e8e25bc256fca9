//! What came out of a training, as the user sees it.

use std::path::Path;

use serde_json::json;

use crate::cli::values::counted;
use crate::cli::{Global, shown};
use crate::terminal::outln;
use crate::train::Report;

/// Prints what came out of a training: for people, or as one JSON object.
pub(super) fn show(report: &Report, global: &Global) {
    if global.json {
        let mut all = as_json(report);
        if let Some(first) = &report.first {
            all["first_phase"] = as_json(first);
        }
        outln!("{all}");
        return;
    }
    if let Some(first) = &report.first {
        outln!("first phase");
        show_rates(first);
        outln!("model     {}", first.model.display());
        outln!("second phase");
    }
    show_rates(report);
    outln!("model     {}", report.model.display());
    outln!("DET curve {}", report.det.display());
    if let Some((a, b)) = &report.example {
        outln!(
            "try       revox compare {} {} {}",
            shell_word(&report.model),
            shell_word(a),
            shell_word(b)
        );
    }
}

/// The members of a phase.
fn as_json(report: &Report) -> serde_json::Value {
    let head = report
        .head
        .as_ref()
        .map(|h| json!({"kept": h.kept, "added": h.added, "dropped": h.dropped}));
    json!({
        "model": shown(&report.model),
        "det": shown(&report.det),
        "eer": report.eer,
        "eer_ci95": report.eer_ci95.map(|c| [c.low, c.high]),
        "min_dcf": {"0.01": report.min_dcf[0], "0.05": report.min_dcf[1]},
        "trials_left_out": report.trials_left_out,
        "skipped": report.left_out.len(),
        "left_out": report.left_out,
        "best_epoch": report.best_epoch,
        "averaged": report.averaged,
        "epochs": report.epochs,
        "ended": report.ended,
        "head": head,
        "seconds": report.seconds,
    })
}

/// Error rates, and how they came about.
fn show_rates(report: &Report) {
    let interval = report.eer_ci95.map_or(String::new(), |c| {
        format!(" (95 % interval {:.2} to {:.2} %)", 100.0 * c.low, 100.0 * c.high)
    });
    outln!(
        "dev EER {:.2} %{interval}, minDCF(0.01) {:.3}, minDCF(0.05) {:.3}",
        100.0 * report.eer,
        report.min_dcf[0],
        report.min_dcf[1]
    );
    if report.trials_left_out > 0 {
        let trials = counted(report.trials_left_out, "dev trial");
        outln!("without {trials}, whose audio cannot be used");
    }
    let epochs = counted(report.epochs, "epoch");
    let which = match report.averaged {
        1 => format!("the model is that of epoch {}", report.best_epoch),
        n => format!("the model is the mean of the last {n}"),
    };
    match &report.ended {
        Some(why) => outln!("the run had ended after {epochs}: {why}; {which}"),
        None => outln!("{epochs} in {:.0} s; {which}", report.seconds),
    }
}

/// A path as a word of a POSIX shell, quoted where it has to be.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:=@%".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_pasted_into_a_shell_as_they_are() {
        let word = |path: &str| shell_word(Path::new(path));
        assert_eq!(word("runs/r-1/model.safetensors"), "runs/r-1/model.safetensors");
        assert_eq!(word("Müller/a.wav"), "Müller/a.wav");
        assert_eq!(word("my runs/a.wav"), "'my runs/a.wav'");
        assert_eq!(word("it's/$HOME"), r"'it'\''s/$HOME'");
        assert_eq!(word(""), "''");
    }
}
