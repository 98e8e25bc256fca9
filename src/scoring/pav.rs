//! Log-likelihood ratios by the pool-adjacent-violators algorithm: the best map of scores that
//! never falls.
//!
//! Brümmer and du Preez, "The PAV algorithm optimizes binary proper scoring rules" (2013,
//! arXiv:1304.2331). Equal scores are pooled first. No counts are added, so that the ratio of
//! scores below every target is -inf, and of scores above every nontarget +inf.

use std::f64::consts::LN_2;

use super::{Curve, Scored};
use crate::error::Result;

/// Neighbouring scores that get one ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pool {
    targets: u64,
    nontargets: u64,
    /// The highest of the scores.
    highest: f64,
}

impl Pool {
    /// Whether the share of targets here is at least that of `next`.
    fn violates(&self, next: &Self) -> bool {
        let product = |a: u64, b: u64| u128::from(a) * u128::from(b);
        product(self.targets, next.nontargets) >= product(next.targets, self.nontargets)
    }
}

/// The pools of trials by ascending score. From pool to pool the share of targets rises.
fn pools(trials: &[Scored]) -> Vec<Pool> {
    let mut pools: Vec<Pool> = Vec::new();
    for equal in trials.chunk_by(|a, b| a.score == b.score) {
        let targets = equal.iter().filter(|t| t.pair.is_target()).count();
        let mut pool = Pool {
            targets: targets as u64,
            nontargets: (equal.len() - targets) as u64,
            highest: equal[0].score,
        };
        while let Some(before) = pools.last().filter(|before| before.violates(&pool)) {
            pool.targets += before.targets;
            pool.nontargets += before.nontargets;
            pools.pop();
        }
        pools.push(pool);
    }
    pools
}

/// The log-likelihood ratio of each trial, in the given order, by the monotone map that fits these
/// trials best: ln(targets / nontargets) in the trial's pool, minus the same of all trials. Each
/// trial has a score and a label (true = target). Ratios may be infinite.
///
/// # Errors
/// No targets, no nontargets, or a score that is not a number.
pub fn pav(trials: &[(f64, bool)]) -> Result<Vec<f64>> {
    let curve = Curve::new(trials.iter().copied())?;
    let pools = pools(curve.trials().0);
    let odds = |targets: f64, nontargets: f64| (targets / nontargets).ln();
    let all = odds(curve.targets as f64, curve.nontargets as f64);
    let llrs: Vec<f64> =
        pools.iter().map(|p| odds(p.targets as f64, p.nontargets as f64) - all).collect();
    let llr = |t: &(f64, bool)| llrs[pools.partition_point(|p| p.highest < t.0)];
    Ok(trials.iter().map(llr).collect())
}

/// The least Cllr, in bits, that a monotone map of these scores can have: that of [`pav`]. Each
/// trial has a score and a label (true = target).
///
/// # Errors
/// As [`pav`].
pub fn min_cllr(trials: &[(f64, bool)]) -> Result<f64> {
    Ok(Curve::new(trials.iter().copied())?.min_cllr())
}

