//! Confidence intervals by resampling speakers.
//!
//! Trials of one speaker are not independent, so resampling trials gives intervals that are far too
//! narrow. Here each replicate draws as many speakers as there are, with replacement; a nontarget
//! trial counts as often as the product of its two speakers' draws, a target trial as often as its
//! speaker was drawn. The interval is the 2.5 % and 97.5 % quantile. The same replicates give the
//! interval of the miss rate at each false-accept rate of a grid: the band around a DET curve.

use std::collections::HashMap;

use rayon::prelude::*;

use super::band::{BandPoint, GRID, grid};
use super::metrics::{Point, crossing};
use crate::error::{Error, Result};
use crate::rng::Stream;

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
    /// Of the normalised minDCF, one for each prior asked for.
    pub min_dcf: Vec<Interval>,
    /// Of the miss rate at 64 false-accept rates: ascending, in equal steps of their normal
    /// quantile, from that of half a false accept (1e-5 if that is less) to 95 %.
    pub band: Vec<BandPoint>,
    /// Replicates that could be used (some may draw no targets).
    pub replicates: usize,
    /// Speakers resampled.
    pub speakers: usize,
}

/// A trial as the bootstrap sees it.
struct Weighted {
    score: f64,
    target: bool,
    speakers: (u32, u32),
}

/// What one replicate says.
struct Rates {
    eer: f64,
    /// At each prior.
    min_dcf: Vec<f64>,
    /// Miss rates at the grid's false-accept rates; f32, since there are as many arrays as
    /// replicates.
    misses: [f32; GRID],
}

/// 95 % intervals of EER, of minDCF at `priors` and of the miss rate along the curve. Each trial
/// has a score, a label and the speakers of its two sides. `done` is called after each replicate.
pub fn bootstrap(
    trials: &[(f64, bool, u32, u32)],
    priors: &[f64],
    replicates: usize,
    seed: u64,
    done: &(dyn Fn() + Sync),
) -> Result<Intervals> {
    let speakers = trials.iter().map(|t| t.2.max(t.3) as usize + 1).max().unwrap_or(0);
    let mut sorted: Vec<Weighted> =
        trials.iter().map(|&(score, target, a, b)| Weighted { score, target, speakers: (a, b) }).collect();
    sorted.sort_unstable_by(|a, b| a.score.total_cmp(&b.score));
    let grid = grid(trials.iter().filter(|t| !t.1).count());
    let results: Vec<Rates> = (0..replicates)
        .into_par_iter()
        .filter_map(|r| {
            let mut stream = Stream::new(seed, "bootstrap", &[r as u64]);
            let mut draws = vec![0u32; speakers];
            for _ in 0..speakers {
                draws[stream.below(speakers)] += 1;
            }
            let rates = replicate(&sorted, &draws, priors, &grid);
            done();
            rates
        })
        .collect();
    if results.len() < 20 {
        return Err(Error::Undefined(format!(
            "no interval: only {} of {replicates} resamplings of {speakers} speakers held both kinds of trials",
            results.len()
        )));
    }
    Ok(Intervals {
        eer: quantiles(results.iter().map(|r| r.eer).collect()),
        min_dcf: (0..priors.len()).map(|p| quantiles(results.iter().map(|r| r.min_dcf[p]).collect())).collect(),
        band: (0..GRID)
            .map(|k| {
                let Interval { low, high } = quantiles(results.iter().map(|r| f64::from(r.misses[k])).collect());
                BandPoint { fpr: grid[k], low, high }
            })
            .collect(),
        replicates: results.len(),
        speakers,
    })
}

