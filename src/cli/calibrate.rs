//! `revox calibrate`.

mod kind;
mod report;
mod sides;
mod sources;
mod thresholds;

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use self::kind::Kind;
use self::report::Report;
use self::sides::{sides, with_named};
use self::sources::Sources;
use self::thresholds::{named, thresholds};
use super::decision::share;
use super::eval::labels::Labels;
use super::eval::sides::{BySide, Models};
use super::values::misuse;
use super::{Global, chosen, tell};
use crate::corpus::{Text, Words};
use crate::error::{Error, Result};
use crate::fs;
use crate::model_file::{Header, read_header, update_header};
use crate::progress::Progress;
use crate::scoring::{
    Column, Evidence, FittedFile, Made, Regression, ScoreList, Scored, SubtractedMean, TrialTable,
};
use crate::terminal::{errln, note};

/// Teach a model what its scores mean: likelihood ratios and probabilities.
///
/// Logistic regression on labelled trials leads from the score, and from the quality of the
/// recordings if asked for, to the logarithm of the likelihood ratio. Its costs are measured on
/// speakers that were left out. The model keeps the result, for `compare` and other verbs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  revox calibrate model.safetensors --scores scores --utt2spk dev/utt2spk
  revox calibrate m.safetensors --scores s --threshold strict=0.0001 -o m2
  revox calibrate m.safetensors --scores s --scores-of as1 --cohort c -o m2
  revox calibrate m.safetensors --scores s --enroll models --utt2spk utt2spk")]
#[command(group = clap::ArgGroup::new("known").multiple(true).args(["utt2spk", "durations"]))]
pub struct Args {
    /// The model. You vouch that the scores are this model's: neither scores nor embeddings know
    /// their model.
    model: PathBuf,
    /// Scores: `enroll test score [label]` a line. `compare` uses a calibration of cosines; if
    /// these are less a mean (--mean), the model must hold that mean.
    #[arg(long)]
    scores: PathBuf,
    #[command(flatten)]
    kind: Kind,
    /// Trials with labels, for score files without.
    #[arg(long)]
    trials: Option<PathBuf>,
    /// Speakers, for the cross-validation; otherwise utterances that target trials connect count as
    /// one speaker's.
    #[arg(long)]
    utt2spk: Option<PathBuf>,
    /// List of the utterances' files, where trials name files and the other inputs ids.
    #[arg(long, value_name = "LIST")]
    wav_scp: Option<PathBuf>,
    /// Models of speakers that the first side of the trials names, as for `score --enroll`: `model
    /// utterance utterance ...` a line. A model has the speaker of its utterances, and the seconds
    /// of all of them.
    #[arg(long, value_name = "LIST", requires = "known", conflicts_with = "embeddings")]
    enroll: Option<PathBuf>,
    /// Prior of targets: the probability of one speaker before anything is heard. Verbs decide for
    /// it unless they are given another one.
    #[arg(long, default_value_t = 0.01, value_parser = share)]
    prior: f64,
    /// How the score enters: itself, or bent [default: atanh for cosines, line for others].
    #[arg(long, value_enum, value_name = "SHAPE")]
    shape: Option<Shape>,
    /// Prior at which the fit weighs targets against nontargets [default: 0.5 with --shape atanh,
    /// that of --prior with --shape line].
    #[arg(long, value_name = "PRIOR", value_parser = share)]
    fit_prior: Option<f64>,
    #[command(flatten)]
    sources: Sources,
    /// Store the threshold on scores for this false-accept rate under a name, for `--at NAME`. Only
    /// of cosines. May be repeated.
    #[arg(long = "threshold", value_name = "NAME=RATE", value_parser = named)]
    thresholds: Vec<(String, f64)>,
    /// Folds of speakers of the cross-validation, at most one for each.
    #[arg(long, default_value_t = 5, value_parser = folds)]
    folds: usize,
    /// The calibrated model. Without it MODEL itself is changed. A file that is there is replaced
    /// if it is a model.
    #[arg(long, short)]
    output: Option<PathBuf>,
}

/// How the score enters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// Fisher's z of a cosine, atanh(score): likelihood ratios follow it more closely.
    Atanh,
    /// The score itself.
    Line,
}

