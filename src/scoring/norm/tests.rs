use rayon::ThreadPoolBuilder;

use super::*;
use crate::rng::Stream;
use crate::scoring::{Average, Embeddings, Models};

/// The scores of trials.
pub(super) fn scored(cohort: &Cohort, compared: Compared, trials: &[(usize, usize)]) -> Vec<f64> {
    let (enroll, test) = (trials.iter().map(|t| t.0), trials.iter().map(|t| t.1));
    let by = cohort.normalise(compared, enroll, test, &|| ()).unwrap();
    trials.iter().map(|&(e, t)| by.score(e, t)).collect()
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
