//! Operating points, and what is found at them.

use std::fmt;

/// One operating point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Accept if score >= threshold. "Reject all" is +inf; "accept all" is -inf where a score is
    /// -inf.
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
    /// The threshold there, interpolated likewise. It is greater than the first point's and at most
    /// the second's, so that decisions have the rates of the second point. Where the second point
    /// is "reject all", it is the first point's: -inf if all scores are -inf.
    pub threshold: f64,
}

/// One line for a person: `3.21 %`.
impl fmt::Display for Eer {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:.2} %", 100.0 * self.rate)
    }
}

/// Minimum of the normalised detection cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MinDcf {
    /// min over thresholds of (p m FNR + (1 - p) f FPR) / min(p m, (1 - p) f), with the prior p and
    /// the costs m of a miss and f of a false accept.
    pub cost: f64,
    /// The threshold there; infinite for "reject all".
    pub threshold: f64,
}

/// A threshold that accepts the same trials as `score`, finite where one exists. `below` is the
/// next lower score.
pub(super) fn finite(score: f64, below: Option<f64>) -> f64 {
    if score != f64::INFINITY {
        return score;
    }
    match below {
        Some(below) if below.is_finite() => {
            // Far enough above `below` to differ from it in print.
            let above = (below + below.abs().max(1.0) / 1024.0).min(f64::MAX);
            if above > below { above } else { score }
        }
        _ => 0.0,
    }
}

/// Where the line between two neighbouring points (FNR < FPR at the first, not at the second) meets
/// FNR = FPR.
pub(in crate::scoring) fn crossing(before: Point, after: Point) -> Eer {
    let (d0, d1) = (before.fpr - before.fnr, after.fpr - after.fnr);
    // Above 0 and up to 1.
    let u = d0 / (d0 - d1);
    let threshold = match (before.threshold.is_finite(), after.threshold.is_finite()) {
        // The difference of the two may overflow. Rounding must not give the first one.
        (true, true) if before.threshold < after.threshold => {
            let between = (1.0 - u) * before.threshold + u * after.threshold;
            between.clamp(before.threshold.next_up(), after.threshold)
        }
        (_, true) => after.threshold,
        (_, false) => before.threshold,
    };
    Eer { rate: before.fnr + u * (after.fnr - before.fnr), threshold }
}
