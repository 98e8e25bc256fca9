use serde_json::Value;

use super::*;
use crate::rng::Stream;
use crate::scoring::min_cllr;
use crate::shared::{Tensors, json, shared};

/// Ratios of normal scores, which are calibrated: with means +-m and variance 2m, the ratio is the
/// score itself.
fn calibrated(count: usize) -> Vec<(f64, bool)> {
    let mut stream = Stream::new(7, "test", &[]);
    let llr = |target: bool, noise: f64| 2.0 * noise + if target { 2.0 } else { -2.0 };
    (0..count)
        .map(|i| i.is_multiple_of(3))
        .map(|target| (llr(target, stream.normal()), target))
        .collect()
}

#[test]
fn ratios_that_tell_nothing_cost_one_bit() {
    assert_eq!(cllr(&[(0.0, true), (0.0, false), (0.0, false)]).unwrap(), 1.0);
    let inf = f64::INFINITY;
    assert_eq!(cllr(&[(inf, true), (-inf, false)]).unwrap(), 0.0);
    assert_eq!(cllr(&[(inf, true), (inf, false)]).unwrap(), inf);
    // By hand: log2(1 + 1/3) and log2(1 + 1/7).
    let near = cllr(&[(3f64.ln(), true), (-(7f64.ln()), false)]).unwrap();
    assert!((near - 0.5 * ((4.0f64 / 3.0).log2() + (8.0f64 / 7.0).log2())).abs() < 1e-12);
    // Large ratios do not overflow.
    let large = cllr(&[(-2000.0, true), (0.0, false)]).unwrap();
    assert!((large - 0.5 * (2000.0 / LN_2 + 1.0)).abs() < 1e-9, "{large}");
}

#[test]
fn what_calibration_does_to_costs() {
    let trials = calibrated(60_000);
    let (plain, least) = (cllr(&trials).unwrap(), min_cllr(&trials).unwrap());
    assert!(least < plain && plain < least + 0.01, "{plain} {least}");
    for (scale, shift) in [(3.0, 0.0), (0.3, 0.0), (1.0, 2.0), (1.0, -2.0)] {
        let map = |t: &(f64, bool)| (scale * t.0 + shift, t.1);
        let wrong: Vec<(f64, bool)> = trials.iter().map(map).collect();
        assert!(cllr(&wrong).unwrap() > plain + 0.02, "{scale} {shift}");
        let curve = Curve::new(wrong.iter().copied()).unwrap();
        assert!((curve.min_cllr() - least).abs() < 1e-12);
        assert!((curve.cllr() - cllr(&wrong).unwrap()).abs() < 1e-12);
        for (prior, miss, false_accept) in [(0.01, 1.0, 1.0), (0.5, 1.0, 1.0), (0.1, 5.0, 2.0)] {
            let cost = Cost::new(prior, miss, false_accept).unwrap();
            let found = curve.actual_dcf(&cost);
            assert_eq!(found.cost, actual_dcf(&wrong, prior, miss, false_accept).unwrap());
            assert!(found.cost >= curve.min_cost(&cost).cost - 1e-12, "{found:?}");
        }
    }
}

#[test]
fn undefined_is_an_error() {
    for wrong in [vec![], vec![(1.0, true)], vec![(1.0, false)], vec![(f64::NAN, true)]] {
        assert!(cllr(&wrong).is_err() && actual_dcf(&wrong, 0.5, 1.0, 1.0).is_err(), "{wrong:?}");
    }
    let both = [(1.0, true), (0.0, false)];
    assert!(actual_dcf(&both, 1.0, 1.0, 1.0).is_err() && actual_dcf(&both, 0.5, 0.0, 1.0).is_err());
}

fn check(trials: &[(f64, bool)], wanted: &Value, is_llr: bool) {
    let curve = Curve::new(trials.iter().copied()).unwrap();
    let near = |ours: f64, key: &str| {
        let reference = wanted[key].as_f64().unwrap_or_else(|| panic!("{key}: {wanted}"));
        assert!((ours - reference).abs() < 1e-10, "{key}: {ours} against {reference}");
    };
    near(curve.eer().rate, "eer");
    near(curve.min_cllr(), "min_cllr");
    for prior in ["0.01", "0.05", "0.5"] {
        let cost = Cost::at_prior(prior.parse().unwrap());
        near(curve.min_cost(&cost).cost, &format!("min_dcf_{prior}"));
        if is_llr {
            let found = curve.actual_dcf(&cost);
            near(found.cost, &format!("act_dcf_{prior}"));
            near(found.fnr, &format!("act_pmiss_{prior}"));
            near(found.fpr, &format!("act_pfa_{prior}"));
        }
    }
    if is_llr {
        near(cllr(trials).unwrap(), "cllr");
    }
}

/// EER, minDCF, actual DCF, Cllr and min Cllr of the reference's scores and ratios.
#[test]
fn costs_equal_the_reference() {
    let Some(folder) = shared("fixtures/f10_backend") else { return };
    let t = Tensors::open(folder.join("backend.safetensors"));
    let all = json(folder.join("backend.json"));
    let trials = |scores: &str, set: &str| -> Vec<(f64, bool)> {
        let labels = t.u8(&format!("labels/{set}"));
        t.f64(scores).into_iter().zip(labels).map(|(s, l)| (s, l == 1)).collect()
    };
    for (scores, set, key) in [
        ("cosine/eval_mean", "eval", "cosine_eval_mean"),
        ("cosine/eval_nomean", "eval", "cosine_eval_nomean"),
        ("cosine/eval2_mean", "eval2", "cosine_eval2_mean"),
        ("pav/tied_scores", "eval", "cosine_eval_rounded_1_decimal"),
    ] {
        check(&trials(scores, set), &all["metrics"][key], false);
    }
    for prior in ["0.5", "0.1", "0.01"] {
        let name = format!("cosine_prior{prior}");
        let wanted = &all["calibration"]["score_only"][&name]["metrics_eval"];
        let scores = format!("calibration/score_only/{name}/llr_eval");
        check(&trials(&scores, "eval"), wanted, true);
    }
    for set in ["qmf13", "qmf9_nodur"] {
        let of = |scores: &str| trials(&format!("calibration/{set}/{scores}"), "eval");
        let wanted = &all["calibration"][set];
        check(&of("llr_eval"), &wanted["metrics_eval_wespeaker"], true);
        check(&of("newton_llr_eval"), &wanted["metrics_eval_newton"], true);
    }
    for set in ["default5", "sub_norm10"] {
        let wanted = &all["plda"][set]["metrics_eval"];
        check(&trials(&format!("plda/{set}/llr_eval"), "eval"), wanted, true);
    }
}
