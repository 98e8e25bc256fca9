use rayon::ThreadPoolBuilder;
use safetensors::{Dtype, SafeTensors};

use super::*;
use crate::rng::Stream;
use crate::scoring::{Average, Embeddings, Models};
use crate::shared::shared;

/// The reference scores of synthetic embeddings, in f64.
struct Reference(Vec<u8>);

impl Reference {
    fn open() -> Option<Self> {
        let path = shared("fixtures/f10_backend/backend.safetensors")?;
        Some(Self(std::fs::read(path).unwrap()))
    }

    /// Values and columns of a tensor.
    fn words<const N: usize>(&self, name: &str, dtype: Dtype) -> (Vec<[u8; N]>, usize) {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let view = file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(view.dtype(), dtype, "{name}");
        (view.data().as_chunks::<N>().0.to_vec(), *view.shape().last().unwrap())
    }

    fn f64(&self, name: &str) -> Vec<f64> {
        self.words(name, Dtype::F64).0.into_iter().map(f64::from_le_bytes).collect()
    }

    /// Rows of places.
    fn places(&self, name: &str) -> Vec<Vec<usize>> {
        let (words, columns) = self.words(name, Dtype::I64);
        let places: Vec<usize> =
            words.into_iter().map(|w| usize::try_from(i64::from_le_bytes(w)).unwrap()).collect();
        places.chunks_exact(columns).map(<[usize]>::to_vec).collect()
    }

    fn trials(&self, name: &str) -> Vec<(usize, usize)> {
        self.places(name).into_iter().map(|pair| (pair[0], pair[1])).collect()
    }

    fn embeddings(&self, set: &str) -> Embeddings {
        let (words, dim) = self.words(&format!("emb/{set}"), Dtype::F32);
        let values: Vec<f32> = words.into_iter().map(f32::from_le_bytes).collect();
        let mut all = Embeddings::new(dim);
        for (i, row) in values.chunks_exact(dim).enumerate() {
            all.push(&format!("{set}{i}"), row).unwrap();
        }
        all
    }

    /// Compares with a table.
    fn check(&self, name: &str, ours: impl IntoIterator<Item = f64>, tolerance: f64) {
        let (ours, wanted): (Vec<f64>, _) = (ours.into_iter().collect(), self.f64(name));
        assert_eq!(ours.len(), wanted.len(), "{name}");
        for (i, (a, b)) in ours.iter().zip(&wanted).enumerate() {
            assert!((a - b).abs() <= tolerance, "{name} {i}: {a} instead of {b}");
        }
    }
}

/// The scores of trials.
fn scored(cohort: &Cohort, compared: Compared, trials: &[(usize, usize)]) -> Vec<f64> {
    let (enroll, test) = (trials.iter().map(|t| t.0), trials.iter().map(|t| t.1));
    let by = cohort.normalise(compared, enroll, test, &|| ()).unwrap();
    trials.iter().map(|&(e, t)| by.score(e, t)).collect()
}

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
    for (folder, mean, tops) in [("mean", Some(&mean), &[20, 40][..]), ("nomean", None, &[20])] {
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
    let speakers = reference.words::<8>("speaker/dev", Dtype::I64).0;
    let speaker = |id: &str| {
        let place: usize = id.strip_prefix("dev")?.parse().ok()?;
        Some(format!("{:03}", i64::from_le_bytes(speakers[place])))
    };
    let means = dev.speaker_means(&speaker).unwrap();
    let members = Scorer::new(&means, mean).unwrap();
    let cohort = Cohort::new(Norm::As1, &members, 20).unwrap();
    let scores = scored(&cohort, compared, &reference.trials("trials/eval"));
    reference.check("norm/mean/asnorm1_top20", scores, 1e-6);
}

