//! `revox eval`.

mod by;
mod check;
mod conditions;
mod identification;
pub(super) mod labels;
mod load;
mod rates;
mod report;
mod same;
mod several;
pub(super) mod sides;
pub(super) mod speakers;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use self::check::det_is_csv;
use self::conditions::{Bins, By};
use self::load::Loaded;
use self::rates::{Applications, Asked};
use self::report::Report;
use self::several::Several;
use super::{Global, tell, values};
use crate::error::{Error, Result};
use crate::fs;
use crate::model_file::update_header;
use crate::progress::Progress;
use crate::scoring::{
    Curve, DET_SYSTEMS, DetPlot, DetSystem, Intervals, bootstrap_costs, det_csv, det_svg,
    det_systems_svg,
};
use crate::terminal::errln;

/// Error rates of score files.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  revox eval scores --save-threshold model.safetensors
  revox eval scores --trials dev/trials.txt --utt2spk dev/utt2spk --det det.svg
  revox eval old.scores new.scores --name old --name new --det both.svg
  revox eval llrs --llr --p-target 0.001 --by gender=utt2gender
  revox eval scores --by seconds=utt2dur --bins 2,4,8
  revox eval scores --enroll models.txt --utt2spk dev/utt2spk
  revox eval scores --identification")]
#[command(group = clap::ArgGroup::new("known").multiple(true).args(["utt2spk", "by"]))]
pub struct Args {
    /// Scores: `enroll test score [label]` a line. Several files are compared: a row for each, and
    /// 95 % intervals of the difference of EER from the first.
    #[arg(required = true)]
    scores: Vec<PathBuf>,
    /// Names of the score files in tables and drawings, one for each.
    #[arg(long)]
    name: Vec<String>,
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
    /// Models of speakers that the first side of the trials names, as for `score --enroll`: `model
    /// utterance utterance ...` a line. A model has the speaker and the conditions of its
    /// utterances; where these differ in a condition, it is `mixed`. --by may also name models.
    #[arg(long, value_name = "LIST", requires = "known")]
    enroll: Option<PathBuf>,
    #[command(flatten)]
    applications: Applications,
    /// Rates by condition, from a file `utterance value [value...]` a line, whose first line may
    /// name the columns (`utt gender device`); may be given several times. With --utt2spk, its keys
    /// may be speakers. A trial whose sides differ has both conditions: `f-m`.
    #[arg(long, value_name = "[NAME=]FILE[:COLUMN]", value_parser = conditions::by)]
    by: Vec<By>,
    /// Bounds that make conditions of numbers: 2,4,8.
    #[arg(long, value_name = "BOUNDS", requires = "by", value_parser = conditions::bins)]
    bins: Option<Bins>,
    /// Rates of identification: trials are of a model and a probe; a probe without a target trial
    /// is not enrolled.
    #[arg(long, conflicts_with_all = [
        "utt2spk", "wav_scp", "enroll", "det", "save_threshold", "by", "name", "p_target", "c_miss",
        "c_fa", "llr",
    ])]
    identification: bool,
    /// Write the DET curves here (.svg, or .csv for the points of one). Of more than 16 score files
    /// the first 16 are drawn.
    #[arg(long, value_parser = values::path(check::det))]
    det: Option<PathBuf>,
    /// Store the thresholds in this model, for `compare`. You vouch that the scores are this
    /// model's: neither scores nor embeddings know their model. They must be as `compare` makes
    /// them: cosines without AS-norm, and with `--mean` only if the model holds that mean.
    #[arg(long, value_name = "MODEL", conflicts_with = "llr")]
    save_threshold: Option<PathBuf>,
    /// Resamplings behind the 95 % intervals, 20 at least; 0 for none.
    #[arg(long, default_value_t = 1000)]
    replicates: usize,
}

