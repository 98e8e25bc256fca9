//! `revox eval`.

mod labels;
mod report;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use self::labels::Labels;
use self::report::{PRIORS, Report};
use super::{Global, tell};
use crate::corpus::{Names, read_utt2spk, read_wav_scp};
use crate::error::{Error, Result};
use crate::fs;
use crate::model_file::{read_header, update_header};
use crate::progress::Progress;
use crate::scoring::{
    Curve, DetPlot, Intervals, ScoredTrial, bootstrap, det_csv, det_svg, label_name, read_scores, speakers_from_targets,
};
use crate::terminal::errln;

/// Error rates of a score file.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  revox eval scores --save-threshold model.safetensors\n  revox eval scores --trials dev/trials.txt --utt2spk dev/utt2spk --det det.svg"
)]
pub struct Args {
    /// Scores: `enroll test score [label]` a line.
    scores: PathBuf,
    /// Trials with labels, for score files without.
    #[arg(long)]
    trials: Option<PathBuf>,
    /// Speakers, for the intervals; otherwise utterances that target trials connect count as one speaker's.
    #[arg(long)]
    utt2spk: Option<PathBuf>,
    /// List of the utterances' files, where trials name files and utt2spk ids.
    #[arg(long, value_name = "LIST", requires = "utt2spk")]
    wav_scp: Option<PathBuf>,
    /// Write the DET curve here (.svg, or .csv for its points).
    #[arg(long)]
    det: Option<PathBuf>,
    /// Store the thresholds in this model, for `compare`. The scores must be as `compare` makes
    /// them: cosines without AS-norm, and with `--mean` only if the model holds that mean.
    #[arg(long, value_name = "MODEL")]
    save_threshold: Option<PathBuf>,
    /// Resamplings behind the 95 % intervals; 0 for none.
    #[arg(long, default_value_t = 1000)]
    replicates: usize,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    check_outputs(args)?;
    let scored = read_scores(&args.scores)?;
    let labels = match &args.trials {
        None => Labels::own(&args.scores, &scored)?,
        Some(list) => Labels::listed(&args.scores, &scored, list)?,
    };
    let trials = || scored.iter().zip(labels.of.iter().copied());
    let curve = Curve::new(trials().map(|(t, label)| (t.score, label)))
        .map_err(|e| Error::file(&args.scores, e.to_string()))?;
    if args.save_threshold.is_some() {
        check_scores(args, &scored, &curve)?;
    }
    let speakers = match &args.utt2spk {
        Some(list) => {
            let speakers = listed_speakers(&args.scores, &scored, list, args.wav_scp.as_deref())?;
            check_labels(args, list, trials(), &speakers)?;
            speakers
        }
        None => {
            let number = speakers_from_targets(trials().map(|(t, label)| (t.enroll.as_str(), t.test.as_str(), label)));
            scored.iter().map(|t| (number[t.enroll.as_str()], number[t.test.as_str()])).collect()
        }
    };
    if let Some(warning) = &labels.warning {
        errln!("warning: {warning}");
    }
    let sides: Vec<_> = trials().zip(speakers).map(|((t, label), (a, b))| (t.score, label, a, b)).collect();
    let intervals = intervals(&sides, args.replicates, global)?;
    if let Some(path) = &args.det {
        let title = args.scores.file_stem().unwrap_or_default().to_string_lossy();
        let text = match det_is_csv(path)? {
            true => det_csv(&curve),
            false => det_svg(&curve, &DetPlot { title: &title, intervals: intervals.as_ref(), priors: &PRIORS })?,
        };
        fs::write_bytes(path, text.as_bytes())?;
    }
    if let Some(model) = &args.save_threshold {
        update_header(model, model, |header| header.scoring.set_thresholds(&curve))?;
    }
    let report = Report { curve: &curve, intervals: intervals.as_ref(), unscored: labels.unscored };
    let mut text = if global.json { report.json().to_string() } else { report.text() };
    if let (Some(model), false) = (&args.save_threshold, global.json) {
        text += &format!("\nthresholds stored in {}", model.display());
    }
    tell(args.det.as_deref().unwrap_or(Path::new("")), &text);
    Ok(())
}

