//! `revox compare`.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::values::within;
use super::{Global, chosen, shown};
use crate::error::{Error, Result};
use crate::inference::Embedder;
use crate::scoring::{Embeddings, Scorer};
use crate::terminal::{errln, note, outln};

/// Do two recordings have the same speaker?
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "revox compare [OPTIONS] MODEL A B\n       revox compare [OPTIONS] A B",
    after_help = "Examples:
  revox compare a.wav b.wav
  revox compare model.safetensors a.wav b.wav"
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
    /// Score, -1 to 1, from which on it is the same speaker. Without it the model's own threshold
    /// at equal error rate decides.
    #[arg(long, allow_negative_numbers = true, value_parser = cosine)]
    threshold: Option<f64>,
    /// Channel, from 0, to read of every file. Files of several channels need it.
    #[arg(long)]
    channel: Option<usize>,
}

fn cosine(text: &str) -> Result<f64, String> {
    within(text, -1.0..=1.0, "scores are cosines, -1 to 1")
}

/// Below this many seconds a score is less reliable than error rates suggest.
const SHORT: f64 = 1.0;
/// Level below which a recording is mostly noise, dB relative to full scale.
pub(super) const FAINT: f64 = -60.0;

/// How to get a threshold.
const HINT: &str = "give --threshold, or store one measured on trials of your own: \
                    `revox embed`, `revox score`, then \
                    `revox eval SCORES --save-threshold MODEL`";

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
    let embedder = Embedder::of(&model, &device)?.channel(args.channel);
    let (mut rows, mut evidence, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
    embedder.files(&paths, &mut |i, result| {
        let (facts, row) = result?;
        if facts.silent {
            return Err(Error::file(
                paths[i],
                "silent: its samples do not change, there is nobody to compare",
            ));
        }
        let level = 20.0 * facts.rms.log10();
        let name = paths[i].display();
        warnings.extend(facts.warnings.iter().map(|w| format!("{name}: {w}")));
        if facts.seconds < SHORT {
            warnings.push(format!("{name}: only {:.2} s of audio", facts.seconds));
        }
        if level < FAINT {
            warnings.push(format!("{name}: very faint, {:.0} dB below full scale", -level));
        }
        evidence.push((facts.seconds, level, facts.frames));
        rows.push(row);
        Ok(())
    })?;
    let mut pair = Embeddings::new(model.header.embedding_dim);
    pair.push(&shown(paths[0]), &rows[0])?;
    pair.push(&format!("{} (the second)", shown(paths[1])), &rows[1])?;
    let mean = model
        .header
        .scoring
        .embedding_mean
        .as_ref()
        .map(|m| m.iter().map(|&x| f64::from(x)).collect());
    let score = Scorer::new(&pair, mean)?.score(0, 1);
    if !score.is_finite() {
        return Err(Error::Undefined(format!(
            "the score is {score}: the embeddings are not finite"
        )));
    }
    let threshold = args.threshold.or(model.header.scoring.threshold_eer);
    let same = threshold.map(|t| score >= t);
    for warning in &warnings {
        errln!("warning: {warning}");
    }
    if global.json {
        let file = |path: &Path, evidence: &(f64, f64, usize)| {
            let (path, (seconds, level, frames)) = (shown(path), evidence);
            json!({"path": path, "seconds": seconds, "level_db": level, "frames": frames})
        };
        let all = json!({
            "score": score,
            "threshold": threshold,
            "same_speaker": same,
            "files": [file(paths[0], &evidence[0]), file(paths[1], &evidence[1])],
            "warnings": warnings,
            "default_model": chosen::json(named, &model),
        });
        outln!("{all}");
        return Ok(());
    }
    let verdict = match same {
        Some(true) => "same speaker",
        Some(false) => "different speakers",
        None => "no decision: the model holds no threshold",
    };
    outln!("score {score:.4}   {verdict}");
    match threshold {
        Some(t) => outln!("threshold {t:.4}"),
        None => note!("{HINT}"),
    }
    for (path, (seconds, level, frames)) in paths.into_iter().zip(&evidence) {
        outln!("{}: {seconds:.2} s, {frames} frames, {level:.0} dB", path.display());
    }
    Ok(())
}
