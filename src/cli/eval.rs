//! `revox eval`.

mod labels;
mod report;
mod speakers;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rayon::prelude::*;

use self::labels::Labels;
use self::report::Report;
use super::{Global, tell};
use crate::corpus::{Pair, Text, Words};
use crate::error::{Error, Result};
use crate::fs;
use crate::model_file::{read_header, update_header};
use crate::progress::Progress;
use crate::scoring::{
    Curve, DetPlot, Intervals, PRIORS, ScoreList, bootstrap_curve, det_csv, det_svg,
    speakers_from_targets,
};
use crate::terminal::errln;

/// Error rates of a score file.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  revox eval scores --save-threshold model.safetensors
  revox eval scores --trials dev/trials.txt --utt2spk dev/utt2spk --det det.svg")]
pub struct Args {
    /// Scores: `enroll test score [label]` a line.
    scores: PathBuf,
    /// Trials with labels, for score files without.
    #[arg(long)]
    trials: Option<PathBuf>,
    /// Speakers, for the intervals; otherwise utterances that target trials connect count as one
    /// speaker's.
    #[arg(long)]
    utt2spk: Option<PathBuf>,
    /// List of the utterances' files, where trials name files and utt2spk ids.
    #[arg(long, value_name = "LIST", requires = "utt2spk")]
    wav_scp: Option<PathBuf>,
    /// Write the DET curve here (.svg, or .csv for its points).
    #[arg(long)]
    det: Option<PathBuf>,
    /// Store the thresholds in this model, for `compare`. You vouch that the scores are this
    /// model's: neither scores nor embeddings know their model. They must be as `compare` makes
    /// them: cosines without AS-norm, and with `--mean` only if the model holds that mean.
    #[arg(long, value_name = "MODEL")]
    save_threshold: Option<PathBuf>,
    /// Resamplings behind the 95 % intervals; 0 for none.
    #[arg(long, default_value_t = 1000)]
    replicates: usize,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    check_outputs(args)?;
    let mut words = Words::default();
    let mut scores = read_list(&args.scores, &mut words, global)?;
    // The list of trials, which is read next, may add words.
    let utterances = words.len();
    let labels = match &args.trials {
        None => Labels::own(&scores, &mut words)?,
        Some(list) => Labels::listed(&mut scores, &mut words, list, global.quiet)?,
    };
    let undefined = |e: Error| Error::file(&args.scores, e.to_string());
    let threshold = Curve::of(&mut scores.trials).map_err(undefined)?.eer().threshold;
    if args.save_threshold.is_some() {
        check_scores(&scores, &mut words, threshold)?;
    }
    let speakers = match &args.utt2spk {
        Some(list) => {
            let speakers = {
                let named: Vec<(&str, usize)> = words.iter().take(utterances).collect();
                speakers::listed(&args.scores, &named, list, args.wav_scp.as_deref())?
            };
            speakers::check_labels(&scores, &mut words, list, &speakers)?;
            speakers
        }
        None => {
            let targets = scores.trials.iter().filter(|t| t.pair.is_target());
            speakers_from_targets(utterances, targets.map(|t| (t.pair.enroll(), t.pair.test())))
        }
    };
    drop(words);
    if let Some(warning) = &labels.warning {
        errln!("warning: {warning}");
    }
    scores.trials.par_iter_mut().for_each(|t| {
        let [a, b] = [t.pair.enroll(), t.pair.test()].map(|word| speakers[word as usize]);
        t.pair = Pair::new(a, b, t.pair.label());
    });
    let curve = Curve::of(&mut scores.trials).map_err(undefined)?;
    let intervals = intervals(&curve, args.replicates, global)?;
    if let Some(path) = &args.det {
        let title = args.scores.file_stem().unwrap_or_default().to_string_lossy();
        match det_is_csv(path)? {
            true => fs::write_atomic(path, |out| det_csv(&curve, out))?,
            false => {
                let plot =
                    DetPlot { title: &title, intervals: intervals.as_ref(), priors: &PRIORS };
                fs::write_bytes(path, det_svg(&curve, &plot)?.as_bytes())?;
            }
        }
    }
    if let Some(model) = &args.save_threshold {
        update_header(model, model, |header| header.scoring.set_thresholds(&curve))?;
    }
    let report = Report { curve: &curve, intervals: intervals.as_ref(), unscored: labels.unscored };
    let mut text = if global.json { report.json().to_string() } else { report.text() };
    if let (Some(model), false) = (&args.save_threshold, global.json) {
        text += &format!(
            "\nthresholds stored in {}; a score file does not say its model, so nothing checked \
             that these scores are this model's",
            model.display()
        );
    }
    tell(args.det.as_deref().unwrap_or(Path::new("")), &text);
    Ok(())
}

