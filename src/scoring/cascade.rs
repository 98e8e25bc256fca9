//! Two models for one list of trials: a small one decides where its score is clear, and a large one
//! where it is not.
//!
//! The scores of both models are log-likelihood ratios (LLR), so that they are of one scale and may
//! stand in one list. The idea of such a pair is that of arXiv 2606.08078. The choice of the band
//! is a reconstruction of ours, not taken from there.

mod merged;

use std::fmt;
use std::str::FromStr;

use self::merged::{Merged, Ranks};
use super::Curve;
use crate::error::{Error, Result};

/// Parts, of equal numbers of trials, between which bands begin and end.
const PARTS: usize = 400;

/// Rates closer than this are equal: their sums are rounded.
const ROUNDING: f64 = 1e-12;

/// The LLRs of the small model that are not clear: `low <= llr < high`. An infinite end is no
/// limit. As text: `-1.5:2.25`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    /// The lowest LLR in it, natural logarithm.
    pub low: f64,
    /// The lowest LLR above it.
    pub high: f64,
}

impl Band {
    /// The band without any LLR.
    pub const NONE: Self = Self { low: 0.0, high: 0.0 };

    /// A band from `low` up to `high`.
    ///
    /// # Errors
    /// An end that is not a number; `low` above `high`.
    pub fn new(low: f64, high: f64) -> Result<Self> {
        match low <= high {
            true => Ok(Self { low, high }),
            false => Err(Error::Invalid(format!("a band cannot go from {low} to {high}"))),
        }
    }

    /// Whether the small model's LLR is in the band, so that the large model decides.
    pub fn holds(&self, llr: f64) -> bool {
        self.low <= llr && (llr < self.high || self.high == f64::INFINITY)
    }
}

impl fmt::Display for Band {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}:{}", self.low, self.high)
    }
}

impl FromStr for Band {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let ends = text.split_once(':').map(|(low, high)| (low.parse(), high.parse()));
        match ends {
            Some((Ok(low), Ok(high))) => Self::new(low, high),
            _ => Err(Error::Invalid(format!("`{text}` is no band: LOW:HIGH, two LLRs, is wanted"))),
        }
    }
}

/// The LLRs of a trial by both models, and its label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BothLlrs {
    /// By the small model, natural logarithm.
    pub small: f64,
    /// By the large model.
    pub large: f64,
    /// Whether both sides have the same speaker.
    pub target: bool,
}

/// A band, and what it does to the trials that it was chosen on. Rates are 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChosenBand {
    /// The band.
    pub band: Band,
    /// Share of the trials that are in it, 0 to 1.
    pub share: f64,
    /// Equal error rate of both models together.
    pub eer: f64,
    /// Equal error rate of the small model alone.
    pub small_eer: f64,
    /// Equal error rate of the large model alone.
    pub large_eer: f64,
}

/// Trials of a band, and their equal error rate.
#[derive(Clone, Copy)]
struct Candidate {
    /// Place of the first trial in the band, by ascending LLR of the small model.
    from: usize,
    /// Place behind the last.
    to: usize,
    eer: f64,
}

impl Candidate {
    fn is_better(&self, than: &Self) -> bool {
        let (count, other) = (self.to - self.from, than.to - than.from);
        count < other || count == other && self.eer < than.eer
    }
}

/// Chooses the band that sends the fewest trials to the large model, such that the equal error rate
/// of the merged LLRs is at most that of the large model plus `loss` (0.001 for 0.1 points).
///
/// It tries every band from one of at most 401 edges to another. The edges are LLRs of the small
/// model, at equal numbers of trials from each other. Up to 400 trials have all of their LLRs as
/// edges. Of bands with equally many trials it takes that of the lowest equal error rate, and then
/// the lowest one. Below the lowest trial and above the highest nothing is known of the small
/// model: a band that reaches one of them has no limit there.
///
/// For n trials it takes up to 400 n log n steps, and fewer the fewer trials are in the band.
///
/// # Errors
/// A loss outside 0 to 1; an LLR that is not finite; no targets or no nontargets.
pub fn choose_band(dev: &[BothLlrs], loss: f64) -> Result<ChosenBand> {
    choose(dev, loss, PARTS)
}

fn choose(dev: &[BothLlrs], loss: f64, parts: usize) -> Result<ChosenBand> {
    if !(0.0..=1.0).contains(&loss) {
        return Err(Error::Invalid(format!("a loss of {loss}: 0 to 1 is possible")));
    }
    if let Some(i) = dev.iter().position(|t| !t.small.is_finite() || !t.large.is_finite()) {
        return Err(Error::Undefined(format!("an LLR of trial {} is not finite", i + 1)));
    }
    let small_eer = Curve::new(dev.iter().map(|t| (t.small, t.target)))?.eer().rate;
    let large_eer = Curve::new(dev.iter().map(|t| (t.large, t.target)))?.eer().rate;
    let mut dev = dev.to_vec();
    dev.sort_by(|a, b| a.small.total_cmp(&b.small));
    let edges = edges(&dev, parts);
    let (best, limit) = (Candidate { from: 0, to: dev.len(), eer: large_eer }, large_eer + loss);
    let best = fewest(&dev, &edges, limit + ROUNDING, best);
    let (first, count) = (|i: usize| dev.get(i).map(|t| t.small), best.to - best.from);
    let band = match count {
        0 => Band::NONE,
        _ => Band {
            low: first(best.from).filter(|_| best.from > 0).unwrap_or(f64::NEG_INFINITY),
            high: first(best.to).unwrap_or(f64::INFINITY),
        },
    };
    let share = count as f64 / dev.len() as f64;
    Ok(ChosenBand { band, share, eer: best.eer, small_eer, large_eer })
}

/// The places of sorted trials at which bands may begin or end. Trials of equal LLRs stay together.
fn edges(sorted: &[BothLlrs], parts: usize) -> Vec<usize> {
    let count = sorted.len();
    let first_of_equals = |i: usize| sorted.partition_point(|t| t.small < sorted[i].small);
    let starts = (0..parts).map(|k| first_of_equals(k * count / parts));
    let mut edges: Vec<usize> = starts.chain([count]).collect();
    edges.dedup();
    edges
}

/// The best of `best` and of all candidates between edges whose equal error rate is at most
/// `limit`.
fn fewest(sorted: &[BothLlrs], edges: &[usize], limit: f64, mut best: Candidate) -> Candidate {
    let ranks = Ranks::of(sorted);
    let small = Merged::of_small(&ranks);
    for (i, &from) in edges.iter().enumerate() {
        let mut merged = small.clone();
        let mut done = from;
        for &to in &edges[i..] {
            if to - from > best.to - best.from {
                break;
            }
            (done..to).for_each(|place| merged.replace(place));
            done = to;
            let candidate = Candidate { from, to, eer: merged.eer().rate };
            if candidate.eer <= limit {
                // Longer ones from here have more trials.
                if candidate.is_better(&best) {
                    best = candidate;
                }
                break;
            }
        }
    }
    best
}

#[cfg(test)]
mod tests;
