//! Confidence intervals by resampling speakers.
//!
//! Trials of one speaker are not independent, so resampling trials gives intervals that are far too
//! narrow. Here each replicate draws as many speakers as there are, with replacement; a nontarget
//! trial counts as often as the product of its two speakers' draws, a target trial as often as its
//! speaker was drawn. The interval is the 2.5 % and 97.5 % quantile. The same replicates give the
//! interval of the miss rate at each false-accept rate of a grid: the band around a DET curve.
//!
//! One pass over the trials sums the weights of each block of trials, for several replicates at
//! once. Everything else follows from these sums and from the trials of few blocks.

mod intervals;

use rayon::prelude::*;

use self::intervals::quantiles;
pub use self::intervals::{Interval, Intervals};
use super::band::{BandPoint, GRID, grid};
use super::blocks::Blocks;
use super::metrics::{Curve, Point, crossing};
use super::speakers::{Draws, LANES};
use super::steps::{Step, Steps, Sums, Weights, cumulative, sort};
use super::{Cost, Scored};
use crate::corpus::Pair;
use crate::error::{Error, Result};

/// Replicates behind an interval, at least.
const LEAST: usize = 20;

/// Trials whose weights are summed by one thread.
const PART: usize = 1 << 14;

/// The error rates of one replicate.
struct Rates {
    eer: f64,
    /// In each application.
    min_dcf: Vec<f64>,
    /// Miss rates at the grid's false-accept rates; f32, since there are as many arrays as
    /// replicates.
    misses: [f32; GRID],
}

/// 95 % intervals of EER, of minDCF at `priors` (0 to 1) and of the miss rate along the curve. Each
/// trial has a score, a label and the speakers of its two sides, which are numbers below 2^31.
/// `done` is called after each replicate.
///
/// # Errors
/// Fewer than 20 replicates with both kinds of trials.
pub fn bootstrap(
    trials: &[(f64, bool, u32, u32)],
    priors: &[f64],
    replicates: usize,
    seed: u64,
    done: &(dyn Fn() + Sync),
) -> Result<Intervals> {
    let trial = |&(score, target, a, b): &(f64, bool, u32, u32)| Scored {
        score,
        pair: Pair::new(a, b, Some(target)),
    };
    let mut sorted: Vec<Scored> = trials.iter().map(trial).collect();
    sort(&mut sorted);
    resample(&sorted, &Blocks::of(&sorted), &at(priors), replicates, seed, done)
}

/// [`bootstrap`] of a curve whose trials are pairs of speakers. It makes no copy of them.
///
/// # Errors
/// As [`bootstrap`].
pub fn bootstrap_curve(
    curve: &Curve,
    priors: &[f64],
    replicates: usize,
    seed: u64,
    done: &(dyn Fn() + Sync),
) -> Result<Intervals> {
    bootstrap_costs(curve, &at(priors), replicates, seed, done)
}

/// [`bootstrap_curve`] with minDCF in other applications than those whose costs are 1.
///
/// # Errors
/// As [`bootstrap`].
pub fn bootstrap_costs(
    curve: &Curve,
    costs: &[Cost],
    replicates: usize,
    seed: u64,
    done: &(dyn Fn() + Sync),
) -> Result<Intervals> {
    let (trials, blocks) = curve.trials();
    resample(trials, blocks, costs, replicates, seed, done)
}

/// The applications with these priors and costs of 1.
fn at(priors: &[f64]) -> Vec<Cost> {
    priors.iter().map(|&prior| Cost::at_prior(prior)).collect()
}

fn resample(
    trials: &[Scored],
    blocks: &Blocks,
    costs: &[Cost],
    replicates: usize,
    seed: u64,
    done: &(dyn Fn() + Sync),
) -> Result<Intervals> {
    if replicates < LEAST {
        return Err(Error::Undefined(format!(
            "no interval: {replicates} resamplings are too few, {LEAST} are needed"
        )));
    }
    let sides = |t: &Scored| t.pair.enroll().max(t.pair.test()) as usize + 1;
    let speakers = trials.par_iter().map(sides).max().unwrap_or(0);
    let grid = grid(trials.par_iter().filter(|t| !t.pair.is_target()).count());
    let mut results: Vec<Rates> = Vec::new();
    for first in (0..replicates).step_by(LANES) {
        let drawn: Vec<Draws> = (first..replicates.min(first + LANES))
            .into_par_iter()
            .map(|replicate| Draws::of(seed, replicate, speakers))
            .collect();
        let sums = sums(trials, blocks, &drawn);
        let rates: Vec<Option<Rates>> = drawn
            .par_iter()
            .zip(&sums)
            .map(|(draws, sums)| {
                let rates = replicate(trials, blocks, draws, sums, costs, &grid);
                done();
                rates
            })
            .collect();
        results.extend(rates.into_iter().flatten());
    }
    if results.len() < LEAST {
        return Err(Error::Undefined(format!(
            "no interval: only {} of {replicates} resamplings of {speakers} speakers held both \
             kinds of trials, and {LEAST} are needed",
            results.len()
        )));
    }
    let eers: Vec<f64> = results.iter().map(|r| r.eer).collect();
    Ok(Intervals {
        eer: quantiles(eers.clone()),
        min_dcf: (0..costs.len())
            .map(|p| quantiles(results.iter().map(|r| r.min_dcf[p]).collect()))
            .collect(),
        band: (0..GRID)
            .map(|k| {
                let Interval { low, high } =
                    quantiles(results.iter().map(|r| f64::from(r.misses[k])).collect());
                BandPoint { fpr: grid[k], low, high }
            })
            .collect(),
        replicates: results.len(),
        speakers,
        eers,
    })
}

