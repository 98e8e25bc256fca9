mod f10;

use proptest::prelude::*;

use super::*;
use crate::rng::Stream;

fn close(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance, "{a} {b}");
}

/// Trials of random scores with another column: targets are higher.
fn random(seed: u64, trials: usize, apart: f64) -> (Vec<f64>, Vec<bool>) {
    let mut stream = Stream::new(seed, "test", &[]);
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    for i in 0..trials {
        let target = i % 3 == 0;
        let noise = 3.0 + stream.uniform();
        values.extend([
            100.0 * stream.normal() + if target { 100.0 * apart } else { 0.0 },
            0.01 * noise,
        ]);
        labels.push(target);
    }
    (values, labels)
}

/// The derivatives of the cost by weights and bias, each times the spread of what it weighs.
fn gradient(line: &Line, values: &[f64], labels: &[bool], prior: f64) -> [f64; 3] {
    let targets = labels.iter().filter(|t| **t).count() as f64;
    let mut sums = [0.0; 3];
    for (row, &target) in values.chunks(2).zip(labels) {
        let posterior = probability(line.llr(row), prior);
        let slope = match target {
            true => prior * (posterior - 1.0) / targets,
            false => (1.0 - prior) * posterior / (labels.len() as f64 - targets),
        };
        for (sum, x) in sums.iter_mut().zip([row[0] / 100.0, row[1] / 0.01, 1.0]) {
            *sum += slope * x;
        }
    }
    sums
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_cost_is_flat_at_the_line(seed: u64, prior in 0.001..0.999f64, apart in 0.0..2.5f64) {
        let (values, labels) = random(seed, 300, apart);
        let line = fit_line(&TrialTable::new(2, &values, &labels).unwrap(), prior).unwrap();
        prop_assert_eq!(line.penalty, 0.0);
        let slopes = gradient(&line, &values, &labels, prior);
        prop_assert!(slopes.iter().all(|x| x.abs() < 1e-10), "{slopes:?}");
    }

    #[test]
    fn the_order_of_trials_does_not_matter(seed: u64) {
        let (values, labels) = random(seed, 200, 1.0);
        let mut order: Vec<usize> = (0..200).collect();
        Stream::new(seed, "order", &[]).shuffle(&mut order);
        let row = |&i: &usize| [values[2 * i], values[2 * i + 1]];
        let other: Vec<f64> = order.iter().flat_map(row).collect();
        let names: Vec<bool> = order.iter().map(|&i| labels[i]).collect();
        let line = fit_line(&TrialTable::new(2, &values, &labels).unwrap(), 0.1).unwrap();
        let again = fit_line(&TrialTable::new(2, &other, &names).unwrap(), 0.1).unwrap();
        for row in values.chunks(2) {
            prop_assert!((line.llr(row) - again.llr(row)).abs() < 1e-9);
        }
    }
}

#[test]
fn separated_trials_get_a_penalty() {
    // Apart, touching, and the wrong way round.
    for scores in [[0.1, 0.2, 0.7, 0.9], [0.1, 0.5, 0.5, 0.9], [0.9, 0.7, 0.2, 0.1]] {
        let labels = [false, false, true, true];
        let line = fit_line(&TrialTable::new(1, &scores, &labels).unwrap(), 0.1).unwrap();
        close(line.penalty, 0.1 / 4.0, 1e-15);
        let ratios = scores.map(|s| line.llr(&[s]));
        assert!(ratios.iter().all(|r| r.abs() < 20.0) && ratios[0] < ratios[3], "{ratios:?}");
    }
    // One trial on the wrong side is enough for a finite line.
    let (scores, labels) = ([0.1, 0.6, 0.5, 0.9], [false, false, true, true]);
    assert_eq!(fit_line(&TrialTable::new(1, &scores, &labels).unwrap(), 0.1).unwrap().penalty, 0.0);
    // A second column that separates a part of the trials: it is better the larger its weight.
    let values = [0.1, 0.0, 0.6, 0.0, 0.5, 0.0, 0.9, 0.0, 0.4, 1.0, 0.3, 1.0];
    let labels = [false, false, true, true, true, true];
    let line = fit_line(&TrialTable::new(2, &values, &labels).unwrap(), 0.5).unwrap();
    assert!(line.penalty > 0.0 && line.weights[1].is_finite(), "{line:?}");
}

#[test]
fn what_cannot_be_fitted_is_refused() {
    let fails = |scores: &[f64], labels: &[bool], wanted: &str| {
        let error = TrialTable::new(1, scores, labels).and_then(|t| fit_line(&t, 0.5)).unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
    };
    fails(&[0.5, 0.5, 0.5], &[true, false, false], "all scores are equal");
    fails(&[0.5, 0.4], &[true, true], "2 targets and 0 nontargets");
    fails(&[0.5, 0.4], &[false, false], "0 targets and 2 nontargets");
    fails(&[0.5, f64::NEG_INFINITY], &[true, false], "trial 2 is -inf");
    let table = TrialTable::new(1, &[0.5, 0.4], &[true, false]).unwrap();
    assert!([0.0, 1.0, f64::NAN].iter().all(|&prior| fit_line(&table, prior).is_err()));
}

