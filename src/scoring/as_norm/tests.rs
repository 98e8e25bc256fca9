use rayon::ThreadPoolBuilder;

use super::super::Embeddings;
use super::products::Products;
use super::*;
use crate::rng::Stream;

/// Each number has a vector in another direction.
fn row(number: usize) -> Vec<f32> {
    (1..17).map(|j| (((number + 1) * j) as f32 * 0.737).sin()).collect()
}

fn set(rows: impl IntoIterator<Item = Vec<f32>>) -> Embeddings {
    let mut all = Embeddings::new(16);
    rows.into_iter().enumerate().for_each(|(i, row)| all.push(&format!("u{i}"), &row).unwrap());
    all
}

fn normalised(cohort: &Embeddings, top: usize) -> Result<Vec<f64>> {
    let embeddings = set((0..4).map(row));
    let scorer = Scorer::new(&embeddings, None)?;
    let cohort = Scorer::new(cohort, None)?;
    AsNorm::new(&cohort, top)?.score(&scorer, &[(0, 1), (2, 3)], &|| ())
}

#[test]
fn a_cohort_without_spread_is_an_error() {
    let scaled =
        |i: usize| row(9).iter().map(|x| x * (1.0 + 0.37 * i as f32)).collect::<Vec<f32>>();
    let noisy =
        |i: usize| row(9).iter().zip(row(i)).map(|(x, n)| x + 3e-7 * n).collect::<Vec<f32>>();
    for cohort in [set((0..10).map(|_| row(9))), set((0..10).map(scaled)), set((0..10).map(noisy))]
    {
        for top in [2, 5, 10, 300] {
            let error = normalised(&cohort, top).unwrap_err().to_string();
            assert!(error.contains("`u0` is equally far from its"), "{error}");
        }
    }
}

#[test]
fn copies_among_others_are_an_error_only_where_they_are_all() {
    // Five copies of `u0`, which are its nearest.
    let cohort = set((10..40).map(row).chain((0..5).map(|_| row(0))));
    assert!(normalised(&cohort, 5).unwrap_err().to_string().contains("its 5 nearest"));
    let scores = normalised(&cohort, 20).unwrap();
    assert!(scores.iter().all(|s| s.abs() < 100.0), "{scores:?}");
}

#[test]
fn more_than_the_cohort_holds_is_all_of_it() {
    let cohort = set((10..30).map(row));
    assert_eq!(normalised(&cohort, 300).unwrap(), normalised(&cohort, 20).unwrap());
    assert_ne!(normalised(&cohort, 20).unwrap(), normalised(&cohort, 10).unwrap());
    assert_eq!(AsNorm::new(&Scorer::new(&cohort, None).unwrap(), 300).unwrap().top(), 20);
    assert!(normalised(&cohort, 1).unwrap_err().to_string().contains("top-n = 1"));
    assert!(
        normalised(&set([row(1)]), 300).unwrap_err().to_string().contains("holds one embedding")
    );
}

/// Embeddings of speakers: those of one are near each other.
fn voices(stream: &mut Stream, dim: usize, count: usize) -> Embeddings {
    let mut all = Embeddings::new(dim);
    let mut speaker = vec![0.0; dim];
    for i in 0..count {
        if i % 5 == 0 {
            speaker.iter_mut().for_each(|x| *x = stream.normal());
        }
        let row: Vec<f32> =
            speaker.iter().map(|x| (x + 0.7 * stream.normal() + 0.3) as f32).collect();
        all.push(&format!("u{i}"), &row).unwrap();
    }
    all
}

/// Scores in f64, sorted; the mean and deviation of the first ones. The last of `both` are the
/// cohort.
fn plain(both: &Scorer, place: usize, members: usize, top: usize) -> TopStatistics {
    let all = both.embeddings().len();
    let mut cosines: Vec<f64> = (all - members..all).map(|i| both.score(place, i)).collect();
    cosines.sort_unstable_by(|a, b| b.total_cmp(a));
    cosines.truncate(top);
    let n = cosines.len() as f64;
    let mean = cosines.iter().sum::<f64>() / n;
    let var = cosines.iter().map(|c| (c - mean) * (c - mean)).sum::<f64>() / n;
    TopStatistics { mean, std: var.sqrt() }
}

