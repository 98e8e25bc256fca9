use clap::Parser;

use super::*;
use crate::scoring::{Fitted, Norm, OtherScores, SubtractedMean, parse_columns};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    wanted: Wanted,
}

fn parse(args: &[&str]) -> Result<Wanted, clap::Error> {
    Line::try_parse_from([&["x"][..], args].concat()).map(|line| line.wanted)
}

fn side(seconds: f64) -> Evidence {
    Evidence { seconds: Some(seconds), ..Evidence::default() }
}

/// LLR = 10 score - 4, for prior 0.01, of cosines of 2 to 20 s of speech.
fn calibrated() -> Scoring {
    let fitted =
        Fitted { prior: 0.01, cosines: true, seconds: Some([2.0, 20.0]), ..Fitted::default() };
    let columns = parse_columns("score").unwrap();
    let calibration = Calibration { columns, weights: vec![10.0], bias: -4.0, fitted };
    let mut scoring = Scoring {
        thresholds: vec![(0.01, 0.5), (0.001, 0.75)],
        threshold_eer: Some(0.25),
        calibration: Some(calibration),
        ..Scoring::default()
    };
    let strict = NamedThreshold { false_accept_rate: 0.0001, threshold: 0.875 };
    scoring.named_thresholds.insert("strict".into(), strict);
    scoring
}

fn decide(args: &[&str], scoring: &Scoring, score: f64) -> Result<Verdict> {
    let decider = parse(args).unwrap().decider(Some("m".as_ref()), scoring)?;
    decider.decide(score, [("a", &side(3.0)), ("b", &side(4.0))])
}

#[test]
fn ratios_decide_by_cost_and_prior() {
    let scoring = calibrated();
    // ln 99 = 4.595: at prior 0.01 that is even odds.
    let found = decide(&[], &scoring, 0.8).unwrap();
    assert_eq!((found.llr, found.threshold, found.same), (Some(4.0), None, Some(false)));
    assert_eq!(found.basis, "probability above 0.5 at prior 0.01");
    let odds = 4f64.exp() / 99.0;
    assert!((found.probability.unwrap() - odds / (1.0 + odds)).abs() < 1e-12, "{found:?}");
    assert_eq!(decide(&[], &scoring, 0.875).unwrap().same, Some(true));
    assert_eq!(decide(&["--prior", "0.5"], &scoring, 0.5).unwrap().same, Some(true));
    // A miss that costs more makes accepting easier.
    let found = decide(&["--cost", "10:1"], &scoring, 0.8).unwrap();
    assert_eq!(found.same, Some(true));
    assert!(found.basis.contains("a miss costs 10 and a false accept 1"), "{}", found.basis);
    let decider = parse(&[]).unwrap().decider(Some("m".as_ref()), &scoring).unwrap();
    assert!(decider.is_calibrated() && decider.prior() == 0.01);
}

#[test]
fn thresholds_decide_where_they_are_asked_for() {
    let scoring = calibrated();
    for (args, threshold, basis) in [
        (["--threshold", "-0.5"], -0.5, "threshold -0.5000 (as given)"),
        (["--at", "strict"], 0.875, "threshold 0.8750 (`strict`, false-accept rate 0.0001)"),
        (["--far", "0.001"], 0.75, "threshold 0.7500 (false-accept rate 0.001)"),
        (["--far", "1e-4"], 0.875, "threshold 0.8750 (false-accept rate 0.0001)"),
    ] {
        let found = decide(&args, &scoring, threshold).unwrap();
        assert_eq!((found.threshold, found.same), (Some(threshold), Some(true)), "{args:?}");
        assert_eq!(found.basis, basis);
        assert!(found.llr.is_some() && found.probability.is_some());
    }
    let fails = |args: &[&str], scoring: &Scoring, wanted: &str| {
        let error = decide(args, scoring, 0.5).unwrap_err().to_string();
        assert!(error.starts_with("m: ") && error.contains(wanted), "{error}");
    };
    fails(&["--at", "lax"], &scoring, "no threshold `lax`, but `strict`");
    fails(&["--far", "0.5"], &scoring, "rate 0.5, but 0.01, 0.001, 0.0001");
    let none = Scoring::default();
    fails(&["--at", "lax"], &none, "nor any other; `revox calibrate --threshold");
    fails(&["--prior", "0.1"], &none, "holds no calibration: --prior and --cost");
    fails(&["--cost", "1:2"], &none, "holds no calibration: --prior and --cost");
}

