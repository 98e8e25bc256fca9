//! Bands by a plain twin, and what every band must keep.

use proptest::prelude::*;

use super::*;

/// Trials with both kinds of labels, with LLRs of few values so that ties occur.
fn trials(most: usize) -> impl Strategy<Value = Vec<BothLlrs>> {
    let trial = (-12i32..13, -12i32..13, any::<bool>()).prop_map(|(small, large, target)| {
        let shift = if target { 2.5 } else { -2.5 };
        BothLlrs {
            small: f64::from(small) / 2.0 + shift / 2.0,
            large: f64::from(large) / 3.0 + shift,
            target,
        }
    });
    prop::collection::vec(trial, 2..most).prop_filter("both kinds", |all| {
        all.iter().any(|t| t.target) && all.iter().any(|t| !t.target)
    })
}

/// The equal error rate of the merged list.
fn eer(trials: &[BothLlrs], band: Band) -> f64 {
    let merged = |t: &BothLlrs| if band.holds(t.small) { t.large } else { t.small };
    Curve::new(trials.iter().map(|t| (merged(t), t.target))).unwrap().eer().rate
}

fn count(trials: &[BothLlrs], band: Band) -> usize {
    trials.iter().filter(|t| band.holds(t.small)).count()
}

/// Every band between two LLRs of the small model, by the definition: number of trials and equal
/// error rate of the best.
fn by_definition(trials: &[BothLlrs], loss: f64) -> (usize, f64) {
    let ends = || trials.iter().map(|t| t.small);
    let lows = || ends().chain([f64::NEG_INFINITY]);
    let highs = || ends().chain([f64::INFINITY]);
    let limit = Curve::new(trials.iter().map(|t| (t.large, t.target))).unwrap().eer().rate + loss;
    let mut best = (usize::MAX, f64::INFINITY);
    for (low, high) in lows().flat_map(|low| highs().map(move |high| (low, high))) {
        let Ok(band) = Band::new(low, high) else { continue };
        let count = count(trials, band);
        if count > best.0 {
            continue;
        }
        let eer = eer(trials, band);
        if eer <= limit + ROUNDING && (count < best.0 || eer < best.1) {
            best = (count, eer);
        }
    }
    best
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_best_band_is_that_of_the_definition(all in trials(20), loss in 0.0..0.3) {
        for loss in [0.0, loss] {
            let chosen = choose_band(&all, loss).unwrap();
            let (fewest, lowest) = by_definition(&all, loss);
            prop_assert_eq!(count(&all, chosen.band), fewest);
            prop_assert!((chosen.eer - lowest).abs() < 1e-12, "{chosen:?} {lowest}");
        }
    }

    /// Whatever the number of edges: what is said of a band is true, and the limit is kept.
    #[test]
    fn bands_keep_their_promises(all in trials(120), loss in 0.0..0.3, parts in 1usize..130) {
        let chosen = choose(&all, loss, parts).unwrap();
        let band = chosen.band;
        prop_assert!((eer(&all, band) - chosen.eer).abs() < 1e-12, "{chosen:?}");
        let share = count(&all, band) as f64 / all.len() as f64;
        prop_assert!((share - chosen.share).abs() < 1e-12, "{chosen:?} {share}");
        prop_assert!(chosen.eer <= chosen.large_eer + loss + 2.0 * ROUNDING, "{chosen:?}");
        prop_assert!((eer(&all, Band::NONE) - chosen.small_eer).abs() < 1e-12);
        // A loss that the small model keeps alone needs no other.
        let enough = (chosen.small_eer - chosen.large_eer).max(0.0);
        prop_assert_eq!(choose(&all, enough, parts).unwrap().share, 0.0);
        // A smaller loss never needs fewer trials.
        prop_assert!(choose(&all, loss / 2.0, parts).unwrap().share >= chosen.share);
        // The order of the trials does not matter.
        let turned: Vec<BothLlrs> = all.iter().rev().copied().collect();
        prop_assert_eq!(choose(&turned, loss, parts).unwrap(), chosen);
    }

    #[test]
    fn two_equal_models_need_no_second(all in trials(60)) {
        let same: Vec<BothLlrs> = all.iter().map(|t| BothLlrs { large: t.small, ..*t }).collect();
        let chosen = choose_band(&same, 0.0).unwrap();
        prop_assert_eq!((chosen.share, chosen.band), (0.0, Band::NONE));
    }

    /// The list changes trial by trial, and its rate is that of the whole list at any time.
    #[test]
    fn rates_follow_every_change(all in trials(60)) {
        let ranks = Ranks::of(&all);
        let mut merged = Merged::of_small(&ranks);
        for done in 0..=all.len() {
            let llr = |(i, t): (usize, &BothLlrs)| if i < done { t.large } else { t.small };
            let list = all.iter().enumerate().map(|(i, t)| (llr((i, t)), t.target));
            let wanted = Curve::new(list).unwrap().eer().rate;
            prop_assert!((merged.eer().rate - wanted).abs() < 1e-12, "{done}");
            if done < all.len() {
                merged.replace(done);
            }
        }
    }
}

