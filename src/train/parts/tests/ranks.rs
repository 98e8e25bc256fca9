//! Parts of batches that ranks divide among them.

use super::*;
use crate::backend::collective::{Summing, threads};
use crate::backend::norm::synchronised;

/// A rank that only knows its place.
#[derive(Debug)]
struct At {
    rank: usize,
    ranks: usize,
}

impl Communicator for At {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.ranks
    }

    fn begin_sum(&self, values: Vec<f32>) -> Box<dyn Summing> {
        Alone.begin_sum(values)
    }

    fn sum_f64(&self, values: &[f64]) -> Result<Vec<f64>> {
        Alone.sum_f64(values)
    }

    fn broadcast(&self, bytes: Vec<u8>, root: usize) -> Result<Vec<u8>> {
        Alone.broadcast(bytes, root)
    }

    fn gather(&self, bytes: Vec<u8>) -> Result<Vec<Vec<u8>>> {
        Alone.gather(bytes)
    }

    fn barrier(&self) -> Result<()> {
        Alone.barrier()
    }
}

/// The batch with its last example first.
fn reversed(mut batch: Batch) -> Batch {
    let each = batch.features.len() / batch.labels.len();
    batch.features = batch.features.chunks(each).rev().flatten().copied().collect();
    batch.labels.reverse();
    batch.ids.reverse();
    batch
}

/// The largest difference of a gradient, as a part of its largest value.
fn furthest(ours: &[(String, Vec<f32>)], wanted: &[(String, Vec<f32>)]) -> f32 {
    let off = ours.iter().zip(wanted).map(|((_, a), (_, b))| {
        let largest = b.iter().fold(1e-4f32, |m, x| m.max(x.abs()));
        a.iter().zip(b).fold(0.0f32, |m, (x, y)| m.max((x - y).abs())) / largest
    });
    off.fold(0.0, f32::max)
}

/// With synchronised BatchNorm, ranks are the whole batch: gradients, outcome, running statistics;
/// reversible bodies, which normalise again when they run backwards, too.
#[test]
fn synchronised_ranks_are_the_whole_batch() {
    let device = Device::default();
    for (name, width) in [("resnet10", 4), ("rev1-resnet10", 4), ("rev2-resnet10", 16)] {
        let model = trainee_of(name, width, &device);
        let whole = Parts::new(vec![device.clone()], 1, 9, &Alone).unwrap();
        let (outcome, wanted) = whole.step(&model, batch(9, 1), 1.0).unwrap();
        let (outcome, wanted) = (outcome.read(), gradients(&model, &wanted));
        // What rounding does to the whole batch itself, with its examples in another order.
        let again = trainee_of(name, width, &device);
        let (_, reversed) = whole.step(&again, reversed(batch(9, 1)), 1.0).unwrap();
        let rounding = furthest(&gradients(&again, &reversed), &wanted);
        assert!(rounding < 5e-5, "{name}: {rounding}");
        let begin = |rank: Arc<dyn Communicator>| {
            let device = &device;
            move || {
                let model = trainee_of(name, width, device);
                let own = part(rank.rank(), rank.size(), 9);
                let parts = Parts::new(vec![device.clone()], 1, 9, &*rank).unwrap();
                let step = || parts.step(&model, batch(9, 1).part(own), 1.0).unwrap();
                let (outcome, own) = synchronised(&rank, step);
                (outcome.read(), gradients(&model, &own), model.statistics())
            }
        };
        let done: Vec<_> = std::thread::scope(|scope| {
            let ranks = threads::all(2).into_iter();
            let begun: Vec<_> = ranks.map(|rank| scope.spawn(begin(rank))).collect();
            begun.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let mut ours: Vec<(String, Vec<f32>)> = done[0].1.clone();
        for (sum, other) in ours.iter_mut().zip(&done[1].1) {
            sum.1.iter_mut().zip(&other.1).for_each(|(a, b)| *a += b);
        }
        near(&ours, &wanted, 2.0 * rounding.max(1e-5));
        let loss = done[0].0.loss + done[1].0.loss;
        assert!((loss - outcome.loss).abs() < 1e-5 * outcome.loss, "{name}: {loss}");
        assert_eq!(done[0].2, done[1].2);
        let off = done[0].2.iter().zip(model.statistics()).map(|(a, b)| (a - b).abs());
        assert!(off.fold(0.0, f64::max) < 1e-5, "{name}");
    }
}

/// The parts of all ranks are those of one process that has as many devices and turns.
#[test]
fn parts_of_ranks_follow_each_other() {
    let device = Device::default();
    for (ranks, devices, accumulate, size) in
        [(1, 1, 1, 5), (2, 1, 1, 5), (3, 1, 2, 17), (2, 3, 1, 29), (5, 1, 1, 13), (4, 2, 3, 101)]
    {
        let parts = |rank: usize| {
            let devices = vec![device.clone(); devices];
            Parts::new(devices, accumulate, size, &At { rank, ranks }).unwrap().ranges()
        };
        let start = |rank: usize| part(rank, ranks, size).start;
        let of_rank = |rank: usize| {
            let moved = move |r: Range<usize>| r.start + start(rank)..r.end + start(rank);
            parts(rank).into_iter().map(moved)
        };
        let all: Vec<_> = (0..ranks).flat_map(of_rank).collect();
        let count = ranks * devices * accumulate;
        let wanted: Vec<_> = (0..count).map(|i| part(i, count, size)).collect();
        assert_eq!(all, wanted);
        assert_eq!((all[0].start, all[count - 1].end), (0, size));
        assert!(all.windows(2).all(|two| two[0].end == two[1].start));
        let few = all.iter().map(Range::len).min().unwrap();
        assert!(all.iter().all(|range| (few..=few + 1).contains(&range.len())) && few >= 2);
    }
    let error = Parts::new(vec![device.clone()], 2, 7, &At { rank: 1, ranks: 2 }).unwrap_err();
    assert!(error.to_string().contains("2 ranks of 1 device and 2 turns"), "{error}");
}
