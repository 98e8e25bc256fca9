use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::rng::Stream;

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

fn sorted(trials: &[(f64, bool, u32, u32)]) -> Vec<Scored> {
    let mut all: Vec<Scored> = trials
        .iter()
        .map(|t| Scored { score: t.0, pair: Pair::new(t.2, t.3, Some(t.1)) })
        .collect();
    sort(&mut all);
    all
}

/// A replicate with these draws.
fn replicate(
    sorted: &[Scored],
    draws: &[u32],
    priors: &[f64],
    grid: &[f64; GRID],
) -> Option<Rates> {
    let (blocks, drawn) = (Blocks::of(sorted), [Draws::from(draws)]);
    let sums = sums(sorted, &blocks, &drawn);
    super::replicate(sorted, &blocks, &drawn[0], &sums[0], &at(priors), grid)
}

/// The same by the definition, in one pass over all trials.
fn by_the_definition(
    sorted: &[Scored],
    draws: &[u32],
    priors: &[f64],
    grid: &[f64; GRID],
) -> Option<Rates> {
    let weight = |t: &Scored| {
        let [a, b] =
            [t.pair.enroll(), t.pair.test()].map(|speaker| u64::from(draws[speaker as usize]));
        if t.pair.is_target() { a } else { a * b }
    };
    let of = |trials: &[Scored], target: bool| -> u64 {
        trials.iter().filter(|t| t.pair.is_target() == target).map(weight).sum()
    };
    let (targets, nontargets) = (of(sorted, true), of(sorted, false));
    if targets == 0 || nontargets == 0 {
        return None;
    }
    let (mut missed, mut rejected) = (0u64, 0u64);
    let mut points = Vec::new();
    for group in sorted.chunk_by(|a, b| a.score == b.score) {
        let (fnr, fpr) =
            (missed as f64 / targets as f64, 1.0 - rejected as f64 / nontargets as f64);
        points.push(Point { threshold: group[0].score, fnr, fpr });
        missed += of(group, true);
        rejected += of(group, false);
    }
    points.push(Point { threshold: f64::INFINITY, fnr: 1.0, fpr: 0.0 });
    let cost = |prior: f64| {
        let costs =
            points.iter().map(|p| (prior * p.fnr + (1.0 - prior) * p.fpr) / prior.min(1.0 - prior));
        costs.fold(f64::INFINITY, f64::min)
    };
    let after = points.iter().position(|p| p.fnr >= p.fpr)?;
    Some(Rates {
        eer: crossing(points[after - 1], points[after]).rate,
        min_dcf: priors.iter().map(|&p| cost(p)).collect(),
        misses: grid.map(|far| points.iter().find(|p| p.fpr <= far).unwrap().fnr as f32),
    })
}

#[test]
fn replicates_are_those_of_the_definition_to_the_bit() {
    let mut stream = Stream::new(8, "test", &[]);
    let mut compared = 0;
    for round in 0..30 {
        let speakers = 2 + stream.below(20) as u32;
        let mut all = trials(speakers, 1 + 40 / speakers);
        if round % 3 == 0 {
            // Rounding makes ties.
            all.iter_mut().for_each(|t| t.0 = (4.0 * t.0).round() / 4.0);
        }
        let (sorted, grid) = (sorted(&all), grid(all.iter().filter(|t| !t.1).count()));
        let blocks = Blocks::of(&sorted);
        let drawn: Vec<Draws> =
            (0..LANES - round % 3).map(|r| Draws::of(round as u64, r, speakers as usize)).collect();
        let sums = sums(&sorted, &blocks, &drawn);
        for (draws, sums) in drawn.iter().zip(&sums) {
            let plain: Vec<u32> = (0..speakers).map(|s| draws.of_speaker(s) as u32).collect();
            let priors = [0.01, 0.05, 0.5];
            let found = super::replicate(&sorted, &blocks, draws, sums, &at(&priors), &grid);
            match (found, by_the_definition(&sorted, &plain, &priors, &grid)) {
                (Some(found), Some(wanted)) => {
                    assert_eq!((found.eer, found.min_dcf), (wanted.eer, wanted.min_dcf), "{round}");
                    assert_eq!(found.misses, wanted.misses, "{round}");
                    compared += 1;
                }
                (found, wanted) => assert_eq!(found.is_some(), wanted.is_some(), "{round}"),
            }
        }
    }
    // 210 replicates, of which a few lack nontargets.
    assert!(compared > 150, "{compared}");
}