/// Refuses, before any work, what could not be written.
fn check_outputs(args: &Args) -> Result<()> {
    let outputs: Vec<&Path> = [&args.det, &args.save_threshold].into_iter().flatten().map(PathBuf::as_path).collect();
    let inputs = [&args.trials, &args.utt2spk, &args.wav_scp].into_iter().flatten().chain([&args.scores]);
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

/// The speakers of both sides of each trial, in numbers from 0.
fn listed_speakers(
    scores: &Path,
    scored: &[ScoredTrial],
    list: &Path,
    wav_scp: Option<&Path>,
) -> Result<Vec<(u32, u32)>> {
    let map = read_utt2spk(list)?;
    let files = wav_scp.map_or(Ok(Vec::new()), read_wav_scp)?;
    let mut entries: Vec<(&str, &str)> = map.iter().map(|(id, (speaker, _))| (id.as_str(), speaker.as_str())).collect();
    entries.sort_unstable();
    let mut names = Names::new(list, entries.iter().map(|e| e.0));
    for (id, file, _) in &files {
        if let Ok(place) = entries.binary_search_by_key(&id.as_str(), |e| e.0) {
            names.add_file(place, file);
        }
    }
    let words = scored.iter().flat_map(|t| [(t.enroll.as_str(), t.line), (t.test.as_str(), t.line)]);
    let places = names.resolve(scores, words)?.places;
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    let mut number = |place: usize| {
        let next = numbers.len() as u32;
        *numbers.entry(entries[place].1).or_insert(next)
    };
    Ok(places.chunks_exact(2).map(|sides| (number(sides[0]), number(sides[1]))).collect())
}

/// Refuses labels that the speakers contradict: rates and intervals would be of different trials.
fn check_labels<'a>(
    args: &Args,
    list: &Path,
    trials: impl Iterator<Item = (&'a ScoredTrial, bool)>,
    speakers: &[(u32, u32)],
) -> Result<()> {
    for ((t, label), (a, b)) in trials.zip(speakers) {
        if label != (a == b) {
            let (label, same) = (label_name(label), if a == b { "one speaker" } else { "two speakers" });
            let message = format!("trial {} {} is {label}, but {} has {same}", t.enroll, t.test, list.display());
            return Err(Error::line(&args.scores, t.line, message));
        }
    }
    Ok(())
}

/// 95 % intervals. Too few speakers for them are a warning.
fn intervals(trials: &[(f64, bool, u32, u32)], replicates: usize, global: &Global) -> Result<Option<Intervals>> {
    if replicates == 0 {
        return Ok(None);
    }
    let progress = Mutex::new(Progress::new("resampling speakers", replicates, global.quiet));
    let done = || progress.lock().expect("no holder panics").add(1);
    match bootstrap(trials, &PRIORS, replicates, global.seed.unwrap_or(0), &done) {
        Ok(intervals) => Ok(Some(intervals)),
        Err(Error::Undefined(message)) => {
            errln!("warning: {message}");
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

/// Refuses scores whose thresholds would mean nothing to `compare`.
fn check_scores(args: &Args, scored: &[ScoredTrial], curve: &Curve) -> Result<()> {
    if !curve.eer().threshold.is_finite() {
        return Err(Error::file(&args.scores, "no threshold to store: every score is -inf"));
    }
    // Cosines in nine decimals, and infinite scores where there was nothing to compare.
    if let Some(t) = scored.iter().find(|t| t.score.is_finite() && t.score.abs() > 1.0 + 1e-9) {
        let message =
            format!("score {} is no cosine: `compare`, which has cosines, cannot use its thresholds", t.score);
        return Err(Error::line(&args.scores, t.line, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_det_curve_has_two_formats() {
        assert!(det_is_csv(Path::new("a.CSV")).unwrap() && !det_is_csv(Path::new("a.svg")).unwrap());
        assert!(!det_is_csv(Path::new("-")).unwrap());
        for name in ["x.png", "x", ".svg", "csv"] {
            let error = det_is_csv(Path::new(name)).unwrap_err().to_string();
            assert!(error.contains(&format!("--det {name}: write .svg or .csv")), "{error}");
        }
    }

    #[test]
    fn speakers_are_numbered_as_trials_come() {
        let dir = tempfile::tempdir().unwrap();
        let (scores, list) = (dir.path().join("scores"), dir.path().join("utt2spk"));
        std::fs::write(&scores, "x/c.wav x/a.wav 1\nx/a.wav x/b.wav 0\n").unwrap();
        std::fs::write(&list, "a zoe\nb anna\nc zoe\nd carl\n").unwrap();
        let scored = read_scores(&scores).unwrap();
        assert_eq!(listed_speakers(&scores, &scored, &list, None).unwrap(), [(0, 0), (0, 1)]);
        // Files of other names, by the list of them.
        let scp = dir.path().join("wav.scp");
        std::fs::write(&scp, "a /d/c.wav\nc /d/a.wav\nb /d/b.wav\nnone /d/n.wav\n").unwrap();
        std::fs::write(&scores, "d/c.wav d/b.wav 1\n").unwrap();
        let (by_file, wanted) = (read_scores(&scores).unwrap(), [(0, 1)]);
        assert_eq!(listed_speakers(&scores, &by_file, &list, Some(&scp)).unwrap(), wanted);
        std::fs::write(&list, "a zoe\nc zoe\n").unwrap();
        let error = listed_speakers(&scores, &scored, &list, None).unwrap_err().to_string();
        assert!(error.contains("scores:2: unknown utterance `x/b.wav`") && error.contains("utt2spk"), "{error}");
    }
}
