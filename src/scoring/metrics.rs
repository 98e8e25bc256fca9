//! EER and minDCF, ties included.
//!
//! Operating points exist only at distinct scores (accept if score >= threshold) plus "reject all": a tie is accepted or
//! rejected as a whole, so the result does not depend on the order of trials. Without ties this equals WeSpeaker's
//! `score_metrics.py`.
//!
//! Every threshold from above one score up to the next gives the rates of the next. So scores of
//! +inf have a finite threshold: one above all other scores. Scores of -inf are accepted by no
//! finite threshold.

use crate::error::{Error, Result};

/// One operating point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Accept if score >= threshold; +inf for "reject all", -inf for "accept all" where there are
    /// scores of -inf.
    pub threshold: f64,
    /// Misses / targets.
    pub fnr: f64,
    /// False accepts / nontargets.
    pub fpr: f64,
}

/// Equal error rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Eer {
    /// The rate, 0 to 1, interpolated linearly between the two points around FNR = FPR.
    pub rate: f64,
    /// The threshold there, interpolated likewise. It lies above the first point's and up to the
    /// second's, so that decisions have the rates of the second. Where the second is "reject all",
    /// it is the first's: -inf if all scores are.
    pub threshold: f64,
}

/// Minimum of the normalised detection cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MinDcf {
    /// min over thresholds of (p FNR + (1 - p) FPR) / min(p, 1 - p), with both costs 1.
    pub cost: f64,
    /// The threshold there; infinite for "reject all".
    pub threshold: f64,
}

/// All operating points of a set of scores, by ascending threshold: from "accept all" to "reject all".
#[derive(Debug, Clone)]
pub struct Curve {
    points: Vec<Point>,
    /// Number of targets.
    pub targets: usize,
    /// Number of nontargets.
    pub nontargets: usize,
}

/// f64 as integers in the same order; both zeros are one value.
fn ordered(x: f64) -> u64 {
    let bits = (x + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

fn back(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key })
}

/// A threshold that accepts what `score` does, finite if there is one. `below` is the next lower
/// score.
fn finite(score: f64, below: Option<f64>) -> f64 {
    if score != f64::INFINITY {
        return score;
    }
    match below {
        Some(below) if below.is_finite() => {
            // Visibly above, in print too.
            let above = (below + below.abs().max(1.0) / 1024.0).min(f64::MAX);
            if above > below { above } else { score }
        }
        _ => 0.0,
    }
}

impl Curve {
    /// From scores and labels (true = target). No targets, no nontargets or a score that is not a number leave the rates undefined: an error.
    pub fn new(trials: impl IntoIterator<Item = (f64, bool)>) -> Result<Self> {
        let (mut targets, mut nontargets) = (Vec::new(), Vec::new());
        for (i, (score, target)) in trials.into_iter().enumerate() {
            if score.is_nan() {
                return Err(Error::Undefined(format!("the score of trial {} is not a number", i + 1)));
            }
            if target { &mut targets } else { &mut nontargets }.push(ordered(score));
        }
        if targets.is_empty() || nontargets.is_empty() {
            return Err(Error::Undefined(format!(
                "error rates need both kinds of trials; here are {} targets and {} nontargets",
                targets.len(),
                nontargets.len()
            )));
        }
        targets.sort_unstable();
        nontargets.sort_unstable();
        let (nt, nn) = (targets.len(), nontargets.len());
        let (per_target, per_nontarget) = (1.0 / nt as f64, 1.0 / nn as f64);
        let mut points = Vec::with_capacity(nt + nn + 1);
        let (mut t, mut n) = (0, 0);
        while t < nt || n < nn {
            let key = match (targets.get(t), nontargets.get(n)) {
                (Some(&a), Some(&b)) => a.min(b),
                (Some(&a), None) => a,
                (None, Some(&b)) => b,
                (None, None) => unreachable!("the loop ends first"),
            };
            points.push(Point {
                threshold: finite(back(key), points.last().map(|p: &Point| p.threshold)),
                fnr: t as f64 * per_target,
                fpr: (nn - n) as f64 * per_nontarget,
            });
            while targets.get(t) == Some(&key) {
                t += 1;
            }
            while nontargets.get(n) == Some(&key) {
                n += 1;
            }
        }
        points.push(Point { threshold: f64::INFINITY, fnr: 1.0, fpr: 0.0 });
        Ok(Self { points, targets: nt, nontargets: nn })
    }

    /// The operating points.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Equal error rate.
    pub fn eer(&self) -> Eer {
        // FNR - FPR never falls along the curve: -1 at its beginning, 1 at its end.
        let after = self.points.partition_point(|p| p.fnr < p.fpr);
        crossing(self.points[after - 1], self.points[after])
    }