impl Curve<'_> {
    /// [`min_cllr`] of these trials. It makes no copy of them.
    pub fn min_cllr(&self) -> f64 {
        let (targets, nontargets) = (self.targets as f64, self.nontargets as f64);
        // Bits of `some` trials where `others` of the other kind are in their pool. The shares are
        // those of each kind, so that both kinds weigh the same.
        let bits = |some: f64, others: f64| match some > 0.0 {
            true => some * (others / some).ln_1p() / LN_2,
            false => 0.0,
        };
        let cost = |p: &Pool| {
            let (t, n) = (p.targets as f64 / targets, p.nontargets as f64 / nontargets);
            bits(t, n) + bits(n, t)
        };
        0.5 * pools(self.trials().0).iter().map(cost).sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scoring::cllr;
    use crate::shared::{Tensors, json, shared};

    fn some_trials() -> impl Strategy<Value = Vec<(f64, bool)>> {
        let raw = prop::collection::vec((-6i32..6, any::<bool>()), 2..40);
        let trials = raw.prop_map(|raw| {
            raw.into_iter().map(|(s, target)| (f64::from(s) / 4.0, target)).collect::<Vec<_>>()
        });
        trials.prop_filter("both kinds", |t| t.iter().any(|t| t.1) && t.iter().any(|t| !t.1))
    }

    /// Isotonic regression by its min-max formula (Robertson, Wright and Dykstra, 1988): the value
    /// at a score is the largest over all lower ends, of the smallest over all upper ends, of the
    /// share of targets between them.
    fn share_by_the_formula(trials: &[(f64, bool)], at: f64) -> f64 {
        let scores: Vec<f64> = trials.iter().map(|t| t.0).collect();
        let share = |low: f64, high: f64| {
            let within: Vec<bool> =
                trials.iter().filter(|t| (low..=high).contains(&t.0)).map(|t| t.1).collect();
            within.iter().filter(|t| **t).count() as f64 / within.len() as f64
        };
        let least = |low: f64| {
            let ends = scores.iter().filter(|s| **s >= at);
            ends.map(|&high| share(low, high)).fold(f64::INFINITY, f64::min)
        };
        scores.iter().filter(|s| **s <= at).map(|&low| least(low)).fold(0.0, f64::max)
    }

    proptest! {
        #[test]
        fn ratios_are_isotonic_regression(trials in some_trials()) {
            let llrs = pav(&trials).unwrap();
            let targets = trials.iter().filter(|t| t.1).count() as f64;
            let all = (targets / (trials.len() as f64 - targets)).ln();
            for (&(score, _), llr) in trials.iter().zip(&llrs) {
                let share = share_by_the_formula(&trials, score);
                let wanted = (share / (1.0 - share)).ln() - all;
                prop_assert!(
                    *llr == wanted || (llr - wanted).abs() < 1e-9, "{}: {} {}", score, llr, wanted
                );
            }
            let mut sorted: Vec<(f64, f64)> =
                trials.iter().zip(&llrs).map(|(t, llr)| (t.0, *llr)).collect();
            sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
            prop_assert!(sorted.is_sorted_by(|a, b| a.1 <= b.1 && (a.0 < b.0 || a.1 == b.1)));
        }

        /// No rising map of the scores has a lower cost, and none changes the least one.
        #[test]
        fn no_monotone_map_costs_less(
            trials in some_trials(),
            steps in prop::collection::vec(0.0..2.0, 12),
            shift in -6.0..3.0,
        ) {
            let least = min_cllr(&trials).unwrap();
            let mapped: Vec<(f64, bool)> = trials
                .iter()
                .map(|&(s, target)| {
                    let place = (4.0 * s) as i32 + 6;
                    (shift + steps[..place as usize].iter().sum::<f64>(), target)
                })
                .collect();
            prop_assert!(cllr(&mapped).unwrap() >= least - 1e-12);
            let of_pav: Vec<(f64, bool)> =
                pav(&trials).unwrap().into_iter().zip(&trials).map(|(l, t)| (l, t.1)).collect();
            prop_assert!((cllr(&of_pav).unwrap() - least).abs() < 1e-12);
            let cubed: Vec<(f64, bool)> = trials.iter().map(|t| (t.0.powi(3) + t.0, t.1)).collect();
            prop_assert_eq!(min_cllr(&cubed).unwrap(), least);
            prop_assert!((0.0..=1.0 + 1e-12).contains(&least), "{}", least);
        }
    }

    #[test]
    fn ratios_equal_the_reference() {
        let Some(folder) = shared("fixtures/f10_backend") else { return };
        let (t, wanted) =
            (Tensors::open(folder.join("backend.safetensors")), json(folder.join("backend.json")));
        let labels = t.u8("labels/eval");
        for (scores, llrs, metrics) in [
            ("cosine/eval_mean", "pav/llr_cosine_eval", "cosine_eval_mean"),
            ("pav/tied_scores", "pav/llr_tied", "cosine_eval_rounded_1_decimal"),
        ] {
            let trials: Vec<(f64, bool)> =
                t.f64(scores).into_iter().zip(&labels).map(|(s, l)| (s, *l == 1)).collect();
            let (ours, theirs) = (pav(&trials).unwrap(), t.f64(llrs));
            assert!(ours.len() == theirs.len() && ours.iter().any(|l| l.is_infinite()), "{llrs}");
            for (ours, theirs) in ours.into_iter().zip(theirs) {
                // The file has 1e300 for infinity.
                let same = if theirs.abs() == 1e300 {
                    ours == theirs.signum() * f64::INFINITY
                } else {
                    (ours - theirs).abs() < 1e-10
                };
                assert!(same, "{llrs}: {ours} {theirs}");
            }
            let metrics = &wanted["metrics"][metrics];
            let least = metrics["min_cllr"].as_f64().unwrap();
            assert!((min_cllr(&trials).unwrap() - least).abs() < 1e-10, "{scores}");
            let curve = Curve::new(trials).unwrap();
            assert_eq!(pools(curve.trials().0).len() as u64, metrics["pav_blocks"]);
        }
    }

    #[test]
    fn special_scores() {
        let inf = f64::INFINITY;
        // Apart: no cost. All equal: no information, one bit. Zeros of both signs are equal.
        assert_eq!(pav(&[(1.0, true), (0.0, false)]).unwrap(), [inf, -inf]);
        assert_eq!(min_cllr(&[(1.0, true), (0.0, false)]).unwrap(), 0.0);
        assert_eq!(pav(&[(0.0, true), (-0.0, false)]).unwrap(), [0.0, 0.0]);
        assert_eq!(min_cllr(&[(3.0, true), (3.0, false), (3.0, false)]).unwrap(), 1.0);
        assert_eq!(pav(&[(inf, true), (-inf, false), (inf, false)]).unwrap()[1], -inf);
        for wrong in [vec![], vec![(1.0, true)], vec![(1.0, false)], vec![(f64::NAN, true)]] {
            assert!(pav(&wrong).is_err() && min_cllr(&wrong).is_err(), "{wrong:?}");
        }
    }
}
