//! Speed of scoring at the size of VoxCeleb1-E: 579,818 trials over 145,160 embeddings.
//!
//!     cargo bench --bench scoring

use revox::corpus::{Pair, Text, TrialList, Words};
use revox::rng::Stream;
use revox::scoring::{
    AsNorm, Curve, Embeddings, ScoreList, Scored, Scorer, bootstrap_curve, write_scored,
};

const TRIALS: usize = 579_818;
const UTTERANCES: usize = 145_160;
const COHORT: usize = 5994;

fn main() {
    divan::main();
}

/// Embeddings in all directions.
fn random(stream: &mut Stream, count: usize) -> Embeddings {
    let mut embeddings = Embeddings::new(256);
    let mut row = vec![0.0f32; 256];
    for i in 0..count {
        row.iter_mut().for_each(|x| *x = stream.uniform() as f32 - 0.5);
        embeddings.push(&format!("u{i:06}"), &row).unwrap();
    }
    embeddings
}

/// A sixteenth of what AS-norm computes for VoxCeleb1-E: the 300 nearest of the cohort.
/// `benches/score_voxceleb.py` measures the whole program.
#[divan::bench(sample_count = 5)]
fn the_nearest_of_5994_to_9072_vectors(bencher: divan::Bencher) {
    let mut stream = Stream::new(5, "bench", &[]);
    let (embeddings, cohort) = (random(&mut stream, UTTERANCES / 16), random(&mut stream, COHORT));
    let scorer = Scorer::new(&embeddings, None).unwrap();
    let norm = AsNorm::new(&Scorer::new(&cohort, None).unwrap(), 300).unwrap();
    bencher.bench(|| norm.normaliser(divan::black_box(&scorer), 0..embeddings.len(), &|| ()));
}

/// The lengths of all vectors and the scores of all trials, on one thread.
#[divan::bench(sample_count = 5)]
fn cosine_579818_trials_over_145160_vectors(bencher: divan::Bencher) {
    let mut stream = Stream::new(1, "bench", &[]);
    let embeddings = random(&mut stream, UTTERANCES);
    let pairs: Vec<(usize, usize)> =
        (0..TRIALS).map(|_| (stream.below(UTTERANCES), stream.below(UTTERANCES))).collect();
    bencher.bench(|| {
        let scorer = Scorer::new(divan::black_box(&embeddings), None).unwrap();
        pairs.iter().map(|&(a, b)| scorer.score(a, b)).collect::<Vec<f64>>()
    });
}

/// EER and both minDCFs from scores and labels. Sorting uses all cores.
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

/// What `score` and `eval` do with lists: reading trials, writing scores and reading them again.
/// The scores are not computed here.
#[divan::bench(sample_count = 5)]
fn lists_of_579818_trials_read_written_and_read(bencher: divan::Bencher) {
    let mut stream = Stream::new(3, "bench", &[]);
    let folder = tempfile::tempdir().unwrap();
    let (list, scores) = (folder.path().join("trials"), folder.path().join("scores"));
    let name = |i: usize| format!("id1{:04}/some-video/{:05}.wav", i / 120, i % 120);
    let trials: String = (0..TRIALS)
        .map(|i| {
            let (a, b) = (name(i / 8 % UTTERANCES), name(stream.below(UTTERANCES)));
            format!("{} {a} {b}\n", u8::from(a[..7] == b[..7]))
        })
        .collect();
    std::fs::write(&list, trials).unwrap();
    bencher.bench(|| {
        let mut words = Words::default();
        let list = TrialList::read(Text::open(&list).unwrap(), &mut words, &mut |_| ()).unwrap();
        // Repeated trials get equal scores.
        let score = |i: usize| (list.trials()[i].numbers() % 1_000_003) as f64 / 1e6;
        write_scored(&scores, &words, list.trials(), &score, &mut |_| ()).unwrap();
        ScoreList::read(Text::open(&scores).unwrap(), &mut Words::default(), &mut |_| ())
            .unwrap()
            .trials
            .len()
    });
}

/// A bootstrap of a hundred replicates over 1,251 speakers.
#[divan::bench(sample_count = 5)]
fn a_hundred_resamplings_of_579818_trials(bencher: divan::Bencher) {
    let mut stream = Stream::new(4, "bench", &[]);
    let mut trials: Vec<Scored> = (0..TRIALS)
        .map(|i| {
            let (a, target) = (stream.below(1251), i % 2 == 0);
            let b = if target { a } else { (a + 1 + stream.below(1250)) % 1251 };
            let score = 0.1 * stream.normal() + if target { 0.6 } else { 0.2 };
            Scored { score, pair: Pair::new(a as u32, b as u32, Some(target)) }
        })
        .collect();
    let curve = Curve::of(&mut trials).unwrap();
    bencher.bench(|| {
        bootstrap_curve(divan::black_box(&curve), &[0.01, 0.05], 100, 1, &|| ()).unwrap()
    });
}