/// Trials between `n` speakers with three utterances each: the speakers of both sides.
fn sides(n: u32) -> Vec<(u32, u32)> {
    let targets = (0..n).flat_map(|s| [(s, s); 3]);
    targets.chain((0..n).flat_map(|a| (a + 1..n).map(move |b| (a, b)))).collect()
}

#[test]
fn tested_speakers_are_unseen() {
    let (n, folds) = (12, 4);
    let sides = sides(n);
    let mut stream = Stream::new(5, "test", &[]);
    let labels: Vec<bool> = sides.iter().map(|(a, b)| a == b).collect();
    let scores: Vec<f64> =
        labels.iter().map(|&t| stream.normal() + if t { 1.5 } else { 0.0 }).collect();
    let of = |scores: &[f64]| {
        let table = TrialTable::new(1, scores, &labels).unwrap();
        cross_validate(&table, &sides, 0.3, folds, 7).unwrap()
    };
    let ratios = of(&scores);
    for speaker in 0..n {
        // The speaker's scores change, and with them the ratios of its own trials, by the same
        // line as before.
        let is_own = |i: usize| sides[i].0 == speaker || sides[i].1 == speaker;
        let changed = |i: usize, s: &f64| if is_own(i) { s + 0.25 } else { *s };
        let other: Vec<f64> = scores.iter().enumerate().map(|(i, s)| changed(i, s)).collect();
        let found = of(&other);
        let own: Vec<usize> = (0..sides.len()).filter(|&i| is_own(i)).collect();
        let slope = |i: usize| (found[i] - ratios[i]) / 0.25;
        let [first, second] = [own[0], own[1]].map(slope);
        close(first, second, 1e-9);
        assert!(own.iter().all(|&i| slope(i) > 0.0));
        // Lines of other folds have seen it.
        assert!((0..sides.len()).any(|i| !is_own(i) && found[i] != ratios[i]));
    }
    let few = super::cross_validate(
        &TrialTable::new(1, &[0.1, 0.2], &[true, false]).unwrap(),
        &[(0, 0), (0, 1)],
        0.3,
        5,
        7,
    );
    assert!(few.unwrap_err().to_string().contains("three folds"));
}

#[test]
fn a_calibration_is_fitted_and_kept() {
    let sides = sides(20);
    let mut stream = Stream::new(9, "test", &[]);
    let labels: Vec<bool> = sides.iter().map(|(a, b)| a == b).collect();
    // Ratios of these scores are known: 4 s - 2 for normal scores of means 0 and 1, variance 1/4.
    let score = |t: &bool| 0.5 * stream.normal() + f64::from(u8::from(*t));
    let values: Vec<f64> = labels.iter().map(score).flat_map(|s| [s, 7.0]).collect();
    let columns = parse_columns("ratio-norm").unwrap();
    let table = TrialTable::new(2, &values, &labels).unwrap();
    let regression = Regression { prior: 0.1, fit_prior: 0.5, folds: 5, seed: 1 };
    let found = regression.fit(&columns, &table, &sides).unwrap();
    let calibration = found.calibration;
    // A column that does not vary is left out.
    assert_eq!(found.left_out, [columns[1]]);
    assert_eq!(calibration.columns, [Column::Score]);
    calibration.check().unwrap();
    assert_eq!((calibration.fitted.prior, calibration.fitted.fit_prior), (0.1, Some(0.5)));
    // Without it, the score is alone.
    assert_eq!(found.score_cllr, Some(calibration.fitted.cllr));
    let Fitted { targets, nontargets, speakers, cllr, min_cllr, .. } = calibration.fitted;
    assert_eq!((targets, nontargets, speakers), (60, 190, 20));
    assert!(min_cllr > 0.0 && min_cllr < cllr && cllr < 1.0, "{min_cllr} {cllr}");
    let found_costs = (found.min_dcf, found.act_dcf);
    assert!(found.min_dcf > 0.0 && found.act_dcf < 1.0, "{found_costs:?}");
    assert!((calibration.weights[0] - 4.0).abs() < 2.0, "{calibration}");
    let alone: Vec<f64> = values.iter().step_by(2).copied().collect();
    let alone = TrialTable::new(1, &alone, &labels).unwrap();
    let line = fit_line(&alone, 0.5).unwrap();
    close(line.weights[0], calibration.weights[0], 1e-9);
    assert_eq!(regression.fit(&columns[..1], &alone, &sides).unwrap().score_cllr, None);
    let text = serde_json::to_string(&calibration).unwrap();
    let read: Calibration = serde_json::from_str(&text).unwrap();
    let none = Evidence::default();
    let llr = |c: &Calibration| c.llr(0.7, &none, &none).unwrap();
    close(llr(&read), llr(&calibration), 1e-12);
    assert_eq!(read.fitted.targets, 60);
}