/// Embeddings of speakers: those of one are near each other.
fn voices(stream: &mut Stream, dim: usize, count: usize) -> Embeddings {
    let mut all = Embeddings::new(dim);
    let mut speaker = vec![0.0; dim];
    for i in 0..count {
        if i % 4 == 0 {
            speaker.iter_mut().for_each(|x| *x = stream.normal());
        }
        let row: Vec<f32> =
            speaker.iter().map(|x| (x + 0.7 * stream.normal() + 0.3) as f32).collect();
        all.push(&format!("u{i}"), &row).unwrap();
    }
    all
}

fn some_trials(stream: &mut Stream, count: usize) -> Vec<(usize, usize)> {
    (0..60).map(|_| (stream.below(count), stream.below(count))).collect()
}

#[test]
fn models_of_one_utterance_are_normalised_like_utterances() {
    let mut stream = Stream::new(1, "test", &[]);
    for mean in [None, Some(vec![0.1; 24])] {
        let (all, others) = (voices(&mut stream, 24, 20), voices(&mut stream, 24, 90));
        let scorer = Scorer::new(&all, mean.clone()).unwrap();
        let members = Scorer::new(&others, mean).unwrap();
        let trials = some_trials(&mut stream, 20);
        let alone: Vec<[usize; 1]> = (0..20).map(|i| [i]).collect();
        let named = || alone.iter().map(|places| ("m", &places[..]));
        for norm in Norm::ALL {
            let cohort = Cohort::new(norm, &members, 15).unwrap();
            let wanted = scored(&cohort, Compared::new(&scorer, None), &trials);
            for average in Average::ALL {
                let models = Models::new(&scorer, named(), average).unwrap();
                let found = scored(&cohort, Compared::new(&scorer, Some(&models)), &trials);
                let off = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs());
                assert!(off.fold(0.0, f64::max) < 1e-9, "{norm:?} {average:?}");
                if average == Average::Embeddings {
                    assert_eq!(found, wanted, "{norm:?}");
                }
            }
            if norm == Norm::As1 {
                let before = AsNorm::new(&members, 15).unwrap();
                assert_eq!(before.score(&scorer, &trials, &|| ()).unwrap(), wanted);
            }
        }
    }
}

/// AS-norm 2 by its definition. The last of `both` are the cohort.
fn crosswise(both: &Scorer, (e, t): (usize, usize), members: usize, top: usize) -> f64 {
    let all = both.embeddings().len();
    let nearest = |place: usize| {
        let mut places: Vec<usize> = (all - members..all).collect();
        places.sort_by(|a, b| both.score(place, *b).total_cmp(&both.score(place, *a)));
        places.truncate(top);
        places
    };
    let normalised = |place: usize, over: Vec<usize>| {
        let n = over.len() as f64;
        let cosines: Vec<f64> = over.iter().map(|&c| both.score(place, c)).collect();
        let mean = cosines.iter().sum::<f64>() / n;
        let var = cosines.iter().map(|c| (c - mean).powi(2)).sum::<f64>() / n;
        (both.score(e, t) - mean) / var.sqrt()
    };
    0.5 * (normalised(e, nearest(t)) + normalised(t, nearest(e)))
}

#[test]
fn crosswise_statistics_are_those_of_the_plain_twin() {
    let mut stream = Stream::new(2, "test", &[]);
    for round in 0..20 {
        let (dim, members) = (4 + stream.below(30), 20 + stream.below(200));
        let (all, mut others) = (voices(&mut stream, dim, 12), voices(&mut stream, dim, members));
        if round % 3 == 0 {
            // Copies, of which only some may be among the nearest.
            let some = others;
            others = Embeddings::new(dim);
            for i in 0..members {
                others.push(&format!("u{i}"), some.row(i / 2)).unwrap();
            }
        }
        let mut both = Embeddings::new(dim);
        for (kind, part) in [("e", &all), ("c", &others)] {
            for i in 0..part.len() {
                both.push(&format!("{kind}{i}"), part.row(i)).unwrap();
            }
        }
        let mean = (round % 2 == 0).then(|| vec![0.1; dim]);
        let [both, scorer, cohort] =
            [&both, &all, &others].map(|set| Scorer::new(set, mean.clone()).unwrap());
        // With and without bounds.
        let top = [5, members / 3, members - 2][round % 3];
        let norm = Cohort::new(Norm::As2, &cohort, top).unwrap();
        let trials = some_trials(&mut stream, 12);
        let found = scored(&norm, Compared::new(&scorer, None), &trials);
        for (found, &trial) in found.iter().zip(&trials) {
            let wanted = crosswise(&both, trial, members, top);
            assert!((found - wanted).abs() < 1e-8 * (1.0 + wanted.abs()), "{found}, {wanted}");
        }
        for threads in [1, 3] {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let again = pool.install(|| scored(&norm, Compared::new(&scorer, None), &trials));
            assert_eq!(again, found);
        }
    }
}

