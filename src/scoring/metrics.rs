//! EER and minDCF, ties included.
//!
//! Operating points exist only at distinct scores (accept if score >= threshold) plus "reject all":
//! a tie is accepted or rejected as a whole, so the result does not depend on the order of trials.
//! Without ties this equals WeSpeaker's `score_metrics.py`.
//!
//! Every threshold from above one score up to the next gives the rates of the next. So scores of
//! +inf have a finite threshold: one above all other scores. Scores of -inf are accepted by no
//! finite threshold.

mod keys;
mod points;
mod rates;

use std::borrow::Cow;

use rayon::prelude::*;

use self::keys::{merged, ordered};
pub(super) use self::points::crossing;
use self::points::finite;
pub use self::points::{Eer, MinDcf, Point};
pub use self::rates::{FALSE_ACCEPT_RATES, MODEL_FALSE_ACCEPT_RATES, PRIORS};
use super::blocks::Blocks;
use super::steps::{Step, Steps, Sums, Weights, cumulative, sort};
use super::{Cost, Scored};
use crate::corpus::Pair;
use crate::error::{Error, Result};

/// All operating points of a set of scores, by ascending threshold: from "accept all" to "reject
/// all".
#[derive(Debug, Clone)]
pub struct Curve<'a> {
    /// By ascending score.
    trials: Cow<'a, [Scored]>,
    blocks: Blocks,
    sums: Vec<Sums>,
    /// Number of targets.
    pub targets: usize,
    /// Number of nontargets.
    pub nontargets: usize,
}

/// Every trial weighs 1.
#[derive(Clone, Copy)]
struct Counts {
    targets: u64,
    nontargets: u64,
    per_target: f64,
    per_nontarget: f64,
}

impl Weights for Counts {
    fn weight(self, _: Pair) -> u64 {
        1
    }

    fn rates(self, (missed, rejected): Sums) -> (f64, f64) {
        if (missed, rejected) == (self.targets, self.nontargets) {
            // n times 1/n need not be 1.
            return (1.0, 0.0);
        }
        (missed as f64 * self.per_target, (self.nontargets - rejected) as f64 * self.per_nontarget)
    }
}

impl Curve<'static> {
    /// From scores and labels (true = target). It sorts the scores on all cores.
    ///
    /// # Errors
    /// No targets, no nontargets, or a score that is not a number: the rates are undefined.
    pub fn new(trials: impl IntoIterator<Item = (f64, bool)>) -> Result<Self> {
        let mut keys = [Vec::new(), Vec::new()];
        for (i, (score, target)) in trials.into_iter().enumerate() {
            if score.is_nan() {
                return Err(Error::Undefined(format!(
                    "the score of trial {} is not a number",
                    i + 1
                )));
            }
            keys[usize::from(target)].push(ordered(score));
        }
        keys.par_iter_mut().for_each(|keys| keys.sort_unstable());
        Self::sorted(merged(&keys).into())
    }
}