#[test]
fn quality_counts_as_far_as_it_was_seen() {
    let mut calibration = Calibration {
        columns: parse_columns("min-seconds").unwrap(),
        weights: vec![2.0, 0.5],
        bias: -1.0,
        fitted: Fitted { prior: 0.5, seconds: Some([1.0, 10.0]), ..Fitted::default() },
    };
    let side = |seconds| Evidence { seconds: Some(seconds), ..Evidence::default() };
    let llr = |c: &Calibration, a, b| c.llr(0.25, &side(a), &side(b)).unwrap();
    assert_eq!(llr(&calibration, 4.0, 6.0), 0.5 + 2.0 - 1.0);
    assert_eq!(llr(&calibration, 40.0, 60.0), llr(&calibration, 10.0, 10.0));
    assert_eq!(calibration.to_string(), "2.0000 score + 0.5000 min-seconds - 1.0000");
    let unknown = calibration.llr(0.25, &side(4.0), &Evidence::default()).unwrap_err();
    let wanted = "the seconds of speech of the test recording are not known";
    assert_eq!(unknown.to_string(), wanted);
    calibration.check().unwrap();
    calibration.fitted.seconds = Some([2.0, 1.0]);
    assert!(calibration.check().unwrap_err().to_string().contains("seconds"));
}

#[test]
fn columns_have_names() {
    let names = |text: &str| -> Vec<String> {
        parse_columns(text).unwrap().iter().map(Column::to_string).collect()
    };
    let all = names("wespeaker-qmf");
    assert_eq!(all.len(), 13);
    assert_eq!(
        all[..5],
        ["score", "min-seconds", "max-seconds", "difference-seconds", "ratio-seconds"]
    );
    assert_eq!(names("wespeaker-qmf-nodur")[1..], all[5..]);
    assert_eq!(names("score,max-norm , min-cohort"), ["score", "max-norm", "min-cohort"]);
    assert_eq!("atanh-score".parse::<Column>().unwrap(), Column::Atanh);
    for (text, wanted) in [
        ("atanh-score", "`atanh-score` measures no quality"),
        ("norm", "`norm` is no column of a calibration; there are wespeaker-qmf"),
        ("", "`` is no column"),
        ("min-norm,min-norm", "`min-norm` comes twice"),
        ("min-norm,score", "`score` comes twice"),
    ] {
        let error = parse_columns(text).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
    assert_eq!(Evidence::norm_of(&[3.0, 5.0], Some(&[0.0, 1.0])), 5.0);
    assert_eq!(Evidence::norm_of(&[3.0, 4.0], None), 5.0);
}

#[test]
fn cosines_become_fishers_z() {
    let none = Evidence::default();
    let z = |cosine: f64| Column::Atanh.of(cosine, &none, &none).unwrap();
    close(z(0.6), 4f64.ln() / 2.0, 1e-15);
    assert!(z(1.0 + 1e-10).is_finite() && z(0.99999) < z(1.0));
    close(z(-1.0), -z(1.0), 1e-8);
    assert!(z(f64::NAN).is_nan());
    let fitted = Fitted { prior: 0.5, cosines: true, ..Fitted::default() };
    let mut calibration =
        Calibration { columns: vec![Column::Atanh], weights: vec![2.0], bias: -1.0, fitted };
    calibration.check().unwrap();
    close(calibration.llr(0.6, &none, &none).unwrap(), 4f64.ln() - 1.0, 1e-14);
    assert_eq!(calibration.to_string(), "2.0000 atanh-score - 1.0000");
    let fails = |calibration: &Calibration, wanted: &str| {
        let error = calibration.check().unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    };
    calibration.fitted.others = Some(OtherScores::Llr);
    fails(&calibration, "cosines and something else");
    calibration.fitted.cosines = false;
    fails(&calibration, "atanh of scores that are no cosines");
    calibration.columns = vec![Column::Score];
    calibration.check().unwrap();
    calibration.fitted.fit_prior = Some(1.0);
    fails(&calibration, "prior");
}

#[test]
fn a_ratio_of_nothing_has_no_value() {
    let side = |seconds| Evidence { seconds: Some(seconds), ..Evidence::default() };
    let ratio = Column::Sides(Fold::Ratio, Quantity::Seconds);
    assert_eq!(ratio.of(0.5, &side(2.0), &side(3.0)).unwrap(), 1.5);
    let error = ratio.of(0.5, &side(0.0), &side(3.0)).unwrap_err().to_string();
    assert!(error.contains("of the enrolment are zero, so `ratio-seconds`"), "{error}");
    let error = ratio.of(0.5, &side(2.0), &side(0.0)).unwrap_err().to_string();
    assert!(error.contains("of the test recording are zero"), "{error}");
}

#[test]
fn probabilities_follow_bayes() {
    close(probability(0.0, 0.01), 0.01, 1e-15);
    close(probability(99f64.ln(), 0.01), 0.5, 1e-12);
    assert_eq!((probability(-1e5, 0.5), probability(1e5, 0.5)), (0.0, 1.0));
    let threshold = bayes_threshold(0.01, 10.0, 1.0);
    close(threshold, 9.9f64.ln(), 1e-12);
    // There, both decisions cost the same.
    let p = probability(threshold, 0.01);
    close(10.0 * p, 1.0 - p, 1e-12);
}
