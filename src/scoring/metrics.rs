//! EER and minDCF, ties included.
//!
//! Operating points exist only at distinct scores (accept if score >= threshold) plus "reject all": a tie is accepted or
//! rejected as a whole, so the result does not depend on the order of trials. Without ties this equals WeSpeaker's
//! `score_metrics.py`.

use crate::error::{Error, Result};

/// One operating point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Accept if score >= threshold; infinite for "reject all".
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
    /// The threshold there, interpolated likewise.
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
                threshold: back(key),
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
    let u = d0 / (d0 - d1);
    let threshold = match after.threshold.is_finite() {
        true => before.threshold + u * (after.threshold - before.threshold),
        false => before.threshold,
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
