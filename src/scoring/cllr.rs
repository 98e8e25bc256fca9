//! How good log-likelihood ratios are: Cllr and the actual detection cost.
//!
//! Brümmer and du Preez, "Application-independent evaluation of speaker detection" (Computer
//! Speech and Language 20, 2006). Unlike EER and minDCF, both punish ratios that are too large, too
//! small, or shifted. All ratios here are natural logarithms.

use std::f64::consts::LN_2;

use rayon::prelude::*;

use super::{Cost, Curve, Scored};
use crate::error::{Error, Result};

/// Trials whose costs are summed together. The order of sums does not depend on the threads.
const PART: usize = 1 << 14;

/// The sum of some numbers over the targets and over the nontargets of some trials.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    targets: f64,
    nontargets: f64,
}

/// Means over the targets and over the nontargets of what `value` gives for ratio and label. Both
/// kinds must be there.
fn means<T: Sync>(
    trials: &[T],
    read: impl Fn(&T) -> (f64, bool) + Sync,
    value: impl Fn(f64, bool) -> f64 + Sync,
) -> Sums {
    let part = |some: &[T]| {
        let (mut sums, mut counts) = (Sums::default(), [0usize; 2]);
        for (llr, target) in some.iter().map(&read) {
            let sum = if target { &mut sums.targets } else { &mut sums.nontargets };
            *sum += value(llr, target);
            counts[usize::from(target)] += 1;
        }
        (sums, counts)
    };
    let parts: Vec<(Sums, [usize; 2])> = trials.par_chunks(PART).map(part).collect();
    let (mut all, mut nontargets, mut targets) = (Sums::default(), 0, 0);
    for (sums, counts) in parts {
        all.targets += sums.targets;
        all.nontargets += sums.nontargets;
        nontargets += counts[0];
        targets += counts[1];
    }
    Sums { targets: all.targets / targets as f64, nontargets: all.nontargets / nontargets as f64 }
}

/// Refuses trials whose costs are undefined.
fn check(trials: &[(f64, bool)]) -> Result<()> {
    if let Some(i) = trials.iter().position(|t| t.0.is_nan()) {
        return Err(Error::Undefined(format!("the ratio of trial {} is not a number", i + 1)));
    }
    let targets = trials.iter().filter(|t| t.1).count();
    let nontargets = trials.len() - targets;
    if targets == 0 || nontargets == 0 {
        return Err(Error::Undefined(format!(
            "costs need both kinds of trials; here are {targets} targets and {nontargets} \
             nontargets"
        )));
    }
    Ok(())
}

/// Bits that a trial with this ratio costs at even odds: log2(1 + exp(-llr)) of a target,
/// log2(1 + exp(llr)) of a nontarget.
fn bits(llr: f64, target: bool) -> f64 {
    let x = if target { -llr } else { llr };
    // ln(1 + exp(x)), where exp(x) must not overflow.
    (x.max(0.0) + (-x.abs()).exp().ln_1p()) / LN_2
}

fn bits_of(means: Sums) -> f64 {
    0.5 * (means.targets + means.nontargets)
}

/// Cllr in bits: the mean cost of log-likelihood ratios, over all applications. Each trial has a
/// ratio and a label (true = target). 0 is best; 1 is that of ratios that tell nothing (all 0).
/// Infinite where a ratio is infinite and wrong.
///
/// # Errors
/// No targets, no nontargets, or a ratio that is not a number.
pub fn cllr(trials: &[(f64, bool)]) -> Result<f64> {
    check(trials)?;
    Ok(bits_of(means(trials, |t| *t, bits)))
}

/// The detection cost of accepting from the ratio [`bayes_threshold`](super::bayes_threshold) on,
/// divided by the lower cost of "accept all" and "reject all". Each trial has a log-likelihood
/// ratio and a label (true = target). It is at least minDCF, and may be above 1.
///
/// # Errors
/// As [`cllr`], and those of [`Cost::new`].
pub fn actual_dcf(trials: &[(f64, bool)], prior: f64, miss: f64, false_accept: f64) -> Result<f64> {
    check(trials)?;
    let cost = Cost::new(prior, miss, false_accept)?;
    Ok(actual(&cost, trials, |t| *t).cost)
}

/// The cost of decisions by Bayes' rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ActualDcf {
    /// The normalised cost.
    pub cost: f64,
    /// The log-likelihood ratio from which on trials are accepted.
    pub threshold: f64,
    /// Misses / targets.
    pub fnr: f64,
    /// False accepts / nontargets.
    pub fpr: f64,
}

fn actual<T: Sync>(
    cost: &Cost,
    trials: &[T],
    read: impl Fn(&T) -> (f64, bool) + Sync,
) -> ActualDcf {
    let threshold = cost.threshold();
    let wrong = |llr: f64, target: bool| f64::from((llr >= threshold) != target);
    let Sums { targets: fnr, nontargets: fpr } = means(trials, read, wrong);
    ActualDcf { cost: cost.mean(fnr, fpr) / cost.without_scores(), threshold, fnr, fpr }
}

fn scored(t: &Scored) -> (f64, bool) {
    (t.score, t.pair.is_target())
}

impl Curve<'_> {
    /// [`cllr`] of these trials, whose scores are log-likelihood ratios.
    pub fn cllr(&self) -> f64 {
        bits_of(means(self.trials().0, scored, bits))
    }

    /// [`actual_dcf`] of these trials, whose scores are log-likelihood ratios.
    pub fn actual_dcf(&self, cost: &Cost) -> ActualDcf {
        actual(cost, self.trials().0, scored)
    }
}

#[cfg(test)]
mod tests;