fn joined(parts: [&Embeddings; 2]) -> Embeddings {
    let mut all = Embeddings::new(parts[0].dim());
    for (k, part) in parts.into_iter().enumerate() {
        for i in 0..part.len() {
            all.push(&format!("{k}-{i}"), part.row(i)).unwrap();
        }
    }
    all
}

/// Equal but for the rounding of sums. A deviation is a root, which makes errors near 0 larger.
fn check(found: TopStatistics, wanted: TopStatistics) {
    let off = (found.mean - wanted.mean).abs();
    let var = (found.std.powi(2) - wanted.std.powi(2)).abs();
    assert!(off < 1e-13 && var < 1e-13, "{found:?} instead of {wanted:?}");
}

#[test]
fn statistics_are_those_of_the_plain_twin_whatever_the_filter() {
    let mut stream = Stream::new(1, "test", &[]);
    for round in 0..84 {
        let dim = [1, 3, 64, 192, 256, 513, 2 + stream.below(70)][round % 7];
        let (members, count) = (2 + stream.below(700), 1 + stream.below(20));
        let embeddings = voices(&mut stream, dim, count);
        let cohort = match round % 3 {
            // Every member several times.
            0 => {
                let some = voices(&mut stream, dim, 1 + members / 4);
                let mut all = Embeddings::new(dim);
                for i in 0..members {
                    all.push(&format!("u{i}"), some.row(stream.below(some.len()))).unwrap();
                }
                all
            }
            _ => voices(&mut stream, dim, members),
        };
        let both = joined([&embeddings, &cohort]);
        let mean = (round % 2 == 0).then(|| vec![0.1; dim]);
        let both = Scorer::new(&both, mean.clone()).unwrap();
        let scorer = Scorer::new(&embeddings, mean.clone()).unwrap();
        let cohort = Scorer::new(&cohort, mean).unwrap();
        let top = [2, members, 2 + stream.below(members), 2 + members / 20][round % 4];
        let mut norm = AsNorm::new(&cohort, top).unwrap();
        let mut space = Space::default();
        space.rows.fill(&scorer, 0..count);
        norm.filter = None;
        let exact = norm.statistics_of(&mut space, 64 * (1 + stream.below(12)));
        for (i, &found) in exact.iter().enumerate() {
            let wanted = plain(&both, i, members, norm.top());
            check(found, wanted);
            check(norm.statistics(&scorer.unit(i)), wanted);
        }
        // `of` chooses by the processor.
        for filter in [Filter::of(&cohort), Filter::Floats(Products::of(&cohort))] {
            norm.filter = Some(filter);
            let found = norm.statistics_of(&mut space, 64 * (1 + stream.below(12)));
            assert_eq!(found, exact, "{dim} values, {top} of {members}");
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let mut stream = Stream::new(2, "test", &[]);
    // In f64, and in f32.
    for (dim, count, members, top) in [(24, 700, 400, 30), (64, 200, 1000, 300)] {
        let (embeddings, cohort) =
            (voices(&mut stream, dim, count), voices(&mut stream, dim, members));
        let trials: Vec<(usize, usize)> =
            (0..900).map(|_| (stream.below(count), stream.below(count))).collect();
        let scorer = Scorer::new(&embeddings, None).unwrap();
        let norm = AsNorm::new(&Scorer::new(&cohort, None).unwrap(), top).unwrap();
        assert_eq!(norm.quick.is_some(), members == 1000);
        let scores = [1, 2, 5].map(|threads| {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| norm.score(&scorer, &trials, &|| ())).unwrap()
        });
        assert!(scores[1] == scores[0] && scores[2] == scores[0]);
    }
}

/// Statistics of all embeddings, and those in f64.
fn both_ways(norm: &mut AsNorm, scorer: &Scorer) -> [Vec<TopStatistics>; 2] {
    let mut space = Space::default();
    space.rows.fill(scorer, 0..scorer.embeddings().len());
    let quick = norm.statistics_of(&mut space, COLUMNS);
    let was = norm.quick.take();
    let exact = norm.statistics_of(&mut space, COLUMNS);
    norm.quick = was;
    [quick, exact]
}

#[test]
fn quick_statistics_give_the_scores_of_the_f64_twin_to_a_millionth() {
    let mut stream = Stream::new(3, "test", &[]);
    for (dim, top, mean) in
        [(64, 300, None), (193, 400, Some(0.3)), (256, 500, None), (256, 500, Some(-0.9))]
    {
        let (embeddings, cohort) = (voices(&mut stream, dim, 24), voices(&mut stream, dim, 1100));
        let mean = mean.map(|m| vec![m; dim]);
        let scorer = Scorer::new(&embeddings, mean.clone()).unwrap();
        let cohort = Scorer::new(&cohort, mean).unwrap();
        let mut norm = AsNorm::new(&cohort, top).unwrap();
        let [quick, exact] = both_ways(&mut norm, &scorer);
        for (found, wanted) in quick.iter().zip(&exact) {
            assert_ne!(found, wanted, "{dim} values: f32 was not close enough");
            for s in [0.0, 0.4, 0.8, 1.0] {
                let off = (found.normalised(s) - wanted.normalised(s)).abs();
                assert!(off < 1e-6, "{dim} values: {off:.1e} at {s}");
            }
        }
        // The processor's bounds, or those in f32.
        norm.filter = Some(Filter::Floats(Products::of(&cohort)));
        assert_eq!(both_ways(&mut norm, &scorer), [quick, exact], "{dim} values");
    }
}

#[test]
fn utterances_whose_nearest_lie_close_together_are_compared_in_f64() {
    let mut stream = Stream::new(4, "test", &[]);
    let (mut embeddings, mut cohort) = (voices(&mut stream, 64, 11), voices(&mut stream, 64, 1000));
    // Copies of one voice but for 2 % of noise, and the voice itself.
    let centre = voices(&mut stream, 64, 1);
    for i in 1000..1150 {
        let row: Vec<f32> =
            centre.row(0).iter().map(|x| x + 0.03 * stream.normal() as f32).collect();
        cohort.push(&format!("u{i}"), &row).unwrap();
    }
    embeddings.push("u11", centre.row(0)).unwrap();
    let scorer = Scorer::new(&embeddings, None).unwrap();
    let mut norm = AsNorm::new(&Scorer::new(&cohort, None).unwrap(), 100).unwrap();
    let [found, exact] = both_ways(&mut norm, &scorer);
    assert!(exact[11].std < 1e-3 && exact[11] == found[11], "{:?}", exact[11]);
    assert!((0..11).any(|i| found[i] != exact[i]), "no statistics are in f32");
    for (found, exact) in found.iter().zip(&exact) {
        assert!((found.normalised(1.0) - exact.normalised(1.0)).abs() < 1e-6);
    }
}

#[test]
fn cohorts_that_f32_cannot_compare_are_compared_in_f64() {
    let mut stream = Stream::new(5, "test", &[]);
    let mut is_quick = |dim: usize, count: usize, scale: f32, mean: Option<f64>| {
        let some = voices(&mut stream, dim, count);
        let mut all = Embeddings::new(dim);
        for i in 0..count {
            let row: Vec<f32> = some.row(i).iter().map(|x| x * scale).collect();
            all.push(&format!("u{i}"), &row).unwrap();
        }
        let mean = mean.map(|m| vec![m; dim]);
        AsNorm::new(&Scorer::new(&all, mean).unwrap(), 100).unwrap().quick.is_some()
    };
    assert!(is_quick(64, 1000, 1.0, None));
    assert!(is_quick(64, 1000, 1e4, Some(0.5)));
    // Few members, few values, values at the ends of f32.
    assert!(!is_quick(64, 999, 1.0, None));
    assert!(!is_quick(63, 1000, 1.0, None));
    assert!(!is_quick(64, 1000, 1e-20, None));
    assert!(!is_quick(64, 1000, 1e20, None));
    // Members that lie close to the mean, in relation to their lengths.
    let mut near = Embeddings::new(64);
    for i in 0..1000 {
        let row: Vec<f32> = (0..64).map(|_| 100.0 + stream.normal() as f32).collect();
        near.push(&format!("u{i}"), &row).unwrap();
    }
    let scorer = Scorer::new(&near, Some(vec![100.0; 64])).unwrap();
    assert!(AsNorm::new(&scorer, 100).unwrap().quick.is_none());
}
