//! Scoring at the size of VoxCeleb1-E: 579,818 trials over 145,160 embeddings.
//!
//!     cargo bench --bench scoring

use revox::rng::Stream;
use revox::scoring::{Curve, Embeddings, Scorer};

const TRIALS: usize = 579_818;
const UTTERANCES: usize = 145_160;

fn main() {
    divan::main();
}

/// Lengths of the vectors and all trials, on one thread.
#[divan::bench(sample_count = 5)]
fn cosine_579818_trials_over_145160_vectors(bencher: divan::Bencher) {
    let mut stream = Stream::new(1, "bench", &[]);
    let mut embeddings = Embeddings::new(256);
    let mut row = vec![0.0f32; 256];
    for i in 0..UTTERANCES {
        row.iter_mut().for_each(|x| *x = stream.uniform() as f32 - 0.5);
        embeddings.push(&format!("u{i:06}"), &row).unwrap();
    }
    let pairs: Vec<(usize, usize)> =
        (0..TRIALS).map(|_| (stream.below(UTTERANCES), stream.below(UTTERANCES))).collect();
    bencher.bench(|| {
        let scorer = Scorer::new(divan::black_box(&embeddings), None).unwrap();
        pairs.iter().map(|&(a, b)| scorer.score(a, b)).collect::<Vec<f64>>()
    });
}

/// EER and both minDCFs from scores and labels, on one thread.
#[divan::bench(sample_count = 20)]
fn eer_and_min_dcf_of_579818_scores(bencher: divan::Bencher) {
    let mut stream = Stream::new(2, "bench", &[]);
    let trials: Vec<(f64, bool)> = (0..TRIALS)
        .map(|i| {
            let target = i % 2 == 0;
            (0.1 * stream.normal() + if target { 0.6 } else { 0.2 }, target)
        })
        .collect();
    bencher.bench(|| {
        let curve = Curve::new(divan::black_box(&trials).iter().copied()).unwrap();
        (curve.eer(), curve.min_dcf(0.01), curve.min_dcf(0.05))
    });
}
