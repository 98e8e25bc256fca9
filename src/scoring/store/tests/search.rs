//! The search among voices.

use proptest::prelude::*;

use super::*;
use crate::scoring::{Embeddings, Scorer};

#[test]
fn what_has_no_direction_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("voices");
    let mut store = filled(&path);
    let index = store.index(None).unwrap();
    assert!(error(index.search(&[0.0; DIM], 3)).contains("zero: it has no direction"));
    assert!(error(index.search(&[f32::NAN; DIM], 3)).contains("not finite"));
    assert!(error(index.search(&[1.0; DIM + 1], 3)).contains("25 values"));
    assert!(index.search(&[1.0; DIM], 0).unwrap().is_empty());
    let centred = store.index(Some(&[2.0; DIM][..])).unwrap();
    assert!(error(centred.search(&[2.0; DIM], 3)).contains("the mean itself"));
    assert!(error(store.index(Some(&[2.0; 3][..]))).contains("the mean has 3 values"));
    let opposite = [1.0f32, -1.0].map(|x| Recording {
        file: x.to_string(),
        seconds: 1.0,
        embedding: vec![x; DIM],
    });
    store.enroll([("nobody", &opposite[..])]).unwrap();
    let text = error(store.index(None));
    assert!(text.contains("voices: the mean embedding of `nobody`: "), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The places and scores are those of comparing all, to the bit; equal scores too.
    #[test]
    fn a_search_equals_comparing_all(
        seed in any::<u64>(),
        dim in prop_oneof![Just(1usize), Just(2), Just(33), Just(64), 1usize..100],
        voices in 1usize..150,
        spread in prop_oneof![Just(1e-4), Just(0.1), Just(1.0)],
        top in 1usize..20,
        has_mean in any::<bool>(),
    ) {
        let mut stream = Stream::new(seed, "test", &[]);
        let mean: Option<Vec<f32>> =
            has_mean.then(|| (0..dim).map(|_| stream.normal() as f32).collect());
        let mut index = VoiceIndex::new(dim, mean.as_deref()).unwrap();
        let mut all = Embeddings::new(dim);
        // Around one point, so that many are nearly equal; some are copies of others.
        let centre: Vec<f64> = (0..dim).map(|_| stream.normal()).collect();
        let draw = |stream: &mut Stream| -> Vec<f32> {
            centre.iter().map(|c| (c + spread * stream.normal()) as f32).collect()
        };
        let query = draw(&mut stream);
        all.push("query", &query).unwrap();
        for i in 0..voices {
            let row = match stream.below(4) {
                0 if i > 0 => index.embedding(stream.below(i)).to_vec(),
                _ => draw(&mut stream),
            };
            let name = format!("v{i}");
            index.push(&name, 1.0, &row).unwrap();
            all.push(&name, &row).unwrap();
        }
        let wide = mean.map(|m| m.iter().map(|&x| f64::from(x)).collect());
        let scorer = Scorer::new(&all, wide).unwrap();
        let mut wanted: Vec<Found> =
            (0..voices).map(|place| Found { place, score: scorer.score(0, place + 1) }).collect();
        wanted.sort_by(|a, b| b.score.total_cmp(&a.score));
        wanted.truncate(top);
        prop_assert_eq!(index.search(&query, top).unwrap(), wanted);
    }
}
