//! `revox compare`.

mod report;

use std::path::{Path, PathBuf};

use self::report::{Report, level};
use super::decision::Wanted;
use super::{Global, chosen, shown};
use crate::error::{Error, Result};
use crate::inference::{Embedder, Facts};
use crate::scoring::{Embeddings, Evidence, Scorer};
use crate::terminal::{errln, note, outln};

/// Do two recordings have the same speaker?
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "revox compare [OPTIONS] MODEL A B\n       revox compare [OPTIONS] A B",
    after_help = "Examples:
  revox compare a.wav b.wav
  revox compare model.safetensors a.wav b.wav
  revox compare model.safetensors a.wav b.wav --prior 0.5 --cost 1:10"
)]
pub struct Args {
    /// The model. Without one, the model inside the program compares: `revox zoo --details default`
    /// describes it.
    #[arg(value_name = "MODEL")]
    first: PathBuf,
    /// One recording.
    #[arg(value_name = "A")]
    second: PathBuf,
    /// The other.
    #[arg(value_name = "B")]
    third: Option<PathBuf>,
    #[command(flatten)]
    wanted: Wanted,
    /// Channel, from 0, to read of every file. Files of several channels need it.
    #[arg(long)]
    channel: Option<usize>,
}

/// Level below which a recording is mostly noise, dB relative to full scale.
pub(super) const FAINT: f64 = -60.0;

/// How to get a threshold.
const HINT: &str = "give --threshold, or store one measured on trials of your own: \
                    `revox embed`, `revox score`, then \
                    `revox eval SCORES --save-threshold MODEL`, or \
                    `revox calibrate MODEL --scores SCORES`, which gives probabilities too";

impl Args {
    /// The model's file, if one is named, and the two recordings.
    ///
    /// # Errors
    /// A model beside a single recording.
    fn files(&self) -> Result<(Option<&Path>, [&Path; 2])> {
        let (first, second) = (self.first.as_path(), self.second.as_path());
        match &self.third {
            Some(third) => Ok((Some(first), [second, third.as_path()])),
            None if chosen::is_model(first) => {
                Err(Error::file(first, "is a model: name two recordings behind it"))
            }
            None => Ok((None, [first, second])),
        }
    }
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let (named, paths) = args.files()?;
    let device = global.open()?;
    let model = chosen::load(named, &device)?;
    let scoring = &model.header.scoring;
    let decider = args.wanted.decider(named, scoring)?;
    let embedder = Embedder::of(&model, &device)?.channel(args.channel);
    let (mut rows, mut facts, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
    embedder.files(&paths, &mut |i, result| {
        let (heard, row) = result?;
        check(paths[i], &heard)?;
        warnings.extend(remarks(paths[i], &heard));
        facts.push(heard);
        rows.push(row);
        Ok(())
    })?;
    let mut pair = Embeddings::new(model.header.embedding_dim);
    pair.push(&shown(paths[0]), &rows[0])?;
    pair.push(&format!("{} (the second)", shown(paths[1])), &rows[1])?;
    let mean: Option<Vec<f64>> =
        scoring.embedding_mean.as_ref().map(|m| m.iter().map(|&x| f64::from(x)).collect());
    let [first, second] = [0, 1].map(|i| Evidence {
        seconds: Some(facts[i].quality.speech_seconds),
        norm: Some(Evidence::norm_of(&rows[i], mean.as_deref())),
        cohort: None,
    });
    let score = Scorer::new(&pair, mean)?.score(0, 1);
    if !score.is_finite() {
        return Err(Error::Undefined(format!(
            "the score is {score}: the embeddings are not finite"
        )));
    }
    let names = paths.map(shown);
    let verdict =
        decider.decide(score, [(names[0].as_str(), &first), (names[1].as_str(), &second)])?;
    warnings.extend(verdict.warnings.iter().cloned());
    for warning in &warnings {
        errln!("warning: {warning}");
    }
    let report = Report {
        verdict: &verdict,
        prior: decider.is_calibrated().then(|| decider.prior()),
        files: [(paths[0], &facts[0]), (paths[1], &facts[1])],
        warnings: &warnings,
    };
    if global.json {
        let mut all = report.json();
        all["default_model"] = chosen::json(named, &model);
        outln!("{all}");
        return Ok(());
    }
    outln!("{}", report.text());
    if verdict.same.is_none() {
        note!("{HINT}");
    }
    Ok(())
}

/// Refuses a recording in which nobody speaks.
fn check(path: &Path, facts: &Facts) -> Result<()> {
    facts.nobody().map_or(Ok(()), |why| Err(Error::file(path, why)))
}

/// What makes a recording's score less reliable.
fn remarks(path: &Path, facts: &Facts) -> Vec<String> {
    let mut remarks = facts.warnings.clone();
    let level = level(facts);
    if level < FAINT {
        remarks.push(format!("very faint, {:.0} dB below full scale", -level));
    }
    remarks.into_iter().map(|remark| format!("{}: {remark}", path.display())).collect()
}
