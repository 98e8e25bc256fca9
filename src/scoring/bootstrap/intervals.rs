//! Intervals, and what two of them say of a difference.

use crate::scoring::band::BandPoint;

/// A two-sided interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// 95 % intervals.
#[derive(Debug, Clone, PartialEq)]
pub struct Intervals {
    /// Of the equal error rate.
    pub eer: Interval,
    /// Of the normalised minDCF, one for each prior or application asked for.
    pub min_dcf: Vec<Interval>,
    /// Of the miss rate at 64 ascending false-accept rates, in equal steps of their normal
    /// quantile. The first rate is half a false accept, but at least 1e-5; the last is 95 %.
    pub band: Vec<BandPoint>,
    /// Replicates that could be used (some may draw no targets).
    pub replicates: usize,
    /// Speakers resampled.
    pub speakers: usize,
    /// The equal error rate of each replicate.
    pub(super) eers: Vec<f64>,
}

impl Intervals {
    /// The 95 % interval of the equal error rate's difference: that of these trials minus that of
    /// `other`. Both must be of the same trials, scored by two systems, with the same numbers of
    /// speakers and the same seed. Then each replicate draws the same speakers for both, and what
    /// these speakers do to both rates cancels. None where the replicates are not as many.
    pub fn eer_difference(&self, other: &Self) -> Option<Interval> {
        let is_paired = (self.speakers, self.eers.len()) == (other.speakers, other.eers.len());
        let differences = self.eers.iter().zip(&other.eers).map(|(a, b)| a - b);
        is_paired.then(|| quantiles(differences.collect()))
    }
}

/// The 2.5 % and 97.5 % quantiles, interpolated.
pub(super) fn quantiles(mut values: Vec<f64>) -> Interval {
    values.sort_by(f64::total_cmp);
    let at = |q: f64| {
        let x = q * (values.len() - 1) as f64;
        let (i, u) = (x as usize, x.fract());
        let next = values[(i + 1).min(values.len() - 1)];
        values[i] + u * (next - values[i])
    };
    Interval { low: at(0.025), high: at(0.975) }
}