/// The rates of one replicate in one pass over the sorted trials; none if it lacks targets or
/// nontargets.
fn replicate(sorted: &[Weighted], draws: &[u32], priors: &[f64], grid: &[f64; GRID]) -> Option<Rates> {
    let weight = |t: &Weighted| -> u64 {
        let (a, b) = (u64::from(draws[t.speakers.0 as usize]), u64::from(draws[t.speakers.1 as usize]));
        if t.target { a } else { a * b }
    };
    let (mut targets, mut nontargets) = (0u64, 0u64);
    for t in sorted {
        *(if t.target { &mut targets } else { &mut nontargets }) += weight(t);
    }
    if targets == 0 || nontargets == 0 {
        return None;
    }
    let (mut missed, mut rejected) = (0u64, 0u64);
    let mut before = Point { threshold: f64::NEG_INFINITY, fnr: 0.0, fpr: 1.0 };
    let mut eer = None;
    let mut costs = vec![f64::INFINITY; priors.len()];
    let mut misses = [0.0; GRID];
    // Thresholds ascend and false accepts fall: the grid is filled from its end.
    let mut unfilled = GRID;
    let mut visit = |p: Point| {
        for (cost, prior) in costs.iter_mut().zip(priors) {
            *cost = cost.min((prior * p.fnr + (1.0 - prior) * p.fpr) / prior.min(1.0 - prior));
        }
        if eer.is_none() && p.fnr >= p.fpr {
            eer = Some(crossing(before, p).rate);
        }
        while unfilled > 0 && p.fpr <= grid[unfilled - 1] {
            unfilled -= 1;
            misses[unfilled] = p.fnr as f32;
        }
        before = p;
    };
    let mut i = 0;
    while i < sorted.len() {
        let threshold = sorted[i].score;
        visit(Point { threshold, fnr: missed as f64 / targets as f64, fpr: 1.0 - rejected as f64 / nontargets as f64 });
        while i < sorted.len() && sorted[i].score == threshold {
            *(if sorted[i].target { &mut missed } else { &mut rejected }) += weight(&sorted[i]);
            i += 1;
        }
    }
    visit(Point { threshold: f64::INFINITY, fnr: 1.0, fpr: 0.0 });
    eer.map(|eer| Rates { eer, min_dcf: costs, misses })
}

/// The 2.5 % and 97.5 % quantiles, interpolated.
fn quantiles(mut values: Vec<f64>) -> Interval {
    values.sort_by(f64::total_cmp);
    let at = |q: f64| {
        let x = q * (values.len() - 1) as f64;
        let (i, u) = (x as usize, x.fract());
        let next = values[(i + 1).min(values.len() - 1)];
        values[i] + u * (next - values[i])
    };
    Interval { low: at(0.025), high: at(0.975) }
}

