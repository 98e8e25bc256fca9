//! `revox score`.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::json;

use super::{Global, shown, tell};
use crate::corpus::{Names, Trial, read_trials, read_utt2spk, read_wav_scp, resolve};
use crate::error::{Error, Result};
use crate::fs;
use crate::progress::Progress;
use crate::scoring::{AsNorm, Embeddings, ScoredTrial, Scorer, write_scores};
use crate::terminal::errln;

/// Scores of trials: cosine, with mean subtraction and AS-norm where asked for.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  revox score dev.safetensors dev/trials.txt -o scores\n  revox score dev.safetensors trials.txt -o scores --cohort train.safetensors"
)]
pub struct Args {
    /// Embeddings by utterance id.
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
    /// AS-norm with these embeddings.
    #[arg(long)]
    cohort: Option<PathBuf>,
    /// Speakers of the cohort's utterances: the cohort is then one mean embedding a speaker.
    #[arg(long, requires = "cohort")]
    utt2spk: Option<PathBuf>,
    /// How many of the nearest cohort members count, at most.
    #[arg(long, default_value_t = 300, requires = "cohort")]
    top_n: usize,
}

/// Normalised scores are in standard deviations. Beyond this many, the deviation is at fault.
const WILD: f64 = 1000.0;

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let inputs = [&args.wav_scp, &args.mean, &args.cohort, &args.utt2spk].into_iter().flatten();
    let inputs: Vec<&Path> = inputs.chain([&args.embeddings, &args.trials]).map(PathBuf::as_path).collect();
    fs::check_outputs(&[&args.output], &inputs)?;
    let embeddings = Embeddings::load(&args.embeddings)?;
    let trials = read_trials(&args.trials)?;
    let pairs = places(args, &embeddings, &trials)?;
    let mean = args.mean.as_ref().map(|p| Embeddings::load(p).map(|e| e.mean())).transpose()?;
    let scorer = Scorer::for_trials(&embeddings, mean.clone(), &pairs)
        .map_err(|e| Error::file(&args.embeddings, e.to_string()))?;
    let scores: Vec<f64> = match &args.cohort {
        None => pairs.iter().map(|&(a, b)| scorer.score(a, b)).collect(),
        Some(path) => {
            let mut cohort = Embeddings::load(path)?;
            if let Some(list) = &args.utt2spk {
                let speakers = read_utt2spk(list)?;
                cohort = cohort
                    .speaker_means(&|id| speakers.get(id).map(|s| s.0.clone()))
                    .map_err(|e| Error::file(list, e.to_string()))?;
            }
            let cohort = Scorer::new(&cohort, mean).map_err(|e| Error::file(path, e.to_string()))?;
            let norm = AsNorm::new(&cohort, args.top_n).map_err(|e| Error::file(path, e.to_string()))?;
            if norm.top() < args.top_n {
                let n = norm.top();
                errln!("note: {} holds {n} embeddings, so --top-n is {n}", path.display());
            }
            let progress = Mutex::new(Progress::new("AS-norm", embeddings.len(), global.quiet));
            norm.score(&scorer, &pairs, &|| progress.lock().expect("no holder panics").add(1))
                .map_err(|e| Error::file(path, e.to_string()))?
        }
    };
    let scored: Vec<ScoredTrial> = trials
        .into_iter()
        .zip(scores)
        .map(|(t, score)| ScoredTrial { enroll: t.enroll, test: t.test, score, label: t.target, line: t.line })
        .collect();
    if let Some(t) = scored.iter().find(|t| args.cohort.is_some() && t.score.abs() > WILD) {
        let (list, line, score) = (args.trials.display(), t.line, t.score);
        errln!("warning: {list}:{line}: AS-norm gives {score:.0}: the cohort's nearest are nearly one and the same");
    }
    write_scores(&args.output, &scored)?;
    let text = match global.json {
        true => json!({"trials": scored.len(), "output": shown(&args.output)}).to_string(),
        false => format!("{} scores in {}", scored.len(), args.output.display()),
    };
    tell(&args.output, &text);
    Ok(())
}

/// The embeddings of both sides of each trial.
fn places(args: &Args, embeddings: &Embeddings, trials: &[Trial]) -> Result<Vec<(usize, usize)>> {
    let files = args.wav_scp.as_ref().map_or(Ok(Vec::new()), read_wav_scp)?;
    let listed: Vec<(usize, &str)> =
        files.iter().filter_map(|(id, file, _)| Some((embeddings.position(id)?, file.as_str()))).collect();
    if let Some(list) = &args.wav_scp
        && listed.is_empty()
    {
        return Err(Error::file(list, format!("has none of the utterances of {}", args.embeddings.display())));
    }
    let mut names = Names::new(&args.embeddings, embeddings.ids().iter().map(String::as_str));
    for (place, file) in listed {
        names.add_file(place, file);
    }
    let (places, note) = resolve(&args.trials, trials, &names).map_err(|e| match e {
        Error::Line { path, line, message } if args.wav_scp.is_none() && trials.iter().any(names_files) => {
            Error::line(path, line, format!("{message}; --wav-scp LIST tells which files the embeddings are of"))
        }
        other => other,
    })?;
    if let Some(note) = note {
        errln!("note: {note}");
    }
    Ok(places)
}

fn names_files(trial: &Trial) -> bool {
    trial.enroll.contains('/') || trial.test.contains('/')
}