fn folds(text: &str) -> Result<usize, String> {
    let folds: usize = text.parse().map_err(|_| format!("`{text}` is not a whole number"))?;
    if folds >= 3 { Ok(folds) } else { Err("3 or more are wanted".into()) }
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let header = check(args)?;
    let mut words = Words::default();
    let mut scores = read_list(&args.scores, &mut words, global)?;
    // The list of trials, which is read next, may add words.
    let utterances = words.len();
    let labels = match &args.trials {
        None => Labels::own(&scores, &mut words)?,
        Some(list) => Labels::listed(&mut scores, &mut words, list, global.quiet)?,
    };
    let cosines = args.kind.are_cosines(&scores, &mut words, !args.thresholds.is_empty())?;
    let others = args.sources.others(&args.kind)?;
    let shape = shape(args, cosines)?;
    let models = args.enroll.as_deref();
    let models = models
        .map(|list| Models::find(list, std::slice::from_ref(&scores), &mut words, utterances))
        .transpose()?;
    let sides = sides(args, &scores, &mut words, utterances, models.as_ref())?;
    let mean = args.sources.mean()?;
    let own = header.scoring.embedding_mean.as_deref();
    let mean_is_given = mean.is_some();
    let subtracted = SubtractedMean::of(mean.as_deref(), own);
    let evidence = with_named(args, &words, utterances, models.as_ref(), |named| {
        args.sources.evidence(named, mean)
    })?;
    let mut columns = args.sources.columns();
    if shape == Shape::Atanh {
        // The first is the score.
        columns[0] = Column::Atanh;
    }
    let values = values(&columns, &scores, &mut words, &evidence)?;
    if let Some(warning) = &labels.warning {
        errln!("warning: {warning}");
    }
    let targets: Vec<bool> = scores.trials.iter().map(|t| t.pair.is_target()).collect();
    let undefined = |e: Error| e.retold(|m| Error::file(&args.scores, m));
    let usual = if shape == Shape::Atanh { 0.5 } else { args.prior };
    let regression = Regression {
        prior: args.prior,
        fit_prior: args.fit_prior.unwrap_or(usual),
        folds: args.folds,
        seed: global.seed.unwrap_or(0),
    };
    let mut found = TrialTable::new(columns.len(), &values, &targets)
        .and_then(|table| regression.fit(&columns, &table, &sides))
        .map_err(undefined)?;
    let fitted = &mut found.calibration.fitted;
    if args.folds > fitted.speakers {
        let (folds, speakers) = (args.folds, fitted.speakers);
        note!("--folds {folds}: each of the {speakers} speakers is a fold of its own");
    }
    let files = [Some(&args.scores), args.trials.as_ref()].into_iter().flatten();
    fitted.files = files.map(|path| FittedFile::of(path)).collect::<Result<_>>()?;
    fitted.cosines = cosines;
    fitted.others = others;
    fitted.mean = (mean_is_given || args.kind.is_named(cosines)).then_some(subtracted);
    fitted.measured = args.sources.measured()?;
    fitted.seconds = range(&scores, &evidence);
    let thresholds = thresholds(&args.thresholds, &args.scores, &mut scores)?;
    let output = args.output.as_ref().unwrap_or(&args.model);
    update_header(&args.model, output, |header| {
        header.scoring.calibration = Some(found.calibration.clone());
        let named = thresholds.iter().map(|(name, named)| (name.clone(), *named));
        header.scoring.named_thresholds.extend(named);
    })?;
    let report = Report {
        found: &found,
        thresholds: &thresholds,
        output,
        model: &args.model,
        replaced: header.scoring.calibration.as_ref(),
        made: Made::cosines(own),
    };
    report.warn();
    let text = if global.json { report.json().to_string() } else { report.text() };
    tell(output, &text);
    if !global.json {
        note!(
            "a score file does not say its model, so nothing checked that these scores are this \
             model's"
        );
    }
    Ok(())
}

/// Refuses, before any work, what cannot be read or written. Returns the model's header.
fn check(args: &Args) -> Result<Header> {
    args.kind.check(!args.thresholds.is_empty())?;
    args.sources.check(args.kind.is_normalised())?;
    if args.wav_scp.is_some() && args.utt2spk.is_none() && !args.sources.has_ids() {
        return Err(misuse("--wav-scp is of use only with --utt2spk, --durations or --embeddings"));
    }
    let lists = [&args.trials, &args.utt2spk, &args.wav_scp, &args.enroll].into_iter().flatten();
    let mut inputs: Vec<PathBuf> = lists.chain([&args.scores]).cloned().collect();
    inputs.extend(args.sources.inputs());
    inputs.extend(args.kind.input().cloned());
    if args.output.is_some() {
        inputs.push(args.model.clone());
    }
    let output = args.output.as_ref().unwrap_or(&args.model).as_path();
    if args.model.exists() && !args.model.is_file() {
        return Err(Error::file(&args.model, "is no model file to store a calibration in"));
    }
    let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
    fs::check_outputs(&[output], &inputs)?;
    if args.output.is_some() {
        chosen::check_replaced(output)?;
    }
    read_header(&args.model)
}

/// How the score enters, by default or as the user wants it.
fn shape(args: &Args, cosines: bool) -> Result<Shape> {
    match args.shape {
        None if cosines => Ok(Shape::Atanh),
        None => Ok(Shape::Line),
        Some(Shape::Atanh) if !cosines => {
            Err(Error::file(&args.scores, "holds no cosines, which --shape atanh needs"))
        }
        Some(shape) => Ok(shape),
    }
}

fn read_list(path: &Path, words: &mut Words, global: &Global) -> Result<ScoreList> {
    let text = Text::open(path)?;
    let mut progress = Progress::new("reading scores", text.size(), global.quiet);
    ScoreList::read(text, words, &mut |bytes| progress.add(bytes))
}

/// The columns of each trial, `[trials, columns]`.
fn values(
    columns: &[Column],
    scores: &ScoreList,
    words: &mut Words,
    evidence: &BySide<Evidence>,
) -> Result<Vec<f64>> {
    let mut values = Vec::with_capacity(columns.len() * scores.trials.len());
    let value = |column: &Column, t: &Scored| {
        let [enroll, test] = evidence.of(t.pair);
        column.of(t.score, &enroll, &test)
    };
    for t in &scores.trials {
        for column in columns {
            match value(column, t) {
                Ok(value) => values.push(value),
                Err(e) => {
                    let same = |found: &Scored| found.pair.numbers() == t.pair.numbers();
                    let line = scores.find(words, &mut |_, found| same(found))?;
                    let (line, _) = line.ok_or_else(|| scores.text().changed())?;
                    return Err(Error::line(scores.text().path(), line, e.to_string()));
                }
            }
        }
    }
    Ok(values)
}

/// Shortest and longest speech of a side, if it is known.
fn range(scores: &ScoreList, evidence: &BySide<Evidence>) -> Option<[f64; 2]> {
    let sides = scores.trials.iter().flat_map(|t| evidence.of(t.pair));
    sides.filter_map(|side| side.seconds).fold(None, |range: Option<[f64; 2]>, s| {
        let [low, high] = range.unwrap_or([s, s]);
        Some([low.min(s), high.max(s)])
    })
}