/// Speakers as far as a trial list tells: utterances that some chain of target trials connects are
/// one speaker's. Returns a speaker number for each utterance named in `trials` (enrollment id,
/// test id, is target).
pub fn speakers_from_targets<'a>(trials: impl Iterator<Item = (&'a str, &'a str, bool)>) -> HashMap<&'a str, u32> {
    fn root(parent: &mut [u32], mut i: u32) -> u32 {
        while parent[i as usize] != i {
            parent[i as usize] = parent[parent[i as usize] as usize];
            i = parent[i as usize];
        }
        i
    }
    let mut ids: HashMap<&str, u32> = HashMap::new();
    let mut parent: Vec<u32> = Vec::new();
    for (enroll, test, target) in trials {
        let mut number = |id| {
            *ids.entry(id).or_insert_with(|| {
                parent.push(parent.len() as u32);
                parent.len() as u32 - 1
            })
        };
        let (a, b) = (number(enroll), number(test));
        if target {
            let (a, b) = (root(&mut parent, a), root(&mut parent, b));
            parent[a.max(b) as usize] = a.min(b);
        }
    }
    let mut names: HashMap<u32, u32> = HashMap::new();
    let mut order: Vec<(&str, u32)> = ids.into_iter().collect();
    order.sort_unstable_by_key(|x| x.1);
    order
        .into_iter()
        .map(|(id, number)| {
            let r = root(&mut parent, number);
            let next = names.len() as u32;
            (id, *names.entry(r).or_insert(next))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::Curve;

    fn trials(speakers: u32, per: u32) -> Vec<(f64, bool, u32, u32)> {
        let mut stream = Stream::new(5, "test", &[]);
        let mut all = Vec::new();
        for a in 0..speakers {
            for b in 0..speakers {
                for _ in 0..per {
                    let shift = if a == b { 1.5 } else { 0.0 };
                    all.push((stream.normal() + shift, a == b, a, b));
                }
            }
        }
        all
    }

    #[test]
    fn drawing_everyone_once_is_the_plain_estimate() {
        let trials = trials(8, 3);
        let mut sorted: Vec<Weighted> =
            trials.iter().map(|t| Weighted { score: t.0, target: t.1, speakers: (t.2, t.3) }).collect();
        sorted.sort_by(|a, b| a.score.total_cmp(&b.score));
        let grid = grid(trials.iter().filter(|t| !t.1).count());
        let rates = replicate(&sorted, &[1; 8], &[0.05], &grid).unwrap();
        let curve = Curve::new(trials.iter().map(|t| (t.0, t.1))).unwrap();
        assert!((rates.eer - curve.eer().rate).abs() < 1e-12);
        assert!((rates.min_dcf[0] - curve.min_dcf(0.05).cost).abs() < 1e-12);
        for (fpr, miss) in grid.into_iter().zip(rates.misses) {
            assert_eq!(miss, curve.at_far(fpr).fnr as f32, "{fpr}");
        }
        assert!(replicate(&sorted, &[0; 8], &[0.05], &grid).is_none());
    }

    /// Two speakers. By score: nontarget 0.0, target of speaker 0 at 0.2, nontarget 0.4, target of
    /// speaker 1 at 0.6.
    #[test]
    fn miss_rates_of_a_replicate_equal_those_by_hand() {
        let trial = |score, target, a, b| Weighted { score, target, speakers: (a, b) };
        let sorted = [trial(0.0, false, 0, 1), trial(0.2, true, 0, 0), trial(0.4, false, 0, 1), trial(0.6, true, 1, 1)];
        let grid = grid(2);
        let misses = |draws: &[u32]| replicate(&sorted, draws, &[], &grid).unwrap().misses;
        // Everyone once: with one of two false accepts nothing is missed, without any one of two
        // targets is.
        let plain: Vec<f32> = grid.iter().map(|f| if *f >= 0.5 { 0.0 } else { 0.5 }).collect();
        assert!(plain.contains(&0.0) && plain.contains(&0.5));
        assert_eq!(misses(&[1, 1])[..], plain[..]);
        // Speaker 0 three times: three of four targets are missed where no nontarget is accepted.
        let thrice: Vec<f32> = grid.iter().map(|f| if *f >= 0.5 { 0.0 } else { 0.75 }).collect();
        assert_eq!(misses(&[3, 1])[..], thrice[..]);
    }

    #[test]
    fn the_band_holds_the_curve_falls_and_narrows_with_more_speakers() {
        let trials = |n| trials(n, 2);
        let run = |n| bootstrap(&trials(n), &[], 300, 1, &|| ()).unwrap().band;
        let (few, many) = (run(8), run(40));
        let curve = Curve::new(trials(40).iter().map(|t| (t.0, t.1))).unwrap();
        assert_eq!(many.len(), GRID);
        let estimate = |fpr: f64| f64::from(curve.at_far(fpr).fnr as f32);
        let held = many.iter().filter(|b| (b.low..=b.high).contains(&estimate(b.fpr))).count();
        assert!(held > GRID * 9 / 10, "{held} of {GRID}");
        for w in many.windows(2) {
            assert!(w[0].fpr < w[1].fpr && w[0].low >= w[1].low && w[0].high >= w[1].high, "{w:?}");
        }
        let widest = |band: &[BandPoint]| band.iter().map(|b| b.high - b.low).fold(0.0, f64::max);
        assert!(widest(&many) < 0.6 * widest(&few), "{} {}", widest(&many), widest(&few));
    }

    #[test]
    fn intervals_hold_the_estimate_repeat_and_narrow_with_more_speakers() {
        let run = |n| bootstrap(&trials(n, 2), &[0.01, 0.05], 300, 1, &|| ()).unwrap();
        let (few, many) = (run(8), run(40));
        let eer = Curve::new(trials(40, 2).iter().map(|t| (t.0, t.1))).unwrap().eer().rate;
        assert!(many.eer.low < eer && eer < many.eer.high);
        assert!(many.eer.high - many.eer.low < few.eer.high - few.eer.low);
        assert_eq!(run(8), few);
        assert!(bootstrap(&[(0.0, true, 0, 0), (1.0, true, 0, 0)], &[], 100, 1, &|| ()).is_err());
    }

    #[test]
    fn target_trials_tell_who_is_who() {
        let list =
            [("a1", "a2", true), ("a2", "a3", true), ("b1", "b2", true), ("a1", "b1", false), ("c", "b2", false)];
        let who = speakers_from_targets(list.into_iter());
        assert_eq!(who["a1"], who["a3"]);
        assert_eq!(who["b1"], who["b2"]);
        assert!(who["a1"] != who["b1"] && who["c"] != who["a1"] && who["c"] != who["b1"]);
        let mut numbers: Vec<u32> = who.values().copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers, [0, 1, 2]);
    }
}