/// Weights of trials in several replicates.
#[derive(Clone, Copy)]
struct Tally {
    missed: [u64; LANES],
    all: [u64; LANES],
}

impl Tally {
    const NONE: Self = Self { missed: [0; LANES], all: [0; LANES] };

    /// The weights of `trials`. `draws` has a row for each speaker, and a last row of ones, which
    /// stands in for the second side of target trials.
    fn of(trials: &[Scored], draws: &[[u32; LANES]]) -> Self {
        let (mut tally, one) = (Self::NONE, draws.len() - 1);
        for t in trials {
            let target = t.pair.is_target();
            let mask = u64::from(target).wrapping_neg();
            let enroll = &draws[t.pair.enroll() as usize];
            let test = &draws[if target { one } else { t.pair.test() as usize }];
            let lanes = enroll.iter().zip(test).zip(tally.missed.iter_mut().zip(&mut tally.all));
            for ((a, b), (missed, all)) in lanes {
                let weight = u64::from(*a) * u64::from(*b);
                *missed += weight & mask;
                *all += weight;
            }
        }
        tally
    }

    fn and(self, other: Self) -> Self {
        let add = |a: [u64; LANES], b: [u64; LANES]| std::array::from_fn(|i| a[i] + b[i]);
        Self { missed: add(self.missed, other.missed), all: add(self.all, other.all) }
    }
}

/// The [`cumulative`] weights of the blocks, for each replicate.
fn sums(trials: &[Scored], blocks: &Blocks, drawn: &[Draws]) -> Vec<Vec<Sums>> {
    let draws = Draws::side_by_side(drawn);
    let tally = |block: usize| {
        // All trials may have one score, and then they are one block.
        let parts =
            trials[blocks.range(block)].par_chunks(PART).map(|some| Tally::of(some, &draws));
        parts.reduce(|| Tally::NONE, Tally::and)
    };
    let tallies: Vec<Tally> = (0..blocks.len()).into_par_iter().map(tally).collect();
    let lane = |i: usize| cumulative(tallies.iter().map(|t| (t.missed[i], t.all[i] - t.missed[i])));
    (0..drawn.len()).map(lane).collect()
}

/// A target trial weighs the draws of its speaker, a nontarget trial the product of both speakers'
/// draws.
#[derive(Clone, Copy)]
struct Drawn<'a> {
    draws: &'a Draws,
    all: Sums,
}

impl Weights for Drawn<'_> {
    fn weight(self, pair: Pair) -> u64 {
        let (a, b) = (self.draws.of_speaker(pair.enroll()), self.draws.of_speaker(pair.test()));
        if pair.is_target() { a } else { a * b }
    }

    fn rates(self, (missed, rejected): Sums) -> (f64, f64) {
        (missed as f64 / self.all.0 as f64, 1.0 - rejected as f64 / self.all.1 as f64)
    }
}

/// The rates of one replicate. None if it lacks targets or nontargets.
fn replicate(
    trials: &[Scored],
    blocks: &Blocks,
    draws: &Draws,
    sums: &[Sums],
    costs: &[Cost],
    grid: &[f64; GRID],
) -> Option<Rates> {
    let all = *sums.last()?;
    if all.0 == 0 || all.1 == 0 {
        return None;
    }
    let steps = Steps { trials, blocks, sums, weights: Drawn { draws, all } };
    let min_dcf = |cost: &Cost| {
        let normalised = |fnr: f64, fpr: f64| cost.mean(fnr, fpr) / cost.without_scores();
        steps.cheapest(normalised).map_or(f64::INFINITY, |best| best.0)
    };
    let (before, after) = steps.first(|fnr, fpr| fnr >= fpr)?;
    // Only the rate of the crossing is used, and thresholds do not change it.
    let point = |step: Step| Point { threshold: 0.0, fnr: step.fnr, fpr: step.fpr };
    let miss = |far: f64| {
        steps.first(|_, fpr| fpr <= far).map_or(steps.last(), |(_, step)| step).fnr as f32
    };
    Some(Rates {
        eer: crossing(point(before), point(after)).rate,
        min_dcf: costs.iter().map(min_dcf).collect(),
        misses: grid.map(miss),
    })
}

#[cfg(test)]
mod tests;