fn read_list(path: &Path, words: &mut Words, global: &Global) -> Result<ScoreList> {
    let text = Text::open(path)?;
    let mut progress = Progress::new("reading scores", text.size(), global.quiet);
    ScoreList::read(text, words, &mut |bytes| progress.add(bytes))
}

/// Refuses, before any work, outputs that cannot be written.
fn check_outputs(args: &Args) -> Result<()> {
    let outputs: Vec<&Path> =
        [&args.det, &args.save_threshold].into_iter().flatten().map(PathBuf::as_path).collect();
    let inputs =
        [&args.trials, &args.utt2spk, &args.wav_scp].into_iter().flatten().chain([&args.scores]);
    fs::check_outputs(&outputs, &inputs.map(PathBuf::as_path).collect::<Vec<_>>())?;
    if let Some(path) = &args.det {
        det_is_csv(path)?;
    }
    if let Some(model) = &args.save_threshold {
        if model.exists() && !model.is_file() {
            return Err(Error::file(model, "is no model file to store thresholds in"));
        }
        read_header(model)?;
    }
    Ok(())
}

/// Whether the points of the DET curve are wanted rather than its drawing.
fn det_is_csv(path: &Path) -> Result<bool> {
    let ends_in = |ending: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(ending));
    match ends_in("csv") {
        false if !ends_in("svg") && !fs::is_stdout(path) => {
            Err(Error::invalid(format!("--det {}: write .svg or .csv", path.display())))
        }
        is_csv => Ok(is_csv),
    }
}

/// 95 % intervals. Too few speakers for them are a warning.
fn intervals(curve: &Curve, replicates: usize, global: &Global) -> Result<Option<Intervals>> {
    if replicates == 0 {
        return Ok(None);
    }
    let progress = Mutex::new(Progress::new("resampling speakers", replicates, global.quiet));
    let done = || progress.lock().expect("no holder panics").add(1);
    match bootstrap_curve(curve, &PRIORS, replicates, global.seed.unwrap_or(0), &done) {
        Ok(intervals) => Ok(Some(intervals)),
        Err(Error::Undefined(message)) => {
            errln!("warning: {message}");
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

/// Refuses scores whose thresholds would mean nothing to `compare`. One of them is that of the
/// equal error rate.
fn check_scores(scores: &ScoreList, words: &mut Words, threshold: f64) -> Result<()> {
    let path = scores.text().path();
    if !threshold.is_finite() {
        return Err(Error::file(path, "no threshold to store: every score is -inf"));
    }
    // Cosines have nine decimals. Scores are infinite where there was nothing to compare.
    let is_none = |score: f64| score.is_finite() && score.abs() > 1.0 + 1e-9;
    if scores.trials.par_iter().all(|t| !is_none(t.score)) {
        return Ok(());
    }
    let first = scores.find(words, &mut |_, t| is_none(t.score))?;
    let (line, t) = first.ok_or_else(|| scores.text().changed())?;
    let message = format!(
        "score {} is no cosine: `compare`, which has cosines, cannot use its thresholds",
        t.score
    );
    Err(Error::line(path, line, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_det_curve_has_two_formats() {
        assert!(
            det_is_csv(Path::new("a.CSV")).unwrap() && !det_is_csv(Path::new("a.svg")).unwrap()
        );
        assert!(!det_is_csv(Path::new("-")).unwrap());
        for name in ["x.png", "x", ".svg", "csv"] {
            let error = det_is_csv(Path::new(name)).unwrap_err().to_string();
            assert!(error.contains(&format!("--det {name}: write .svg or .csv")), "{error}");
        }
    }
}
