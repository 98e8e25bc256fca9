//! EER, minDCF, cosine and AS-norm, fixture f5.

use revox::scoring::{AsNorm, Curve, Embeddings, Scorer};

use crate::shared::{Tensors, json};
use crate::shared_or_skip;

#[test]
fn every_score_set_has_the_reference_rates() {
    let folder = shared_or_skip!("fixtures/f5_metrics");
    let sets = Tensors::open(folder.join("score_sets.safetensors"));
    let wanted = json(folder.join("metrics.json"));
    for (set, wanted) in wanted.as_object().unwrap() {
        let scores = sets.f32(&format!("{set}/scores"));
        let labels = sets.u8(&format!("{set}/labels"));
        let curve =
            Curve::new(scores.iter().zip(&labels).map(|(&s, &l)| (f64::from(s), l == 1))).unwrap();
        let near = |what: &str, ours: f64, tolerance: f64| {
            let reference = wanted["tie_aware"][what].as_f64().unwrap();
            assert!(
                (ours - reference).abs() <= tolerance,
                "{set} {what}: {ours} against {reference}"
            );
        };
        near("eer", curve.eer().rate, 1e-9);
        near("mindcf_0.01", curve.min_dcf(0.01).cost, 1e-9);
        near("mindcf_0.05", curve.min_dcf(0.05).cost, 1e-9);
        for (p, key) in [(0.01, "mindcf_0.01_threshold"), (0.05, "mindcf_0.05_threshold")] {
            let ours = curve.min_dcf(p).threshold;
            match wanted["tie_aware"][key].as_f64() {
                // Several thresholds may share the minimum; the cost at the reference's must be
                // ours.
                Some(t) => {
                    let at = curve.points().find(|x| (x.threshold - t).abs() < 1e-6).unwrap();
                    let cost = (p * at.fnr + (1.0 - p) * at.fpr) / p;
                    assert!(
                        (cost - curve.min_dcf(p).cost).abs() < 1e-9,
                        "{set} {key}: {ours} against {t}"
                    );
                }
                None => {
                    assert!((curve.min_dcf(p).cost - 1.0).abs() < 1e-9, "{set}: reject all costs 1")
                }
            }
        }
        // WeSpeaker's own result lies between the two extreme orders of ties.
        let order = |which: &str| wanted[which]["eer"].as_f64();
        if let (Some(a), Some(b)) =
            (order("wespeaker_ties_nontarget_first"), order("wespeaker_ties_target_first"))
        {
            let eer = curve.eer().rate;
            assert!(
                a.min(b) - 1e-9 <= eer && eer <= a.max(b) + 1e-9,
                "{set}: {eer} not within {a} and {b}"
            );
        }
    }
}

#[test]
fn cosine_and_as_norm_equal_the_reference() {
    let t = Tensors::open(shared_or_skip!("fixtures/f5_metrics/asnorm.safetensors"));
    let set = |groups: &[&str]| {
        let mut all = Embeddings::new(256);
        for group in groups {
            for (i, row) in t.f32(group).chunks_exact(256).enumerate() {
                all.push(&format!("{group}{i}"), row).unwrap();
            }
        }
        all
    };
    let (both, cohort) = (set(&["enroll", "test"]), set(&["cohort"]));
    let enrolled = t.shape("enroll")[0];
    let trials: Vec<(usize, usize)> = t
        .i64("trials")
        .chunks_exact(2)
        .map(|p| (p[0] as usize, enrolled + p[1] as usize))
        .collect();
    let mean: Vec<f64> = t.f32("mean").into_iter().map(f64::from).collect();
    for (prefix, mean) in [("nomean", None), ("mean", Some(mean))] {
        let scorer = Scorer::new(&both, mean.clone()).unwrap();
        let cohort = Scorer::new(&cohort, mean).unwrap();
        let near = |what: &str, ours: &[f64], tolerance: f64| {
            let reference = t.f32(&format!("{prefix}/{what}"));
            assert_eq!(ours.len(), reference.len());
            for (i, (a, b)) in ours.iter().zip(&reference).enumerate() {
                // The reference was computed in f64 and stored as f32.
                let rounding = f64::from(b.abs()) * f64::from(f32::EPSILON);
                assert!(
                    (a - f64::from(*b)).abs() <= tolerance + rounding,
                    "{prefix}/{what} {i}: {a} against {b}"
                );
            }
        };
        near("cosine", &trials.iter().map(|&(a, b)| scorer.score(a, b)).collect::<Vec<_>>(), 1e-6);
        for (what, top) in [("asnorm300", 300), ("asnorm100", 100), ("snorm", 1000)] {
            let norm = AsNorm::new(&cohort, top).unwrap();
            near(what, &norm.score(&scorer, &trials, &|| ()).unwrap(), 1e-6);
            if top == 300 {
                let s: Vec<_> = (0..both.len()).map(|i| norm.statistics(&scorer.unit(i))).collect();
                let (e, u) = s.split_at(enrolled);
                for (side, of) in [("enroll", e), ("test", u)] {
                    near(
                        &format!("{side}_mean300"),
                        &of.iter().map(|x| x.mean).collect::<Vec<_>>(),
                        1e-6,
                    );
                    near(
                        &format!("{side}_std300"),
                        &of.iter().map(|x| x.std).collect::<Vec<_>>(),
                        1e-6,
                    );
                }
            }
        }
        assert_eq!(AsNorm::new(&cohort, 1001).unwrap().top(), 1000);
    }
}

#[test]
fn score_files_of_the_reference_are_read() {
    let folder = shared_or_skip!("fixtures/f5_metrics");
    let trials = revox::scoring::read_scores(folder.join("rounded5.score")).unwrap();
    let curve = Curve::new(trials.iter().map(|t| (t.score, t.label.unwrap()))).unwrap();
    let wanted =
        json(folder.join("metrics.json"))["rounded5"]["tie_aware"]["eer"].as_f64().unwrap();
    assert!((curve.eer().rate - wanted).abs() < 1e-6);
}
