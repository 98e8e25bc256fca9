//! What `eval` refuses before it works.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::Args;
use crate::cli::outputs;
use crate::cli::values::{ends_in, misuse};
use crate::corpus::Words;
use crate::error::{Error, Result};
use crate::fs;
use crate::model_file::read_header;
use crate::scoring::ScoreList;

/// Refuses options that do not go together, and outputs that cannot be written.
pub(super) fn options(args: &Args) -> Result<()> {
    let files = args.scores.len();
    if !args.name.is_empty() && args.name.len() != files {
        return Err(misuse(format!(
            "--name: {} names, but score files are {files}; wanted is one each",
            args.name.len()
        )));
    }
    if files > 1 && args.save_threshold.is_some() {
        return Err(misuse("--save-threshold is for one score file"));
    }
    if files > 1 && args.identification {
        return Err(misuse("--identification is for one score file"));
    }
    let [drawn, models] = [&args.det, &args.save_threshold]
        .map(|output| output.iter().map(PathBuf::as_path).collect::<Vec<&Path>>());
    let lists = [&args.trials, &args.utt2spk, &args.wav_scp, &args.enroll].into_iter().flatten();
    let conditions = args.by.iter().map(|by| &by.file);
    let inputs = lists.chain(&args.scores).chain(conditions).map(PathBuf::as_path);
    outputs::check_with_models(&drawn, &models, &inputs.collect::<Vec<_>>())?;
    if let Some(path) = &args.det
        && det_is_csv(path)
        && files > 1
    {
        let message = format!("--det {}: for several score files, write .svg", path.display());
        return Err(misuse(message));
    }
    if let Some(model) = &args.save_threshold {
        if model.exists() && !model.is_file() {
            return Err(Error::file(model, "is no model file to store thresholds in"));
        }
        read_header(model)?;
    }
    Ok(())
}

/// Refuses a name for DET curves that says neither of their formats.
pub(super) fn det(path: &Path) -> Result<(), String> {
    match det_is_csv(path) || ends_in(path, "svg") || fs::is_stdout(path) {
        true => Ok(()),
        false => Err("write .svg or .csv".into()),
    }
}

/// Whether the points of the DET curve are wanted rather than its drawing.
pub(super) fn det_is_csv(path: &Path) -> bool {
    ends_in(path, "csv")
}

/// Refuses scores whose thresholds would mean nothing to `compare`. One of them is that of the
/// equal error rate.
pub(super) fn cosines(scores: &ScoreList, words: &mut Words, threshold: f64) -> Result<()> {
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
        assert!(det_is_csv(Path::new("a.CSV")) && !det_is_csv(Path::new("a.svg")));
        for name in ["a.CSV", "a.svg", "-"] {
            det(Path::new(name)).unwrap();
        }
        for name in ["x.png", "x", ".svg", "csv"] {
            assert_eq!(det(Path::new(name)).unwrap_err(), "write .svg or .csv", "{name}");
        }
    }
}
