//! `revox score`.

mod calibrated;
mod cascade;
mod norm;
mod plda;
mod sides;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use self::calibrated::{Calibrated, Given, Ratios};
use self::cascade::Cascade;
use self::norm::Normalising;
use self::sides::{Enrolled, Missing, Sides};
use super::values::counted;
use super::{Global, cohort, outputs, shown, tell};
use crate::archive::input_files;
use crate::corpus::{Text, TrialList, Words};
use crate::error::{Error, Result};
use crate::fs;
use crate::progress::Progress;
use crate::scoring::{
    Compared, Embeddings, Models, Norm, OtherScores, Quantity, Scorer, write_scored,
};
use crate::terminal::{errln, note};

/// Scores of trials: cosine, with mean subtraction and AS-norm where asked for.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  revox score dev.safetensors dev/trials.txt -o scores
  revox score dev.safetensors trials.txt -o scores --cohort train.safetensors
  revox score dev.safetensors trials.txt -o scores --enroll models.txt
  revox score dev.safetensors trials.txt -o llrs --calibration m.safetensors
  revox score wav.scp trials.txt -o scores --cascade small:large --band -2:2")]
pub struct Args {
    /// Embeddings by utterance id; with --cascade the list of recordings.
    embeddings: PathBuf,
    /// Trials: `label enroll test` or `enroll test [label]` a line.
    trials: PathBuf,
    /// Output: `enroll test score [label]` a line; `-` is standard output.
    #[arg(long, short)]
    output: PathBuf,
    /// List that the embeddings were made of. Trials may name its files or the ends of their paths.
    #[arg(long, value_name = "LIST")]
    wav_scp: Option<PathBuf>,
    /// Subtract the mean of these embeddings first (from the cohort's, too).
    #[arg(long)]
    mean: Option<PathBuf>,
    #[command(flatten)]
    enrolled: Enrolled,
    #[command(flatten)]
    norm: Normalising,
    /// Score by this PLDA model instead of cosines: log-likelihood ratios (natural logarithm).
    #[arg(long, value_name = "FILE", conflicts_with = "cohort")]
    plda: Option<PathBuf>,
    #[command(flatten)]
    calibrated: Calibrated,
    #[command(flatten)]
    cascade: Cascade,
}

impl Args {
    /// What the scores are, before any calibration.
    fn others(&self) -> Result<Option<OtherScores>> {
        match (&self.plda, self.norm.norm()) {
            (Some(model), _) => OtherScores::plda(Some(model)).map(Some),
            (None, Some(norm)) => self.norm.made(norm).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// The cohort as one for measures, if there is one.
    fn measured(&self) -> Result<Option<OtherScores>> {
        self.norm.cohort.as_ref().map(|_| self.norm.made(Norm::As1)).transpose()
    }

    /// The name of what is written.
    fn scale(&self) -> &'static str {
        match (&self.calibrated.calibration, &self.plda, self.norm.norm()) {
            (Some(_), ..) => "llr",
            (None, Some(_), _) => "plda",
            (None, None, Some(norm)) => norm.name(),
            (None, None, None) => "cosine",
        }
    }
}

/// Normalised scores count standard deviations. Where a score is larger than this, the deviation is
/// too small to mean anything.
const WILD: f64 = 1000.0;

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    if let Some(models) = args.cascade.models() {
        let [list, trials, output] = [&args.embeddings, &args.trials, &args.output];
        return cascade::run(models, &args.cascade, list, trials, output, global);
    }
    check_output(args)?;
    let Args { norm, calibrated, enrolled, .. } = args;
    let mean = args.mean.as_deref().map(cohort::mean).transpose()?;
    let loaded = match &calibrated.calibration {
        None => None,
        Some(model) => Some(calibrated.load(
            model,
            Given {
                others: args.others()?,
                measured: args.measured()?,
                only_measures: norm.keep_cosines,
                mean: mean.as_deref(),
            },
        )?),
    };
    let weighs_cohort = loaded.as_ref().is_some_and(|loaded| loaded.weighs(Quantity::Cohort));
    norm.check(weighs_cohort)?;
    let embeddings = Embeddings::load(&args.embeddings)?;
    let mut words = Words::default();
    let mut list = read_list(&args.trials, &mut words, global)?;
    let sides = Sides::find(args, &embeddings, &list, &mut words)?;
    let left_out = leave_out(&mut list, &sides)?;
    let scorer = Scorer::for_places(&embeddings, mean.clone(), sides.utterances())
        .map_err(|e| Error::file(&args.embeddings, e.to_string()))?;
    let models = sides.models(&scorer, enrolled.average.unwrap_or_default())?;
    let compared = Compared::new(&scorer, models.as_ref());
    let cohorts = norm.cohorts(mean.as_deref(), weighs_cohort)?;
    let [normalised, measured] = match &cohorts {
        Some(cohorts) => {
            let count = embeddings.len() + models.as_ref().map_or(0, Models::len);
            cohorts.normalise(compared, &sides, count, global.quiet)?
        }
        None => [None, None],
    };
    let measured = measured.as_ref().or(normalised.as_ref());
    let ratios = match &loaded {
        Some(loaded) => Some(loaded.ratios(compared, &embeddings, &sides, &list, measured)?),
        None => None,
    };
    let (words, list, sides, ratios) = (&words, &list, &sides, ratios.as_ref());
    let output = Output { args, global, words, list, left_out, sides, ratios };
    // Each way of scoring has a branch.
    match (&args.plda, &normalised) {
        (Some(path), _) => {
            let (mean, average) = (mean.as_deref(), enrolled.average);
            plda::scored(path, &embeddings, mean, sides, average, &|score| output.write(score))
        }
        (None, Some(by)) => output.write(&|enroll, test| by.score(enroll, test)),
        (None, None) => output.write(&|enroll, test| compared.score(enroll, test)),
    }
}

