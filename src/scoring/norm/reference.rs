//! Scores of WeSpeaker and of independent programs, in f64.

use super::tests::scored;
use super::*;
use crate::scoring::reference::Reference;
use crate::scoring::{Average, Models};

/// The cohort of the reference, less the mean.
fn centred(reference: &Reference, mean: Option<&[f64]>) -> Vec<f64> {
    let mut rows = reference.f64("cohort/speaker_means_f64");
    for row in rows.chunks_exact_mut(64) {
        row.iter_mut().zip(mean.into_iter().flatten()).for_each(|(x, m)| *x -= m);
    }
    rows
}

#[test]
fn cosines_equal_the_reference() {
    let Some(reference) = Reference::open() else { return };
    let mean = reference.f64("mean/dev_f64");
    let dev = reference.embeddings("dev");
    reference.check("mean/dev_f64", dev.mean(), 1e-10);
    for (table, set, trials, mean) in [
        ("cosine/eval_mean", "eval", "trials/eval", Some(&mean)),
        ("cosine/eval_nomean", "eval", "trials/eval", None),
        ("cosine/cal_mean", "dev", "trials/cal", Some(&mean)),
        ("cosine/eval2_mean", "eval2", "trials/eval2", Some(&mean)),
    ] {
        let all = reference.embeddings(set);
        let scorer = Scorer::new(&all, mean.cloned()).unwrap();
        let trials = reference.trials(trials);
        reference.check(table, trials.iter().map(|&(e, t)| scorer.score(e, t)), 1e-10);
    }
}

/// Models of the reference.
fn enrolled(reference: &Reference, scorer: &Scorer, average: Average) -> Models {
    let places = reference.places("multi/enroll_utterances");
    let named = places.iter().map(|places| ("m", places.as_slice()));
    Models::new(scorer, named, average).unwrap()
}

#[test]
fn models_equal_the_reference() {
    let Some(reference) = Reference::open() else { return };
    let all = reference.embeddings("eval");
    let trials = reference.trials("multi/trials");
    let mean = Some(reference.f64("mean/dev_f64"));
    for (table, mean, average) in [
        ("multi/cosine_mean_of_raw", &mean, Average::Embeddings),
        ("multi/cosine_mean_of_raw_nomean", &None, Average::Embeddings),
        ("multi/cosine_mean_of_unit", &mean, Average::Unit),
        ("multi/mean_of_cosines", &mean, Average::Scores),
    ] {
        let scorer = Scorer::new(&all, mean.clone()).unwrap();
        let models = enrolled(&reference, &scorer, average);
        let scores = trials.iter().map(|&(m, t)| models.score(&scorer, m, t));
        reference.check(table, scores, 1e-10);
    }
}

#[test]
fn normalised_scores_equal_the_reference() {
    let Some(reference) = Reference::open() else { return };
    let all = reference.embeddings("eval");
    let trials = reference.trials("trials/eval");
    let mean = reference.f64("mean/dev_f64");
    let over_all =
        [(Norm::Z, "znorm"), (Norm::T, "tnorm"), (Norm::S, "snorm"), (Norm::Zt, "ztnorm")];
    let nearest = [
        (Norm::As1, "asnorm1"),
        (Norm::As2, "asnorm2"),
        (Norm::Az, "aznorm"),
        (Norm::At, "atnorm"),
    ];
    for (folder, mean, tops) in [("mean", Some(&mean), &[20, 40][..]), ("nomean", None, &[20][..])]
    {
        let scorer = Scorer::new(&all, mean.cloned()).unwrap();
        let compared = Compared::new(&scorer, None);
        let vectors = centred(&reference, mean.map(Vec::as_slice));
        let check = |norm, table: &str, top| {
            let cohort = Cohort::of_vectors(norm, &vectors, 64, top).unwrap();
            let scores = scored(&cohort, compared, &trials);
            reference.check(&format!("norm/{folder}/{table}"), scores, 1e-10);
        };
        over_all.iter().for_each(|(norm, table)| check(*norm, table, 60));
        for (top, (norm, table)) in tops.iter().flat_map(|top| nearest.map(|norm| (*top, norm))) {
            check(norm, &format!("{table}_top{top}"), top);
        }
    }
}

#[test]
fn statistics_equal_the_reference() {
    let Some(reference) = Reference::open() else { return };
    let all = reference.embeddings("eval");
    let mean = reference.f64("mean/dev_f64");
    let scorer = Scorer::new(&all, Some(mean.clone())).unwrap();
    let trials = reference.trials("trials/eval");
    for top in [20, 40] {
        let vectors = centred(&reference, Some(&mean));
        let cohort = Cohort::of_vectors(Norm::As1, &vectors, 64, top).unwrap();
        let (enroll, test) = (trials.iter().map(|t| t.0), trials.iter().map(|t| t.1));
        let by = cohort.normalise(Compared::new(&scorer, None), enroll, test, &|| ()).unwrap();
        let found: Vec<[TopStatistics; 2]> =
            trials.iter().map(|&(e, t)| by.statistics(e, t).unwrap()).collect();
        for (side, name) in ["enroll", "test"].into_iter().enumerate() {
            let table = |what: &str| format!("norm/mean/asnorm1_top{top}_{name}_{what}");
            reference.check(&table("mean"), found.iter().map(|s| s[side].mean), 1e-10);
            reference.check(&table("std"), found.iter().map(|s| s[side].std), 1e-10);
        }
    }
}

#[test]
fn stored_cohorts_and_models_equal_the_reference() {
    let Some(reference) = Reference::open() else { return };
    let (all, dev) = (reference.embeddings("eval"), reference.embeddings("dev"));
    let mean = Some(reference.f64("mean/dev_f64"));
    let scorer = Scorer::new(&all, mean.clone()).unwrap();
    let trials = reference.trials("trials/eval");
    // All utterances as the cohort: their nearest are found by bounds.
    let members = Scorer::new(&dev, mean.clone()).unwrap();
    let compared = Compared::new(&scorer, None);
    for (norm, table) in [(Norm::As1, "asnorm1"), (Norm::As2, "asnorm2")] {
        let cohort = Cohort::new(norm, &members, 100).unwrap();
        let table = format!("norm/mean_uttcohort/{table}_top100");
        reference.check(&table, scored(&cohort, compared, &trials), 1e-10);
    }
    let models = enrolled(&reference, &scorer, Average::Embeddings);
    let trials = reference.trials("multi/trials");
    let vectors = centred(&reference, mean.as_deref());
    for (norm, table) in
        [(Norm::As1, "asnorm1_top20"), (Norm::As2, "asnorm2_top20"), (Norm::S, "snorm")]
    {
        let cohort = Cohort::of_vectors(norm, &vectors, 64, 20).unwrap();
        let scores = scored(&cohort, Compared::new(&scorer, Some(&models)), &trials);
        reference.check(&format!("norm/multi/{table}"), scores, 1e-10);
    }
    // Means of speakers as `speaker_means` has them, rounded to f32.
    let speakers = reference.i64("speaker/dev");
    let speaker = |id: &str| {
        let place: usize = id.parse().ok()?;
        Some(format!("{:03}", speakers[place]))
    };
    let means = dev.speaker_means(&speaker).unwrap();
    let members = Scorer::new(&means, mean).unwrap();
    let cohort = Cohort::new(Norm::As1, &members, 20).unwrap();
    let scores = scored(&cohort, compared, &reference.trials("trials/eval"));
    reference.check("norm/mean/asnorm1_top20", scores, 1e-6);
}
