use super::keys::back;
use super::*;
use proptest::prelude::*;

/// EER and minDCF(0.05) by the definition, over every distinct threshold.
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
    let dcf =
        points.iter().map(|(m, f)| (0.05 * m + 0.95 * f) / 0.05).fold(f64::INFINITY, f64::min);
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

/// The rates at a threshold, by the definition.
fn rates(trials: &[(f64, bool)], threshold: f64) -> (f64, f64) {
    let share = |wanted: bool, accepted: bool| {
        let kind: Vec<bool> =
            trials.iter().filter(|t| t.1 == wanted).map(|t| t.0 >= threshold).collect();
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
    // At a false-accept rate, all infinite scores are accepted, or none.
    let curve = Curve::new([(INF, true), (INF, false), (0.5, false)]).unwrap();
    assert!(curve.at_far(0.5).threshold > 0.5 && curve.at_far(0.5).threshold.is_finite());
    assert_eq!((curve.at_far(0.4).threshold, curve.at_far(0.4).fnr), (INF, 1.0));
}

proptest! {
    /// Decisions at a point's threshold have the point's rates, infinite scores or not.
    #[test]
    fn thresholds_have_the_rates_of_their_points(
        raw in prop::collection::vec((-5i32..6, any::<bool>()), 2..40),
    ) {
        let score = |s: i32| match s {
            -5 => -INF,
            5 => INF,
            s => f64::from(s) / 4.0,
        };
        let trials: Vec<(f64, bool)> = raw.iter().map(|&(s, t)| (score(s), t)).collect();
        prop_assume!(trials.iter().any(|t| t.1) && trials.iter().any(|t| !t.1));
        let curve = Curve::new(trials.iter().copied()).unwrap();
        let all: Vec<Point> = curve.points().collect();
        let (last, points) = all.split_last().unwrap();
        prop_assert!(points.iter().all(|p| p.threshold < INF) && last.threshold == INF);
        for p in points {
            let (fnr, fpr) = rates(&trials, p.threshold);
            prop_assert!((p.fnr - fnr).abs() < 1e-12 && (p.fpr - fpr).abs() < 1e-12, "{:?}", p);
        }
        let eer = curve.eer();
        prop_assert!(eer.rate.is_finite() && eer.threshold < INF, "{:?}", eer);
        let after = all.partition_point(|p| p.fnr < p.fpr);
        let promised = &all[if after + 1 == all.len() { after - 1 } else { after }];
        let (fnr, fpr) = rates(&trials, eer.threshold);
        let off = [promised.fnr - fnr, promised.fpr - fpr];
        prop_assert!(off.iter().all(|d| d.abs() < 1e-12), "{:?}", eer);
    }
}

#[test]
fn undefined_is_an_error() {
    for trials in
        [vec![], vec![(1.0, true)], vec![(1.0, false)], vec![(1.0, true), (f64::NAN, false)]]
    {
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
}

#[test]
fn both_zeros_are_one_score() {
    let curve =
        Curve::new([(-0.0, true), (0.0, false), (0.0, true), (-0.0, false), (1.0, true)]).unwrap();
    let points: Vec<Point> = curve.points().collect();
    assert_eq!(points.len(), 3);
    assert!(points[0].threshold == 0.0 && points[0].threshold.is_sign_positive(), "{points:?}");
    assert_eq!((points[1].fnr, points[1].fpr), (2.0 * (1.0 / 3.0), 0.0));
}

#[test]
fn trials_of_others_are_sorted_and_kept() {
    let mut stream = crate::rng::Stream::new(4, "test", &[]);
    let mut trials: Vec<Scored> = (0..20_000u32)
        .map(|i| {
            let target = stream.chance(0.3);
            let score = (stream.normal() + if target { 1.0 } else { 0.0 }) as f32;
            Scored { score: f64::from(score), pair: Pair::new(i, i / 2, Some(target)) }
        })
        .collect();
    let owned = Curve::new(trials.iter().map(|t| (t.score, t.pair.is_target()))).unwrap();
    let borrowed = Curve::of(&mut trials).unwrap();
    assert!(owned.points().eq(borrowed.points()) && owned.parts() > 100);
    let all: Vec<Point> = owned.points().collect();
    for (prior, far) in [(0.01, 0.1), (0.05, 1e-3), (0.5, 0.0), (0.9, 1.0)] {
        assert_eq!(owned.at_far(far), *all.iter().find(|p| p.fpr <= far).unwrap());
        let cost = |p: &Point| prior * p.fnr + (1.0 - prior) * p.fpr;
        let best = all.iter().fold(all[0], |best, p| if cost(p) < cost(&best) { *p } else { best });
        assert_eq!(borrowed.at_min_dcf(prior), best);
        let MinDcf { cost: found, threshold } = borrowed.min_dcf(prior);
        assert_eq!((found, threshold), (cost(&best) / prior.min(1.0 - prior), best.threshold));
    }
    let after = all.iter().position(|p| p.fnr >= p.fpr).unwrap();
    assert_eq!(owned.eer(), crossing(all[after - 1], all[after]));
    drop(borrowed);
    assert!(trials.is_sorted_by(|a, b| a.score <= b.score));
    let mut ids: Vec<u32> = trials.iter().map(|t| t.pair.enroll()).collect();
    ids.sort_unstable();
    assert!(ids.into_iter().eq(0..20_000));
    trials[7].score = f64::NAN;
    assert!(Curve::of(&mut trials).is_err());
}

#[test]
fn keys_have_the_order_of_their_numbers() {
    let numbers =
        [f64::NEG_INFINITY, -1e300, -1.0, -5e-324, -0.0, 0.0, 5e-324, 1.0, 1e300, f64::INFINITY];
    assert!(numbers.map(ordered).is_sorted_by(|a, b| a < b));
    for x in numbers {
        assert_eq!(back(ordered(x)).to_bits(), x.to_bits(), "{x}");
    }
}