#[test]
fn the_lower_end_is_in_the_band_and_the_upper_is_not() {
    let band: Band = "-1.5:2.25".parse().unwrap();
    assert_eq!(
        [(-1.5f64).next_down(), -1.5, 2.0, 2.25].map(|x| band.holds(x)),
        [false, true, true, false]
    );
    assert!([-1.0, 0.0, 1.0].iter().all(|x| !Band::NONE.holds(*x)));
    let open = Band::new(f64::NEG_INFINITY, f64::INFINITY).unwrap();
    assert!([f64::NEG_INFINITY, 0.0, f64::INFINITY].iter().all(|x| open.holds(*x)));
}

#[test]
fn bands_are_read_as_they_are_written() {
    for (low, high) in [(-0.1, 0.3), (f64::NEG_INFINITY, 1e-7), (1.0 / 3.0, f64::INFINITY)] {
        let band = Band::new(low, high).unwrap();
        assert_eq!(band.to_string().parse::<Band>().unwrap(), band);
    }
    for (text, wanted) in [
        ("1", "`1` is no band"),
        ("a:1", "LOW:HIGH"),
        ("1:2:3", "no band"),
        ("2:1", "cannot go from 2 to 1"),
        ("nan:1", "cannot go from NaN"),
    ] {
        let error = text.parse::<Band>().unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn a_band_that_reaches_the_last_trial_has_no_limit_there() {
    // The small model tells nothing, and the large one everything.
    let trial = |i: i32| BothLlrs {
        small: f64::from(i / 2),
        large: if i % 2 == 0 { -5.0 } else { 5.0 },
        target: i % 2 == 1,
    };
    let all: Vec<BothLlrs> = (0..20).map(trial).collect();
    let chosen = choose_band(&all, 0.0).unwrap();
    assert_eq!((chosen.share, chosen.eer, chosen.large_eer), (1.0, 0.0, 0.0));
    assert_eq!(chosen.band, Band { low: f64::NEG_INFINITY, high: f64::INFINITY });
}

#[test]
fn bad_trials_are_refused() {
    let trial = |small, large, target| BothLlrs { small, large, target };
    let (a, b) = (trial(1.0, 1.0, true), trial(-1.0, -1.0, false));
    for (trials, loss, wanted) in [
        (vec![a, a], 0.0, "2 targets and 0 nontargets"),
        (vec![], 0.0, "0 targets"),
        (vec![a, b], -0.1, "a loss of -0.1"),
        (vec![a, b], f64::NAN, "a loss of NaN"),
        (vec![a, b, trial(0.0, f64::NAN, true)], 0.0, "trial 3 is not finite"),
        (vec![a, trial(f64::INFINITY, 0.0, true), b], 0.0, "trial 2 is not finite"),
    ] {
        let error = choose_band(&trials, loss).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}