impl<'a> Curve<'a> {
    /// From labelled trials, which it sorts by score in place. It makes no copy of them.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of(trials: &'a mut [Scored]) -> Result<Self> {
        sort(trials);
        // The order of `total_cmp` has NaN at its ends.
        if [trials.first(), trials.last()].into_iter().flatten().any(|t| t.score.is_nan()) {
            return Err(Error::Undefined("a score is not a number".into()));
        }
        let trials: &'a [Scored] = trials;
        Self::sorted(trials.into())
    }

    fn sorted(trials: Cow<'a, [Scored]>) -> Result<Self> {
        let blocks = Blocks::of(&trials);
        let count = |block: usize| {
            let block = &trials[blocks.range(block)];
            let targets = block.iter().filter(|t| t.pair.is_target()).count();
            (targets as u64, (block.len() - targets) as u64)
        };
        let counts: Vec<Sums> = (0..blocks.len()).into_par_iter().map(count).collect();
        let sums = cumulative(counts);
        let (targets, nontargets) =
            sums.last().map_or((0, 0), |all| (all.0 as usize, all.1 as usize));
        if targets == 0 || nontargets == 0 {
            return Err(Error::Undefined(format!(
                "error rates need both kinds of trials; here are {targets} targets and \
                 {nontargets} nontargets"
            )));
        }
        Ok(Self { trials, blocks, sums, targets, nontargets })
    }

    fn steps(&self) -> Steps<'_, Counts> {
        let (targets, nontargets) = (self.targets as u64, self.nontargets as u64);
        let (per_target, per_nontarget) = (1.0 / targets as f64, 1.0 / nontargets as f64);
        let weights = Counts { targets, nontargets, per_target, per_nontarget };
        Steps { trials: &self.trials, blocks: &self.blocks, sums: &self.sums, weights }
    }

    fn point(&self, step: Step) -> Point {
        let score = |i: usize| self.trials[i].score + 0.0;
        let threshold = match step.trial < self.trials.len() {
            true => finite(score(step.trial), step.trial.checked_sub(1).map(score)),
            false => f64::INFINITY,
        };
        Point { threshold, fnr: step.fnr, fpr: step.fpr }
    }

    /// The operating points, made one by one.
    pub fn points(&self) -> impl Iterator<Item = Point> {
        (0..self.parts()).flat_map(move |part| self.part(part))
    }

    /// The number of parts of [`part`](Self::part).
    pub(super) fn parts(&self) -> usize {
        self.blocks.len()
    }

    /// One part of the operating points. All parts, in order, are all points.
    pub(super) fn part(&self, part: usize) -> impl Iterator<Item = Point> {
        self.steps().part(part).map(move |step| self.point(step))
    }

    /// The lowest and the highest score.
    pub fn range(&self) -> (f64, f64) {
        (self.trials[0].score, self.trials[self.trials.len() - 1].score)
    }

    /// The trials by ascending score, and their blocks.
    pub(super) fn trials(&self) -> (&[Scored], &Blocks) {
        (&self.trials, &self.blocks)
    }

    /// Equal error rate.
    pub fn eer(&self) -> Eer {
        // FNR - FPR never falls along the curve: -1 at its beginning, 1 at its end.
        let steps = self.steps();
        let (before, after) =
            steps.first(|fnr, fpr| fnr >= fpr).unwrap_or((steps.last(), steps.last()));
        crossing(self.point(before), self.point(after))
    }

    /// Normalised minimum detection cost at the prior `p_target`, between 0 and 1, with both costs
    /// 1.
    pub fn min_dcf(&self, p_target: f64) -> MinDcf {
        self.min_cost(&Cost::at_prior(p_target))
    }

    /// Normalised minimum detection cost, between 0 and 1.
    pub fn min_cost(&self, cost: &Cost) -> MinDcf {
        let best = self.steps().cheapest(|fnr, fpr| cost.mean(fnr, fpr));
        let (least, threshold) = best.map_or((f64::INFINITY, f64::INFINITY), |(least, step)| {
            (least, self.point(step).threshold)
        });
        MinDcf { cost: least / cost.without_scores(), threshold }
    }

    /// The operating point of [`min_dcf`](Self::min_dcf), of several the one with the lowest
    /// threshold.
    pub fn at_min_dcf(&self, p_target: f64) -> Point {
        self.at_min_cost(&Cost::at_prior(p_target))
    }

    /// The operating point of [`min_cost`](Self::min_cost), of several the one with the lowest
    /// threshold.
    pub fn at_min_cost(&self, cost: &Cost) -> Point {
        let steps = self.steps();
        let best = steps.cheapest(|fnr, fpr| cost.mean(fnr, fpr));
        self.point(best.map_or(steps.last(), |b| b.1))
    }

    /// The operating point of the lowest threshold whose false-accept rate is at most `far`.
    pub fn at_far(&self, far: f64) -> Point {
        let steps = self.steps();
        self.point(steps.first(|_, fpr| fpr <= far).map_or(steps.last(), |(_, step)| step))
    }
}

#[cfg(test)]
mod tests;