#[test]
fn the_nearest_of_all_are_all() {
    let mut stream = Stream::new(3, "test", &[]);
    let (all, others) = (voices(&mut stream, 12, 10), voices(&mut stream, 12, 30));
    let scorer = Scorer::new(&all, None).unwrap();
    let members = Scorer::new(&others, None).unwrap();
    let trials = some_trials(&mut stream, 10);
    let scores = |norm, top| {
        let cohort = Cohort::new(norm, &members, top).unwrap();
        assert_eq!(cohort.top(), norm.is_adaptive().then_some(top.min(30)));
        scored(&cohort, Compared::new(&scorer, None), &trials)
    };
    for (nearest, whole) in
        [(Norm::As1, Norm::S), (Norm::As2, Norm::S), (Norm::Az, Norm::Z), (Norm::At, Norm::T)]
    {
        let wanted = scores(whole, 2);
        let off = |found: Vec<f64>| {
            found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
        };
        assert!(off(scores(nearest, 300)) < 1e-10, "{nearest:?}");
        assert!(off(scores(nearest, 10)) > 0.1, "{nearest:?}");
    }
}

#[test]
fn cohorts_without_spread_are_errors() {
    let mut stream = Stream::new(4, "test", &[]);
    let all = voices(&mut stream, 8, 4);
    let scorer = Scorer::new(&all, None).unwrap();
    let mut copies = Embeddings::new(8);
    for i in 0..20 {
        copies.push(&format!("c{i}"), all.row(3)).unwrap();
    }
    let members = Scorer::new(&copies, None).unwrap();
    for norm in Norm::ALL {
        let made = Cohort::new(norm, &members, 5);
        let error = match made {
            Ok(cohort) => {
                let compared = Compared::new(&scorer, None);
                cohort.normalise(compared, [0], [1], &|| ()).err().unwrap()
            }
            Err(error) => error,
        };
        assert!(error.to_string().contains("copies of one embedding"), "{norm:?}: {error}");
    }
    let one = Scorer::new(&all, None).unwrap();
    let vectors = one.unit(0);
    for norm in Norm::ALL {
        let error = Cohort::of_vectors(norm, &vectors, 8, 5).err().unwrap().to_string();
        assert!(error.contains("holds one embedding"), "{norm:?}: {error}");
        let error = Cohort::of_vectors(norm, &[0.0; 16], 8, 5).err().unwrap().to_string();
        assert!(error.contains("vector 0 of the cohort has no direction"), "{error}");
        let other = Cohort::of_vectors(norm, &[1.0, 2.0, 3.0, -1.0, 1.0, 0.5], 2, 2).unwrap();
        let error = other.normalise(Compared::new(&scorer, None), [0], [1], &|| ()).err().unwrap();
        assert!(error.to_string().contains("the cohort has 2 values"), "{error}");
    }
}

#[cfg(feature = "cli")]
#[test]
fn options_have_these_names() {
    use clap::ValueEnum;

    for norm in Norm::ALL {
        assert_eq!(norm.to_possible_value().unwrap().get_name(), norm.name());
    }
    assert_eq!(Norm::value_variants(), Norm::ALL);
}