impl Args {
    /// The bounds of numbers; none without `--bins`.
    fn bins(&self) -> &[f64] {
        match &self.bins {
            Some(bins) => &bins.0,
            None => &[],
        }
    }
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    check::options(args)?;
    if args.identification {
        return identification::run(args, global);
    }
    let asked = args.applications.asked()?;
    let Loaded { mut trials, unscored, conditions, is_same } = load::load(args, &asked, global)?;
    let mut curves: Vec<Curve> = Vec::new();
    for (trials, path) in trials.iter_mut().zip(&args.scores) {
        curves.push(Curve::of(trials).map_err(|e| Error::file(path, e.to_string()))?);
    }
    let mut intervals: Vec<Option<Intervals>> = Vec::new();
    for (curve, path) in curves.iter().zip(&args.scores) {
        if asked.llr {
            warn_of_cosines(curve, path);
        }
        intervals.push(resample(curve, &asked, args.replicates, global)?);
    }
    let names = names(args);
    if let Some(path) = &args.det {
        draw(path, &names, &curves, &intervals, &asked)?;
    }
    if let Some(model) = &args.save_threshold {
        update_header(model, model, |header| header.scoring.set_thresholds(&curves[0]))?;
    }
    let of = |place: usize| Report {
        curve: &curves[place],
        intervals: intervals[place].as_ref(),
        unscored: unscored[place],
        conditions: &conditions[place],
        asked: &asked,
    };
    let reports: Vec<Report> = (0..curves.len()).map(of).collect();
    let mut text = match (reports.as_slice(), global.json) {
        ([one], true) => serde_json::Value::Object(one.json()).to_string(),
        ([one], false) => one.text(),
        (all, is_json) => {
            let several = Several { names: &names, reports: all, is_same, asked: &asked };
            if is_json { several.json().to_string() } else { several.text() }
        }
    };
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

/// What the score files are called: as asked for, else by their stems if these differ.
fn names(args: &Args) -> Vec<String> {
    if !args.name.is_empty() {
        return args.name.clone();
    }
    let stem = |path: &PathBuf| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let stems: Vec<String> = args.scores.iter().map(stem).collect();
    let is_twice = |(i, stem): (usize, &String)| stems[..i].contains(stem);
    match stems.iter().enumerate().any(is_twice) {
        true => args.scores.iter().map(|path| path.display().to_string()).collect(),
        false => stems,
    }
}

/// Writes the DET curves.
fn draw(
    path: &Path,
    names: &[String],
    curves: &[Curve],
    intervals: &[Option<Intervals>],
    asked: &Asked,
) -> Result<()> {
    let costs = &asked.costs;
    if let [curve] = curves {
        if det_is_csv(path) {
            return fs::write_atomic(path, |out| det_csv(curve, out));
        }
        let plot = DetPlot { title: &names[0], intervals: intervals[0].as_ref(), costs };
        return fs::write_bytes(path, det_svg(curve, &plot)?.as_bytes());
    }
    if curves.len() > DET_SYSTEMS {
        errln!(
            "warning: --det {}: the first {DET_SYSTEMS} of {} systems are drawn",
            path.display(),
            curves.len()
        );
    }
    let mut systems: Vec<DetSystem> = Vec::new();
    for ((name, curve), intervals) in names.iter().zip(curves).zip(intervals).take(DET_SYSTEMS) {
        systems.push(DetSystem { name, curve, intervals: intervals.as_ref() });
    }
    let title = format!("{} systems", systems.len());
    fs::write_bytes(path, det_systems_svg(&title, &systems, costs)?.as_bytes())
}

/// Warns of scores that look like cosines where they were said to be log-likelihood ratios.
fn warn_of_cosines(curve: &Curve, path: &Path) {
    let (low, high) = curve.range();
    if low >= -1.0 && high <= 1.0 {
        errln!(
            "warning: {}: every score is between -1 and 1, as cosines are; Cllr and actual DCF \
             take them for log-likelihood ratios",
            path.display()
        );
    }
}

/// 95 % intervals. Too few speakers for them are a warning.
fn resample(
    curve: &Curve,
    asked: &Asked,
    replicates: usize,
    global: &Global,
) -> Result<Option<Intervals>> {
    if replicates == 0 {
        return Ok(None);
    }
    let progress = Mutex::new(Progress::new("resampling speakers", replicates, global.quiet));
    let done = || progress.lock().expect("no holder panics").add(1);
    match bootstrap_costs(curve, &asked.costs, replicates, global.seed.unwrap_or(0), &done) {
        Ok(intervals) => Ok(Some(intervals)),
        Err(Error::Undefined(message)) => {
            errln!("warning: {message}");
            Ok(None)
        }
        Err(e) => Err(e),
    }
}
