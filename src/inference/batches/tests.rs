use super::*;
use crate::inference::tests::{MELS, network};

fn features(frames: usize, shift: usize) -> Features {
    Features {
        values: (0..frames * MELS).map(|i| ((i + shift) as f32 * 0.37).sin()).collect(),
        frames,
        mels: MELS,
    }
}

/// Embeddings of feature sets in the usual batches.
fn embed(way: Way, sets: &[&Features]) -> Vec<Vec<f32>> {
    let done = |_: usize| ();
    let mut batches = Batches::new(way, &done);
    sets.iter().for_each(|set| batches.add(*set));
    batches.finish()
}

/// Runs a test by the runtime, and by Burn.
fn both_ways(test: impl Fn(Way)) {
    let (network, device) = (network(), Device::default());
    test(Way::Burn(&network, &device));
    test(Way::Runtime(&Runtime::of_network(&network, MELS).unwrap()));
}

#[test]
fn sets_of_equal_length_run_together_in_their_order() {
    both_ways(sets_run_together);
}

fn sets_run_together(way: Way) {
    let lengths = [20, 30, 20, 20, 40, 30, 20, 20, 20, 30, 20];
    let sets: Vec<Features> =
        lengths.iter().enumerate().map(|(i, &frames)| features(frames, 7 * i)).collect();
    let sizes = std::cell::RefCell::new(Vec::new());
    let done = |n: usize| sizes.borrow_mut().push(n);
    let mut batches = Batches::new(way, &done);
    // Three sets of 20 frames, two of 30, one of 40.
    batches.most = 3 * 20 * MELS;
    sets.iter().for_each(|set| batches.add(set));
    assert_eq!(batches.count(), 11);
    let rows = batches.finish();
    assert_eq!(*sizes.borrow(), [3, 1, 2, 3, 1, 1]);
    assert_eq!(batches.count(), 0);
    for (frames, size) in [(20, 3), (30, 2), (40, 1)] {
        let places: Vec<usize> = (0..11).filter(|&i| lengths[i] == frames).collect();
        for chunk in places.chunks(size) {
            let together: Vec<&Features> = chunk.iter().map(|&i| &sets[i]).collect();
            let wanted = embed(way, &together);
            assert!(chunk.iter().zip(&wanted).all(|(&i, row)| rows[i] == *row), "{chunk:?}");
        }
    }
}

#[test]
fn what_is_forgotten_runs_with_nothing() {
    both_ways(what_is_forgotten);
}

fn what_is_forgotten(way: Way) {
    let sets: Vec<Features> = (0..5).map(|i| features(20, i)).collect();
    let done = |_: usize| ();
    let mut batches = Batches::new(way, &done);
    sets[..2].iter().for_each(|set| batches.add(set));
    batches.add(&sets[3]);
    batches.truncate(2);
    batches.add(&sets[2]);
    let wanted = embed(way, &sets[..3].iter().collect::<Vec<_>>());
    assert_eq!(batches.finish(), wanted);
}

#[test]
fn what_was_taken_away_is_gone() {
    both_ways(what_was_taken);
}

fn what_was_taken(way: Way) {
    let sets: Vec<Features> = (0..3).map(|i| features(20, i)).collect();
    let done = |_: usize| ();
    let mut batches = Batches::new(way, &done);
    batches.most = 2 * 20 * MELS;
    sets.iter().for_each(|set| batches.add(set));
    let taken = batches.take(1).unwrap();
    assert!(batches.take(1).is_none() && batches.take(2).is_none());
    assert!(batches.take(3).is_none());
    let rows = batches.finish();
    let mut whole = Batches::new(way, &done);
    whole.most = 2 * 20 * MELS;
    sets.iter().for_each(|set| whole.add(set));
    let wanted = whole.finish();
    assert_eq!((&taken, &rows[0], &rows[2]), (&wanted[1], &wanted[0], &wanted[2]));
    assert!(rows[1].is_empty());
}

/// More sets of one length than there are threads.
#[test]
fn threads_change_no_bit_of_the_runtimes_embeddings() {
    let runtime = Runtime::of_network(&network(), MELS).unwrap();
    let sets: Vec<Features> = (0..11).map(|i| features(20 + 30 * (i % 3 / 2), i)).collect();
    let alone: Vec<Vec<f32>> =
        sets.iter().map(|set| runtime.embed(&set.values, set.frames).unwrap()).collect();
    for threads in 1..=3 {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let all: Vec<&Features> = sets.iter().collect();
        let found = pool.install(|| embed(Way::Runtime(&runtime), &all));
        assert_eq!(found, alone, "{threads} threads");
    }
}
