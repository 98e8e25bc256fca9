use super::*;
use crate::rng::Stream;
use crate::scoring::Embeddings;

/// Embeddings that lie to one side, of different lengths.
fn some(stream: &mut Stream, dim: usize, count: usize) -> Embeddings {
    let mut all = Embeddings::new(dim);
    for i in 0..count {
        let size = 0.5 + 3.0 * stream.uniform();
        let row: Vec<f32> = (0..dim).map(|_| (size * (0.3 + stream.normal())) as f32).collect();
        all.push(&format!("u{i}"), &row).unwrap();
    }
    all
}

fn models(scorer: &Scorer, places: &[Vec<usize>], average: Average) -> Models {
    let named = places.iter().map(|places| ("m", places.as_slice()));
    Models::new(scorer, named, average).unwrap()
}

#[test]
fn a_model_of_one_utterance_is_the_utterance() {
    let mut stream = Stream::new(1, "test", &[]);
    for dim in [1, 7, 64, 193] {
        let all = some(&mut stream, dim, 12);
        let alone: Vec<Vec<usize>> = (0..12).map(|i| vec![i]).collect();
        for mean in [None, Some(vec![0.1; dim])] {
            let scorer = Scorer::new(&all, mean).unwrap();
            for average in Average::ALL {
                let models = models(&scorer, &alone, average);
                let compared = Compared::new(&scorer, Some(&models));
                let plain = Compared::new(&scorer, None);
                for (e, t) in (0..12).flat_map(|e| (0..12).map(move |t| (e, t))) {
                    let (found, wanted) = (compared.score(e, t), scorer.score(e, t));
                    assert_eq!(plain.score(e, t), wanted);
                    match average {
                        Average::Embeddings => assert_eq!(found, wanted, "{dim} values"),
                        _ => assert!((found - wanted).abs() < 1e-14, "{found} and {wanted}"),
                    }
                    let lengths = [compared, plain].map(|sides| sides.enroll_length(e));
                    assert!((lengths[0] / lengths[1] - 1.0).abs() < 1e-14, "{lengths:?}");
                }
            }
        }
    }
}

#[test]
fn averages_are_what_they_are_called() {
    let mut stream = Stream::new(2, "test", &[]);
    for _ in 0..50 {
        let dim = 2 + stream.below(40);
        let all = some(&mut stream, dim, 9);
        let mean = stream.chance(0.5).then(|| vec![0.2; dim]);
        let scorer = Scorer::new(&all, mean.clone()).unwrap();
        let places: Vec<usize> = (0..2 + stream.below(4)).map(|_| stream.below(8)).collect();
        let n = places.len() as f64;
        let scores =
            |average| models(&scorer, std::slice::from_ref(&places), average).score(&scorer, 0, 8);
        let of_scores: f64 = places.iter().map(|&i| scorer.score(i, 8)).sum::<f64>() / n;
        assert!((scores(Average::Scores) - of_scores).abs() < 1e-14);
        // The other two are scores of vectors that f32 rounds.
        let average = |vector: &dyn Fn(usize) -> Vec<f64>| {
            let mut sum = vec![0.0; dim];
            for &i in &places {
                sum.iter_mut().zip(vector(i)).for_each(|(s, x)| *s += x / n);
            }
            sum
        };
        let raw = average(&|i| all.row(i).iter().map(|&x| f64::from(x)).collect());
        let units = average(&|i| scorer.unit(i));
        let shift = |j: usize| mean.as_ref().map_or(0.0, |m| m[j]);
        let raw: Vec<f64> = raw.iter().enumerate().map(|(j, x)| x - shift(j)).collect();
        for (kind, vector) in [(Average::Embeddings, raw), (Average::Unit, units)] {
            let dot: f64 = vector.iter().zip(scorer.unit(8)).map(|(x, y)| x * y).sum();
            let wanted = dot / length(&vector);
            assert!((scores(kind) - wanted).abs() < 1e-13, "{kind:?}");
        }
    }
}

#[test]
fn models_without_a_direction_are_errors() {
    let mut all = Embeddings::new(2);
    for (id, row) in [("a", [1.0, 2.0]), ("b", [-1.0, -2.0]), ("c", [3.0, 0.0])] {
        all.push(id, &row).unwrap();
    }
    let scorer = Scorer::new(&all, None).unwrap();
    let made = |places: &[usize], average| {
        Models::new(&scorer, [("x", &[2][..]), ("ann", places)], average)
    };
    for average in [Average::Embeddings, Average::Unit] {
        let error = made(&[0, 1], average).err().unwrap().to_string();
        assert!(error.contains("model `ann` has no direction"), "{error}");
        let error = made(&[], average).err().unwrap().to_string();
        assert!(error.contains("model `ann` has no utterances"), "{error}");
    }
    assert_eq!(made(&[0, 1], Average::Scores).unwrap().score(&scorer, 1, 2), 0.0);
    // The mean itself, but for rounding.
    let mean = all.row(0).iter().zip(all.row(2)).map(|(a, c)| f64::from(a + c) / 2.0 + 1e-9);
    let scorer = Scorer::new(&all, Some(mean.collect())).unwrap();
    let error = Models::new(&scorer, [("bob", &[0, 2][..])], Average::Embeddings).err().unwrap();
    assert!(error.to_string().contains("model `bob` has no direction"), "{error}");
}

#[cfg(feature = "cli")]
#[test]
fn options_have_these_names() {
    use clap::ValueEnum;

    for average in Average::ALL {
        assert_eq!(average.to_possible_value().unwrap().get_name(), average.name());
    }
    assert_eq!(Average::value_variants(), Average::ALL);
}
