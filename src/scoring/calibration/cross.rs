//! Cross-validation by speaker.

use super::{TrialTable, fit_line};
use crate::error::{Error, Result};
use crate::rng::Stream;

/// The log-likelihood ratio of every trial, by a line that no trial of its speakers took part in.
///
/// The speakers are dealt into folds. For each pair of folds (and each single one), a line is
/// fitted to the trials that have no speaker in them, and gives the ratios of the trials whose
/// speakers lie just there. So every trial is judged once, nontargets across folds included.
/// `sides` has the speakers of both sides of each trial. There are at most as many folds as
/// speakers.
///
/// # Errors
/// Fewer than three folds; too few speakers: what is left to fit on lacks a kind of trials; those
/// of [`fit_line`].
///
/// # Panics
/// If `sides` are not as many as the trials.
pub fn cross_validate(
    table: &TrialTable,
    sides: &[(u32, u32)],
    prior: f64,
    folds: usize,
    seed: u64,
) -> Result<Vec<f64>> {
    assert_eq!(sides.len(), table.targets.len(), "two speakers a trial");
    let mut speakers = speakers(sides);
    let folds = folds.min(speakers.len());
    if folds < 3 {
        return Err(Error::Undefined(format!(
            "cross-validation leaves the speakers of tested trials out, which takes three folds at \
             least; here are {folds}"
        )));
    }
    Stream::new(seed, "calibration folds", &[]).shuffle(&mut speakers);
    let most = speakers.iter().max().map_or(0, |most| *most as usize);
    let mut fold_of = vec![0; most + 1];
    for (place, speaker) in speakers.into_iter().enumerate() {
        fold_of[speaker as usize] = place % folds;
    }
    let pairs: Vec<(usize, usize)> = sides
        .iter()
        .map(|&(a, b)| (fold_of[a as usize], fold_of[b as usize]))
        .map(|(a, b)| (a.min(b), a.max(b)))
        .collect();
    let mut ratios = vec![0.0; pairs.len()];
    for out in (0..folds).flat_map(|a| (a..folds).map(move |b| (a, b))) {
        if !pairs.contains(&out) {
            continue;
        }
        let is_in = |fold: usize| fold == out.0 || fold == out.1;
        let (values, targets) = table.only(|i| !is_in(pairs[i].0) && !is_in(pairs[i].1));
        let line = TrialTable::new(table.columns, &values, &targets)
            .and_then(|rest| fit_line(&rest, prior))
            .map_err(|e| e.retold(too_few))?;
        for ((ratio, row), pair) in ratios.iter_mut().zip(table.rows()).zip(&pairs) {
            if *pair == out {
                *ratio = line.llr(row);
            }
        }
    }
    Ok(ratios)
}

fn too_few(what: String) -> Error {
    Error::Undefined(format!(
        "cross-validation fits on the trials of other speakers, which are too few: {what}"
    ))
}

/// The distinct speakers of trials, in ascending order.
pub(super) fn speakers(sides: &[(u32, u32)]) -> Vec<u32> {
    let mut speakers: Vec<u32> = sides.iter().flat_map(|&(a, b)| [a, b]).collect();
    speakers.sort_unstable();
    speakers.dedup();
    speakers
}