/// The score of a model or utterance and an utterance, by their places.
type Score<'a> = dyn Fn(usize, usize) -> f64 + Sync + 'a;

/// Where scores go.
struct Output<'a> {
    args: &'a Args,
    global: &'a Global,
    words: &'a Words,
    list: &'a TrialList,
    /// Trials that were left out of it.
    left_out: usize,
    sides: &'a Sides,
    ratios: Option<&'a Ratios<'a>>,
}

impl Output<'_> {
    /// Writes the score of each trial, or its ratio, and tells of it.
    fn write(&self, score: &Score<'_>) -> Result<()> {
        let Self { args, global, words, list, left_out, sides, ratios } = self;
        let norm = args.norm.norm();
        // The first trial whose normalised score is above `WILD`.
        let wild = AtomicUsize::new(usize::MAX);
        let written_score = |trial: usize| {
            let (enroll, test) = sides.of(list.trials()[trial]);
            let score = score(enroll, test);
            if norm.is_some() && score.abs() > WILD {
                wild.fetch_min(trial, Ordering::Relaxed);
            }
            ratios.map_or(score, |ratios| ratios.llr(score, enroll, test))
        };
        let count = list.trials().len();
        let mut progress = Progress::new("scoring", count, global.quiet);
        let written =
            write_scored(&args.output, words, list.trials(), &written_score, &mut |trials| {
                progress.add(trials)
            });
        drop(progress);
        let trial = wild.load(Ordering::Relaxed);
        if let Some(norm) = norm.filter(|_| trial < count) {
            let (enroll, test) = sides.of(list.trials()[trial]);
            let (name, line) = (args.trials.display(), list.line_of(trial)?);
            let (what, score) = (norm_name(norm), score(enroll, test));
            errln!(
                "warning: {name}:{line}: {what} gives {score:.0}: the cohort's nearest are nearly \
                 one and the same"
            );
        }
        written?;
        let what = match ratios {
            Some(_) => {
                note!(
                    "these are natural logarithms of likelihood ratios: above 0 one speaker is \
                     likelier than two, before any prior"
                );
                counted(count, "log-likelihood ratio")
            }
            None => counted(count, "score"),
        };
        let text = match global.json {
            true => {
                let output = shown(&args.output);
                let mut all = json!({"trials": count, "output": output, "scores": args.scale()});
                if args.enrolled.skip_missing {
                    all["trials_left_out"] = json!(left_out);
                }
                all.to_string()
            }
            false => format!("{what} in {}", args.output.display()),
        };
        tell(&args.output, &text);
        Ok(())
    }
}

/// Leaves out trials of utterances without an embedding, and says so.
///
/// # Errors
/// A list of which nothing is left.
fn leave_out(list: &mut TrialList, sides: &Sides) -> Result<usize> {
    let Some(Missing { word, line }) = sides.missing.first() else { return Ok(0) };
    let left_out = list.retain(|pair| sides.has(pair));
    let path = list.text().path();
    let such = counted(sides.missing.len(), "utterance");
    let first = format!("the first is `{word}` in line {line}");
    if list.trials().is_empty() {
        let message = format!("every trial names one of {such} without an embedding; {first}");
        return Err(Error::file(path, message));
    }
    let (path, trials) = (path.display(), counted(left_out, "trial"));
    errln!("warning: {path}: {trials} left out, for {such} without an embedding; {first}");
    Ok(left_out)
}

/// A form of normalisation in a sentence.
fn norm_name(norm: Norm) -> String {
    match norm {
        Norm::As1 => "AS-norm".into(),
        other => format!("{}-norm", other.name()),
    }
}

/// Refuses an output that cannot be written or that is an input.
fn check_output(args: &Args) -> Result<()> {
    let Args { norm, calibrated, .. } = args;
    let embeddings = [&args.mean, &norm.cohort].into_iter().flatten().chain([&args.embeddings]);
    let embeddings: Vec<PathBuf> = embeddings.flat_map(|path| input_files(path)).collect();
    let others = [
        &args.wav_scp,
        &norm.utt2spk,
        &args.enrolled.enroll,
        &args.plda,
        &calibrated.calibration,
        &calibrated.durations,
    ];
    let others = others.into_iter().flatten().chain([&args.trials]);
    let inputs: Vec<&Path> = others.chain(&embeddings).map(PathBuf::as_path).collect();
    outputs::check(&[&args.output], &inputs)?;
    check_ending(&args.output)
}

/// Refuses a name that promises another format than text.
fn check_ending(output: &Path) -> Result<()> {
    fs::check_ending(output, &["txt"])
}

fn read_list(path: &Path, words: &mut Words, global: &Global) -> Result<TrialList> {
    let text = Text::open(path)?;
    let mut progress = Progress::new("reading trials", text.size(), global.quiet);
    TrialList::read(text, words, &mut |bytes| progress.add(bytes))
}
