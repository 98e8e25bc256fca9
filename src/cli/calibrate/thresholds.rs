//! Thresholds for wanted false-accept rates, by name.

use std::path::Path;

use crate::cli::decision::rate;
use crate::cli::values::misuse;
use crate::error::{Error, Result};
use crate::model_file::NamedThreshold;
use crate::scoring::{Curve, ScoreList};
use crate::terminal::errln;

/// `NAME=RATE`.
pub(super) fn named(text: &str) -> Result<(String, f64), String> {
    let (name, far) = text.split_once('=').ok_or("NAME=RATE is wanted")?;
    match name.trim().is_empty() {
        true => Err("the name is missing".into()),
        false => Ok((name.to_owned(), rate(far)?)),
    }
}

/// Refuses two thresholds of one name.
pub(super) fn check(wanted: &[(String, f64)]) -> Result<()> {
    for (i, (name, _)) in wanted.iter().enumerate() {
        if wanted[..i].iter().any(|(earlier, _)| earlier == name) {
            return Err(misuse(format!("--threshold names `{name}` twice")));
        }
    }
    Ok(())
}

/// The thresholds that are `wanted`, of scores from the file at `path`. It brings the trials in the
/// order of their scores.
pub(super) fn thresholds(
    wanted: &[(String, f64)],
    path: &Path,
    scores: &mut ScoreList,
) -> Result<Vec<(String, NamedThreshold)>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let curve = Curve::of(&mut scores.trials)?;
    let mut found = Vec::new();
    for (name, far) in wanted {
        let threshold = curve.at_far(*far).threshold;
        if !threshold.is_finite() {
            return Err(Error::file(
                path,
                format!("no score is above all but {far} of the nontargets: no threshold `{name}`"),
            ));
        }
        if far * (curve.nontargets as f64) < 1.0 {
            errln!(
                "warning: {} nontargets are too few to measure a false-accept rate of {far}",
                curve.nontargets
            );
        }
        found.push((name.clone(), NamedThreshold { false_accept_rate: *far, threshold }));
    }
    Ok(found)
}