#[test]
fn advice_on_the_model_inside_the_program_works_for_it() {
    for args in [["--prior", "0.1"], ["--at", "lax"], ["--far", "0.5"]] {
        let error = parse(&args).unwrap().decider(None, &Scoring::default()).err().unwrap();
        let text = error.to_string();
        assert!(text.starts_with("the model inside the program: holds no "), "{text}");
        assert!(text.contains("cannot be changed: `revox calibrate"), "{text}");
        assert!(text.contains("a copy of models/default/model.safetensors"), "{text}");
    }
}

#[test]
fn models_without_a_calibration_decide_as_ever() {
    let scoring = Scoring { threshold_eer: Some(0.5), ..Scoring::default() };
    let found = decide(&[], &scoring, 0.5).unwrap();
    assert_eq!((found.threshold, found.same, found.llr), (Some(0.5), Some(true), None));
    assert_eq!(found.basis, "threshold 0.5000 (equal error rate)");
    let found = decide(&[], &Scoring::default(), 0.5).unwrap();
    assert_eq!((found.threshold, found.same, found.probability), (None, None, None));
}

/// Calibrations that cosines cannot use: of normalised scores, of scores that nobody named, with a
/// cohort. With a part of what is said of each.
fn unusable() -> [(Scoring, &'static str); 3] {
    let of = |change: &dyn Fn(&mut Calibration)| {
        let mut scoring = calibrated();
        scoring.calibration.iter_mut().for_each(change);
        scoring
    };
    let normalised = of(&|c| {
        c.fitted.cosines = false;
        c.fitted.others = Some(OtherScores::normalised(Norm::As1, Some(300), None, false).unwrap());
    });
    let unnamed = of(&|c| c.fitted.cosines = false);
    let cohort = of(&|c| {
        c.columns = parse_columns("min-cohort").unwrap();
        c.weights.push(1.0);
    });
    [
        (normalised, "fitted on scores normalised by as1; these are cosines. Store one of scores"),
        (unnamed, "fitted on scores that are no cosines; these are cosines"),
        (cohort, "weighs the mean cosine with a cohort, which only `revox score --calibration"),
    ]
}

#[test]
fn thresholds_decide_where_a_calibration_cannot() {
    for (mut scoring, why) in unusable() {
        let found = decide(&[], &scoring, 0.5).unwrap();
        assert_eq!((found.threshold, found.same, found.llr), (Some(0.25), Some(true), None));
        assert_eq!(found.basis, "threshold 0.2500 (equal error rate)");
        let [warning] = &found.warnings[..] else { panic!("{found:?}") };
        assert!(warning.starts_with("m: ") && warning.contains(why), "{warning}");
        assert!(warning.ends_with("Until then, a threshold decides"), "{warning}");
        let found = decide(&["--far", "0.01"], &scoring, 0.5).unwrap();
        assert_eq!((found.same, found.llr, found.warnings.len()), (Some(true), None, 1));
        for asked in [["--prior", "0.1"], ["--cost", "1:2"]] {
            let error = decide(&asked, &scoring, 0.5).unwrap_err().to_string();
            assert!(error.starts_with("m: --prior and --cost need") && error.contains(why));
        }
        scoring.threshold_eer = None;
        let found = decide(&[], &scoring, 0.5).unwrap();
        assert_eq!((found.threshold, found.same), (None, None));
        assert!(found.warnings[0].ends_with("no stored threshold decides in its place"));
    }
}

#[test]
fn a_calibration_without_the_models_mean_is_not_used() {
    let mut scoring = calibrated();
    let store = |scoring: &mut Scoring, mean: Option<&[f32]>| {
        let calibration = scoring.calibration.as_mut().unwrap();
        calibration.fitted.mean = Some(SubtractedMean::own(mean));
    };
    store(&mut scoring, None);
    assert!(decide(&[], &scoring, 0.5).unwrap().warnings.is_empty());
    scoring.embedding_mean = Some(vec![0.5; 3]);
    let found = decide(&[], &scoring, 0.5).unwrap();
    assert_eq!((found.llr, found.threshold), (None, Some(0.25)));
    let wanted = "without a mean subtracted; these are less the mean embedding ";
    assert!(found.warnings[0].contains(wanted), "{found:?}");
    assert!(found.warnings[0].contains("with the --mean that the model holds"), "{found:?}");
    store(&mut scoring, Some(&[0.5; 3]));
    let found = decide(&[], &scoring, 0.5).unwrap();
    assert!(found.llr.is_some() && found.warnings.is_empty(), "{found:?}");
    // An earlier version did not keep it.
    scoring.calibration.as_mut().unwrap().fitted.mean = None;
    let found = decide(&[], &scoring, 0.5).unwrap();
    assert!(found.llr.is_some() && found.warnings[0].contains("an earlier version"), "{found:?}");
}

#[test]
fn a_quality_that_is_not_known_is_named() {
    let mut scoring = calibrated();
    let calibration = scoring.calibration.as_mut().unwrap();
    calibration.columns = parse_columns("min-norm").unwrap();
    calibration.weights.push(1.0);
    let error = decide(&[], &scoring, 0.5).unwrap_err().to_string();
    let wanted = "m: its calibration gives no likelihood ratio: the length of the embedding of the \
                  enrolment is not known; --threshold";
    assert!(error.starts_with(wanted), "{error}");
    let found = decide(&["--far", "0.01"], &scoring, 0.5).unwrap();
    assert!(found.llr.is_none() && found.warnings[0].contains("length"), "{found:?}");
}

#[test]
fn short_speech_is_a_warning() {
    let scoring = calibrated();
    let decider = parse(&[]).unwrap().decider(Some("m".as_ref()), &scoring).unwrap();
    let found = decider.decide(0.5, [("a.wav", &side(2.0)), ("b.wav", &side(1.5))]).unwrap();
    assert_eq!(
        found.warnings,
        ["b.wav has 1.50 s of speech; the calibration covers 2.00 s and more"]
    );
}

#[test]
fn one_thing_decides() {
    for args in [
        &["--threshold", "0.5", "--at", "x"][..],
        &["--threshold", "0.5", "--far", "0.1"],
        &["--threshold", "0.5", "--cost", "1:1"],
        &["--at", "x", "--far", "0.1"],
        &["--at", "x", "--cost", "1:1"],
        &["--far", "0.1", "--cost", "1:1"],
        &["--prior", "0"],
        &["--prior", "1"],
        &["--prior", "nan"],
        &["--far", "2"],
        &["--cost", "1"],
        &["--cost", "0:1"],
        &["--cost", "1:-1"],
        &["--cost", "inf:1"],
        &["--threshold", "1.5"],
    ] {
        assert!(parse(args).is_err(), "{args:?}");
    }
    assert_eq!(parse(&["--cost", "0.5:2"]).unwrap().cost, Some((0.5, 2.0)));
}

#[test]
fn probabilities_are_never_certain() {
    let found = [0.0, 0.0009, 0.001, 0.25, 0.999, 1.0].map(likely);
    assert_eq!(found, ["below 0.001", "below 0.001", "0.001", "0.250", "0.999", "above 0.999"]);
}
