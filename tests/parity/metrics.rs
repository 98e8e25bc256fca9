//! EER, minDCF, cosine and AS-norm.

use std::path::Path;

use revox::scoring::{AsNorm, Curve, Embeddings, Scorer};

use crate::shared::{Tensors, json, sets};

#[test]
fn every_score_set_has_the_reference_rates() {
    // Sets, those where nothing is worth accepting at p = 0.01 among them, and those of which
    // WeSpeaker's own result is known for both orders of ties.
    let (committed, large) = ([14, 3, 0], [15, 5, 13]);
    for (folder, wanted) in sets(("scoring", committed), ("fixtures/f5_metrics", large)) {
        assert_eq!(check_rates(&folder), wanted, "{}", folder.display());
    }
}

fn check_rates(folder: &Path) -> [usize; 3] {
    let sets = Tensors::open(folder.join("score_sets.safetensors"));
    let wanted = json(folder.join("metrics.json"));
    let [mut seen, mut rejected, mut ordered] = [0; 3];
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
            let ours = curve.min_dcf(p);
            match wanted["tie_aware"][key].as_f64() {
                // Several thresholds may share the minimum; the cost at the reference's must be
                // ours.
                Some(t) => {
                    let at = curve.points().find(|x| (x.threshold - t).abs() < 1e-6).unwrap();
                    let cost = (p * at.fnr + (1.0 - p) * at.fpr) / p;
                    assert!(
                        (cost - ours.cost).abs() < 1e-9,
                        "{set} {key}: {} against {t}",
                        ours.threshold
                    );
                }
                None => {
                    assert!((ours.cost - 1.0).abs() < 1e-9, "{set}: reject all costs 1");
                    rejected += usize::from(p == 0.01);
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
            ordered += 1;
        }
        seen += 1;
    }
    [seen, rejected, ordered]
}

/// What a set of embeddings holds.
struct Normed {
    dim: usize,
    /// Sizes of the cohort's nearest part; the first has its statistics in the file.
    tops: [usize; 2],
    cohort: usize,
}

#[test]
fn cosine_and_as_norm_equal_the_reference() {
    let committed = Normed { dim: 16, tops: [20, 7], cohort: 60 };
    let large = Normed { dim: 256, tops: [300, 100], cohort: 1000 };
    for (folder, set) in sets(("scoring", committed), ("fixtures/f5_metrics", large)) {
        check_norms(&Tensors::open(folder.join("asnorm.safetensors")), &set);
    }
}

fn check_norms(t: &Tensors, &Normed { dim, tops: [first, second], cohort: size }: &Normed) {
    let set = |groups: &[&str]| {
        let mut all = Embeddings::new(dim);
        for group in groups {
            for (i, row) in t.f32(group).chunks_exact(dim).enumerate() {
                all.push(&format!("{group}{i}"), row).unwrap();
            }
        }
        all
    };
    let (both, cohort) = (set(&["enroll", "test"]), set(&["cohort"]));
    assert_eq!(cohort.len(), size);
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
            assert!(!ours.is_empty() && ours.len() == reference.len(), "{prefix}/{what}");
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
        for (what, top) in [
            (format!("asnorm{first}"), first),
            (format!("asnorm{second}"), second),
            ("snorm".to_owned(), size),
        ] {
            let norm = AsNorm::new(&cohort, top).unwrap();
            near(&what, &norm.score(&scorer, &trials, &|| ()).unwrap(), 1e-6);
        }
        let norm = AsNorm::new(&cohort, first).unwrap();
        let statistics: Vec<_> =
            (0..both.len()).map(|i| norm.statistics(&scorer.unit(i))).collect();
        let (e, u) = statistics.split_at(enrolled);
        for (side, of) in [("enroll", e), ("test", u)] {
            let means: Vec<f64> = of.iter().map(|x| x.mean).collect();
            let stds: Vec<f64> = of.iter().map(|x| x.std).collect();
            near(&format!("{side}_mean{first}"), &means, 1e-6);
            near(&format!("{side}_std{first}"), &stds, 1e-6);
        }
        assert_eq!(AsNorm::new(&cohort, size + 1).unwrap().top(), size);
    }
}

#[test]
fn score_files_of_the_reference_are_read() {
    for (folder, count) in sets(("scoring", 800), ("fixtures/f5_metrics", 12_000)) {
        let trials = revox::scoring::read_scores(folder.join("rounded5.score")).unwrap();
        assert_eq!(trials.len(), count);
        let curve = Curve::new(trials.iter().map(|t| (t.score, t.label.unwrap()))).unwrap();
        let wanted = json(folder.join("metrics.json"));
        let wanted = wanted["rounded5"]["tie_aware"]["eer"].as_f64().unwrap();
        assert!((curve.eer().rate - wanted).abs() < 1e-6);
    }
}
