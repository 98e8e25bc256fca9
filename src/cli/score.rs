//! `revox score`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;

use serde_json::json;

use super::Global;
use crate::corpus::{read_trials, read_utt2spk, resolve};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::scoring::{AsNorm, Embeddings, ScoredTrial, Scorer, write_scores};

/// Scores of trials: cosine, with mean subtraction and AS-norm where asked for.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  revox score dev.safetensors dev/trials.txt -o scores\n  revox score dev.safetensors dev/trials.txt -o scores --cohort train.safetensors --top-n 300"
)]
pub struct Args {
    /// Embeddings by utterance id.
    embeddings: PathBuf,
    /// Trials: `label enroll test` or `enroll test [label]` a line.
    trials: PathBuf,
    /// Output: `enroll test score [label]` a line.
    #[arg(long, short)]
    output: PathBuf,
    /// Subtract the mean of these embeddings first (from the cohort's, too).
    #[arg(long)]
    mean: Option<PathBuf>,
    /// AS-norm with these embeddings.
    #[arg(long)]
    cohort: Option<PathBuf>,
    /// Speakers of the cohort's utterances: the cohort is then one mean embedding a speaker.
    #[arg(long, requires = "cohort")]
    utt2spk: Option<PathBuf>,
    /// How many of the nearest cohort members count.
    #[arg(long, default_value_t = 300, requires = "cohort")]
    top_n: usize,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let embeddings = Embeddings::load(&args.embeddings)?;
    let trials = read_trials(&args.trials)?;
    let names: HashMap<&str, usize> = embeddings.ids().iter().enumerate().map(|(i, id)| (id.as_str(), i)).collect();
    let pairs = resolve(&args.trials, &trials, &names)?;
    let mean = args.mean.as_ref().map(|p| Embeddings::load(p).map(|e| e.mean())).transpose()?;
    let scorer = Scorer::new(&embeddings, mean.clone()).map_err(|e| Error::file(&args.embeddings, e.to_string()))?;
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
            let norm = AsNorm::new(&cohort, args.top_n)?;
            let progress = Mutex::new(Progress::new("AS-norm", embeddings.len(), global.quiet));
            norm.score(&scorer, &pairs, &|| progress.lock().expect("no holder panics").add(1))?
        }
    };
    let scored: Vec<ScoredTrial> = trials
        .into_iter()
        .zip(scores)
        .map(|(t, score)| ScoredTrial { enroll: t.enroll, test: t.test, score, label: t.target })
        .collect();
    write_scores(&args.output, &scored)?;
    match global.json {
        true => println!("{}", json!({"trials": scored.len(), "output": args.output})),
        false => println!("{} scores in {}", scored.len(), args.output.display()),
    }
    Ok(())
}