#[test]
fn a_curve_is_resampled_as_its_trials_are() {
    let trials = trials(10, 4);
    let mut pairs = sorted(&trials);
    let curve = Curve::of(&mut pairs).unwrap();
    let counted = AtomicUsize::new(0);
    let done = || {
        counted.fetch_add(1, Ordering::Relaxed);
    };
    let ours = bootstrap_curve(&curve, &[0.01, 0.05], 45, 3, &done).unwrap();
    assert_eq!(ours, bootstrap(&trials, &[0.01, 0.05], 45, 3, &done).unwrap());
    assert_eq!((ours.replicates, counted.into_inner()), (45, 90));
}

#[test]
fn drawing_everyone_once_is_the_plain_estimate() {
    let trials = trials(8, 3);
    let sorted = sorted(&trials);
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

/// Two speakers. The trials by score: a nontarget at 0.0, a target of speaker 0 at 0.2, a nontarget
/// at 0.4, a target of speaker 1 at 0.6.
#[test]
fn miss_rates_of_a_replicate_equal_those_by_hand() {
    let sorted =
        sorted(&[(0.0, false, 0, 1), (0.2, true, 0, 0), (0.4, false, 0, 1), (0.6, true, 1, 1)]);
    let grid = grid(2);
    let misses = |draws: &[u32]| replicate(&sorted, draws, &[], &grid).unwrap().misses;
    // Everyone once: with one false accept of two no target is missed; without any, one of two is.
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
fn too_few_resamplings_are_told() {
    let error = |trials: &[(f64, bool, u32, u32)], replicates| {
        bootstrap(trials, &[0.01], replicates, 1, &|| ()).unwrap_err().to_string()
    };
    let wanted = "no interval: 19 resamplings are too few, 20 are needed";
    assert_eq!(error(&trials(40, 2), 19), wanted);
    let text = error(&[(0.0, true, 0, 0), (1.0, true, 0, 0)], 100);
    assert!(text.contains("only 0 of 100 resamplings of 1 speakers"), "{text}");
    assert!(text.ends_with("and 20 are needed"), "{text}");
}

/// Two systems on the same trials: one adds noise of its own to the scores of the other.
#[test]
fn a_paired_difference_is_narrower_than_its_parts() {
    let first = trials(40, 2);
    let mut stream = Stream::new(9, "test", &[]);
    let noisy = |t: &(f64, bool, u32, u32)| (t.0 + 0.5 * stream.normal(), t.1, t.2, t.3);
    let second: Vec<(f64, bool, u32, u32)> = first.iter().map(noisy).collect();
    let run = |trials: &[(f64, bool, u32, u32)], replicates| {
        bootstrap(trials, &[0.05], replicates, 1, &|| ()).unwrap()
    };
    let (a, b) = (run(&first, 300), run(&second, 300));
    let Interval { low, high } = b.eer_difference(&a).unwrap();
    let eer = |trials: &[(f64, bool, u32, u32)]| {
        Curve::new(trials.iter().map(|t| (t.0, t.1))).unwrap().eer().rate
    };
    let difference = eer(&second) - eer(&first);
    assert!(low < difference && difference < high, "{low} {difference} {high}");
    let widths = (a.eer.high - a.eer.low) + (b.eer.high - b.eer.low);
    assert!(high - low < widths, "{low} {high} {widths}");
    assert_eq!(a.eer_difference(&a), Some(Interval { low: 0.0, high: 0.0 }));
    assert_eq!(a.eer_difference(&run(&second, 200)), None);
}

#[test]
fn costs_other_than_one_have_intervals() {
    let trials = trials(20, 2);
    let curve = Curve::new(trials.iter().map(|t| (t.0, t.1))).unwrap();
    let mut pairs = sorted(&trials);
    let of_pairs = Curve::of(&mut pairs).unwrap();
    let costs = [Cost::new(0.01, 10.0, 1.0).unwrap(), Cost::at_prior(0.05)];
    let ours = bootstrap_costs(&of_pairs, &costs, 60, 3, &|| ()).unwrap();
    let plain = bootstrap(&trials, &[0.01, 0.05], 60, 3, &|| ()).unwrap();
    assert_eq!(ours.min_dcf[1], plain.min_dcf[1]);
    let Interval { low, high } = ours.min_dcf[0];
    let cost = curve.min_cost(&costs[0]).cost;
    assert!(low < high && high != plain.min_dcf[0].high && cost < high + 0.1, "{low} {high}");
}
