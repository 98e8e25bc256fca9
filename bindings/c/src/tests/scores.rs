//! Scores and what they say.

use engine::scoring::{Calibration, Fitted, parse_columns};

use super::*;
use crate::decide::*;

/// The shipped model with another calibration, or with none.
fn calibrated(calibration: Option<&Calibration>) -> Vec<u8> {
    let file = std::fs::read(model_path()).unwrap();
    with_header(&file, &|header| {
        let mut header: serde_json::Value = serde_json::from_str(header).unwrap();
        let scoring = header["scoring"].as_object_mut().unwrap();
        assert!(scoring.remove("calibration").is_some());
        if let Some(calibration) = calibration {
            let value = serde_json::to_value(calibration).unwrap();
            scoring.insert("calibration".to_owned(), value);
        }
        header.to_string()
    })
}

/// Without a calibration thresholds decide.
#[test]
fn scores_and_decisions_are_the_librarys() {
    let bytes = calibrated(None);
    let (status, handle) = Model::of_bytes(&bytes);
    assert_eq!(status, S::Ok, "{}", last_error());
    let model = Model(handle);
    let engine = engine::portable::Model::from_bytes(bytes).unwrap();
    let samples = [voice(1.5, RATE, 100.0), voice(1.5, RATE, 210.0)];
    let [a, b] = samples.each_ref().map(|samples| engine.hear(samples, RATE).unwrap());
    let wanted = engine.compare(&a, &b).unwrap();
    let [(a, qa), (b, qb)] = samples.each_ref().map(|samples| model.heard(samples, RATE));
    let (first, second, length) = (a.as_ptr(), b.as_ptr(), a.len());
    // SAFETY: pointers to locals.
    unsafe {
        let mut score = 0.0;
        assert_eq!(revox_score(model.0, first, second, length, &raw mut score), S::Ok);
        assert_eq!(score, wanted.score);
        let mut threshold = 0.0;
        let place = &raw mut threshold;
        assert_eq!(revox_threshold(model.0, REVOX_EQUAL_ERROR, place), S::Ok);
        assert_eq!(threshold, engine.threshold(None).unwrap());
        assert_eq!(revox_threshold(model.0, 0.01, place), S::Ok);
        assert_eq!(threshold, engine.threshold(Some(0.01)).unwrap());
        fails(revox_threshold(model.0, 0.5, place), S::Absent, "false-accept rate 0.5");
        for rate in [f64::NAN, -0.5, 2.0] {
            fails(revox_threshold(model.0, rate, place), S::Argument, "a false-accept rate");
        }
        for (score, wanted) in [(threshold, true), (threshold - 1e-9, false)] {
            let mut same = !wanted;
            assert_eq!(revox_decide(model.0, score, 0.01, &raw mut same), S::Ok);
            assert_eq!(same, wanted);
        }
        let mut same = true;
        let status = revox_decide(model.0, f64::NAN, 0.01, &raw mut same);
        fails(status, S::Argument, "score is NaN");

        let mut llr = 0.5;
        let (qa, qb) = (&raw const qa, &raw const qb);
        let status = revox_llr(model.0, first, qa, second, qb, length, &raw mut llr);
        fails(status, S::Absent, "no calibration");
        assert_eq!(llr, 0.5);
        let mut probability = 0.0;
        let place = &raw mut probability;
        assert_eq!(revox_probability(model.0, 0.0, 0.25, place), S::Ok);
        assert!((probability - 0.25).abs() < 1e-12);
        assert_eq!(revox_probability(model.0, 0.0, REVOX_OWN_PRIOR, place), S::Ok);
        assert!((probability - 0.5).abs() < 1e-12);
        for prior in [0.0, 1.0, f64::NAN, -2.0] {
            fails(revox_probability(model.0, 0.0, prior, place), S::Argument, "a prior of");
        }
        fails(revox_probability(model.0, f64::NAN, 0.5, place), S::Argument, "NaN");

        let mut verdict =
            RevoxVerdict { score: 0.0, llr: 0.0, probability: 0.0, threshold: 0.0, same: -1 };
        let place = &raw mut verdict;
        let status = revox_compare(model.0, first, qa, second, qb, length, place);
        assert_eq!(status, S::Ok, "{}", last_error());
        assert_eq!((verdict.score, Some(verdict.threshold)), (wanted.score, wanted.threshold));
        assert_eq!(Some(verdict.same == 1), wanted.same);
        assert!(verdict.llr.is_nan() && verdict.probability.is_nan());
        let silent = RevoxQuality { silent: 1, ..*qa };
        let status = revox_compare(model.0, first, &raw const silent, second, qb, length, place);
        fails(status, S::Undefined, "the first recording: silent");
    }
}

/// A model with a calibration has ratios, and decides by them.
#[test]
fn calibrated_models_have_ratios() {
    let fitted = Fitted { prior: 0.1, cosines: true, ..Fitted::default() };
    let columns = parse_columns("min-seconds").unwrap();
    let calibration = Calibration { columns, weights: vec![10.0, 0.5], bias: -4.0, fitted };
    let bytes = calibrated(Some(&calibration));
    let engine = engine::portable::Model::from_bytes(bytes.clone()).unwrap();
    let (status, handle) = Model::of_bytes(&bytes);
    assert_eq!(status, S::Ok, "{}", last_error());
    let model = Model(handle);
    let samples = [voice(1.5, RATE, 100.0), voice(1.5, RATE, 210.0)];
    let [a, b] = samples.each_ref().map(|samples| engine.hear(samples, RATE).unwrap());
    let wanted = engine.compare(&a, &b).unwrap();
    let [(a, qa), (b, qb)] = samples.each_ref().map(|samples| model.heard(samples, RATE));
    let (first, second, length) = (a.as_ptr(), b.as_ptr(), a.len());
    let copy = qa;
    let (qa, qb) = (&raw const qa, &raw const qb);
    let (mut llr, mut probability) = (0.0, 0.0);
    // SAFETY: pointers to locals.
    unsafe {
        assert_eq!(revox_llr(model.0, first, qa, second, qb, length, &raw mut llr), S::Ok);
        let status = revox_probability(model.0, llr, REVOX_OWN_PRIOR, &raw mut probability);
        assert_eq!(status, S::Ok);
    }
    assert_eq!((Some(llr), Some(probability)), (wanted.llr, wanted.probability));
    assert!((probability - 1.0 / (1.0 + 9.0 * (-llr).exp())).abs() < 1e-9);
    // The quality is weighed as well.
    let (mut other, worse) = (0.0, RevoxQuality { speech_seconds: 0.1, ..copy });
    // SAFETY: pointers to locals.
    let status =
        unsafe { revox_llr(model.0, first, &raw const worse, second, qb, length, &raw mut other) };
    assert_eq!(status, S::Ok);
    assert!((llr - other).abs() > 0.01);
}