    /// Normalised minimum detection cost at the prior `p_target`, costs 1 and 1.
    pub fn min_dcf(&self, p_target: f64) -> MinDcf {
        let mut best = MinDcf { cost: f64::INFINITY, threshold: f64::INFINITY };
        for p in &self.points {
            let cost = p_target * p.fnr + (1.0 - p_target) * p.fpr;
            if cost < best.cost {
                best = MinDcf { cost, threshold: p.threshold };
            }
        }
        best.cost /= p_target.min(1.0 - p_target);
        best
    }

    /// The lowest threshold whose false-accept rate is at most `far`, with its rates.
    pub fn at_far(&self, far: f64) -> Point {
        let i = self.points.partition_point(|p| p.fpr > far);
        self.points[i.min(self.points.len() - 1)]
    }
}

/// Where the line between two neighbouring points (FNR < FPR at the first, not at the second) meets FNR = FPR.
pub(super) fn crossing(before: Point, after: Point) -> Eer {
    let (d0, d1) = (before.fpr - before.fnr, after.fpr - after.fnr);
    // Above 0 and up to 1.
    let u = d0 / (d0 - d1);
    let threshold = match (before.threshold.is_finite(), after.threshold.is_finite()) {
        // The difference of the two may be infinite. Rounding must not lead back to the first.
        (true, true) if before.threshold < after.threshold => {
            let between = (1.0 - u) * before.threshold + u * after.threshold;
            between.clamp(before.threshold.next_up(), after.threshold)
        }
        (_, true) => after.threshold,
        (_, false) => before.threshold,
    };
    Eer { rate: before.fnr + u * (after.fnr - before.fnr), threshold }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, point by point, over every distinct threshold.
    fn brute_force(trials: &[(f64, bool)]) -> (f64, f64) {
        let mut thresholds: Vec<f64> = trials.iter().map(|t| t.0).collect();
        thresholds.sort_by(f64::total_cmp);
        thresholds.dedup();
        thresholds.push(f64::INFINITY);
        let rates = |t: f64| {
            let rate = |wanted: bool, hit: &dyn Fn(f64) -> bool| {
                let of = trials.iter().filter(|x| x.1 == wanted).count();
                trials.iter().filter(|x| x.1 == wanted && hit(x.0)).count() as f64 / of as f64
            };
            (rate(true, &|s| s < t), rate(false, &|s| s >= t))
        };
        let points: Vec<(f64, f64)> = thresholds.iter().map(|&t| rates(t)).collect();
        let dcf = points.iter().map(|(m, f)| (0.05 * m + 0.95 * f) / 0.05).fold(f64::INFINITY, f64::min);
        let i = points.iter().position(|(m, f)| m >= f).unwrap();
        let ((m0, f0), (m1, f1)) = (points[i - 1], points[i]);
        let u = (f0 - m0) / ((f0 - m0) - (f1 - m1));
        (m0 + u * (m1 - m0), dcf)
    }

    proptest! {
        #[test]
        fn equals_the_definition(raw in prop::collection::vec((-8i32..8, any::<bool>()), 2..60)) {
            let trials: Vec<(f64, bool)> = raw.iter().map(|&(s, t)| (f64::from(s) / 4.0, t)).collect();
            prop_assume!(trials.iter().any(|t| t.1) && trials.iter().any(|t| !t.1));
            let curve = Curve::new(trials.iter().copied()).unwrap();
            let (eer, dcf) = brute_force(&trials);
            prop_assert!((curve.eer().rate - eer).abs() < 1e-12);
            prop_assert!((curve.min_dcf(0.05).cost - dcf).abs() < 1e-12);
            // A rising map of the scores changes nothing.
            let cubed = Curve::new(trials.iter().map(|&(s, t)| (s * s * s + s, t))).unwrap();
            prop_assert!((cubed.eer().rate - eer).abs() < 1e-12);
            // Negating scores and exchanging the roles of the trials exchanges the error rates.
            let swapped = Curve::new(trials.iter().map(|&(s, t)| (-s, !t))).unwrap();
            prop_assert!((swapped.eer().rate - eer).abs() < 1e-9);
        }
    }

    /// Rates of a threshold, by definition.
    fn rates(trials: &[(f64, bool)], threshold: f64) -> (f64, f64) {
        let share = |wanted: bool, accepted: bool| {
            let kind: Vec<bool> = trials.iter().filter(|t| t.1 == wanted).map(|t| t.0 >= threshold).collect();
            kind.iter().filter(|a| **a == accepted).count() as f64 / kind.len() as f64
        };
        (share(true, false), share(false, true))
    }

    const INF: f64 = f64::INFINITY;

    #[test]
    fn infinite_scores_have_thresholds() {
        // Targets, nontargets, EER, range of the threshold, rates at it.
        type Case<'a> = (&'a [f64], &'a [f64], f64, (f64, f64), (f64, f64));
        let cases: [Case; 7] = [
            (&[INF, INF], &[0.1, 0.2], 0.0, (0.2001, 1e9), (0.0, 0.0)),
            (&[INF, 2.0, -INF], &[-INF, 1.0], 1.0 / 3.0, (1.0, 2.0), (1.0 / 3.0, 0.0)),
            (&[INF, -INF], &[INF, -INF], 0.5, (-1e9, 1e9), (0.5, 0.5)),
            (&[INF], &[INF], 0.5, (-1e9, 1e9), (0.0, 1.0)),
            (&[0.5], &[-INF, -INF], 0.0, (-1e9, 0.5), (0.0, 0.0)),
            (&[1e308, -1e308], &[-1e308, 1e308], 0.5, (0.0, 1e308), (0.5, 0.5)),
            (&[INF], &[f64::MAX / 2.0], 0.0, (f64::MAX / 2.0, f64::MAX), (0.0, 0.0)),
        ];
        for (targets, nontargets, eer, (low, high), wanted) in cases {
            let of = |scores: &[f64], label| scores.iter().map(|&s| (s, label)).collect::<Vec<_>>();
            let trials = [of(targets, true), of(nontargets, false)].concat();
            let curve = Curve::new(trials.iter().copied()).unwrap();
            let found = curve.eer();
            assert!((found.rate - eer).abs() < 1e-12, "{trials:?}: {found:?}");
            assert!((low..=high).contains(&found.threshold), "{trials:?}: {found:?}");
            assert_eq!(rates(&trials, found.threshold), wanted, "{trials:?}: {found:?}");
        }
        let none = Curve::new([(-INF, true), (-INF, false)]).unwrap().eer();
        assert_eq!((none.rate, none.threshold), (0.5, -INF));
        // At false-accept rates, too: all of the infinite ones, or nothing.
        let curve = Curve::new([(INF, true), (INF, false), (0.5, false)]).unwrap();
        assert!(curve.at_far(0.5).threshold > 0.5 && curve.at_far(0.5).threshold.is_finite());
        assert_eq!((curve.at_far(0.4).threshold, curve.at_far(0.4).fnr), (INF, 1.0));
    }

    proptest! {
        /// Decisions have the rates that the points promise, infinite scores or not.
        #[test]
        fn thresholds_keep_what_points_promise(raw in prop::collection::vec((-5i32..6, any::<bool>()), 2..40)) {
            let score = |s: i32| match s {
                -5 => -INF,
                5 => INF,
                s => f64::from(s) / 4.0,
            };
            let trials: Vec<(f64, bool)> = raw.iter().map(|&(s, t)| (score(s), t)).collect();
            prop_assume!(trials.iter().any(|t| t.1) && trials.iter().any(|t| !t.1));
            let curve = Curve::new(trials.iter().copied()).unwrap();
            let (points, last) = curve.points().split_at(curve.points().len() - 1);
            prop_assert!(points.iter().all(|p| p.threshold < INF) && last[0].threshold == INF);
            for p in points {
                let (fnr, fpr) = rates(&trials, p.threshold);
                prop_assert!((p.fnr - fnr).abs() < 1e-12 && (p.fpr - fpr).abs() < 1e-12, "{:?}", p);
            }
            let eer = curve.eer();
            prop_assert!(eer.rate.is_finite() && eer.threshold < INF, "{:?}", eer);
            let after = curve.points().partition_point(|p| p.fnr < p.fpr);
            let promised = &curve.points()[if after + 1 == curve.points().len() { after - 1 } else { after }];
            let (fnr, fpr) = rates(&trials, eer.threshold);
            prop_assert!((promised.fnr - fnr).abs() < 1e-12 && (promised.fpr - fpr).abs() < 1e-12, "{:?}", eer);
        }
    }

    #[test]
    fn undefined_is_an_error() {
        for trials in [vec![], vec![(1.0, true)], vec![(1.0, false)], vec![(1.0, true), (f64::NAN, false)]] {
            assert!(Curve::new(trials).is_err());
        }
    }

    #[test]
    fn thresholds_at_false_accept_rates() {
        let trials = (0..100).map(|i| (f64::from(i), false)).chain([(50.0, true), (200.0, true)]);
        let curve = Curve::new(trials).unwrap();
        let p = curve.at_far(0.1);
        assert_eq!((p.threshold, p.fpr, p.fnr), (90.0, 0.1, 0.5));
        assert_eq!(curve.at_far(0.0).threshold, 200.0);
        assert_eq!(curve.at_far(1.0).threshold, 0.0);
        assert!(ordered(-0.0) == ordered(0.0) && ordered(-1.0) < ordered(-0.5) && back(ordered(-2.5)) == -2.5);
    }
}
