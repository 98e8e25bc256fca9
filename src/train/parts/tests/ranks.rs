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

/// The distance of all gradients together, as a part of their length.
fn distance(ours: &[(String, Vec<f32>)], wanted: &[(String, Vec<f32>)]) -> f64 {
    let values = |all: &[(String, Vec<f32>)]| -> Vec<f64> {
        all.iter().flat_map(|(_, values)| values).map(|&x| f64::from(x)).collect()
    };
    let (ours, wanted) = (values(ours), values(wanted));
    assert_eq!(ours.len(), wanted.len());
    let off: f64 = ours.iter().zip(&wanted).map(|(a, b)| (a - b) * (a - b)).sum();
    (off / wanted.iter().map(|x| x * x).sum::<f64>()).sqrt()
}

/// With synchronised BatchNorm, ranks are the whole batch: gradients, outcome, running statistics;
/// reversible bodies, which normalise again when they run backwards, too.
///
/// The operation's own test compares to 1e-5. Through a whole network, rounding turns rectifiers on
/// and off: an input that differs by 1e-7 moved single gradients of these networks by up to 1e-2 of
/// their tensor's largest. So here all gradients count together, beside those of ranks that do not
/// synchronise.
#[test]
fn synchronised_ranks_are_the_whole_batch() {
    let device = Device::default();
    for (name, width) in [("resnet10", 4), ("rev1-resnet10", 4), ("rev2-resnet10", 16)] {
        let model = trainee_of(name, width, &device);
        let whole = Parts::new(vec![device.clone()], 1, 9, &Alone).unwrap();
        let (outcome, wanted) = whole.step(&model, batch(9, 1), 1.0).unwrap();
        let (outcome, wanted) = (outcome.read(), gradients(&model, &wanted));
        let begin = |rank: Arc<dyn Communicator>, together: bool| {
            let device = &device;
            move || {
                let model = trainee_of(name, width, device);
                let own = part(rank.rank(), rank.size(), 9);
                let parts = Parts::new(vec![device.clone()], 1, 9, &*rank).unwrap();
                let step = || parts.step(&model, batch(9, 1).part(own), 1.0).unwrap();
                let (outcome, own) = if together { synchronised(&rank, step) } else { step() };
                (outcome.read(), gradients(&model, &own), model.statistics())
            }
        };
        let run = |together: bool| {
            let done: Vec<_> = std::thread::scope(|scope| {
                let ranks = threads::all(2).into_iter();
                let begun: Vec<_> = ranks.map(|rank| scope.spawn(begin(rank, together))).collect();
                begun.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            let mut sums: Vec<(String, Vec<f32>)> = done[0].1.clone();
            for (sum, other) in sums.iter_mut().zip(&done[1].1) {
                sum.1.iter_mut().zip(&other.1).for_each(|(a, b)| *a += b);
            }
            (distance(&sums, &wanted), done)
        };
        let ((off, done), (apart, _)) = (run(true), run(false));
        assert!(off < 2e-4 && 1000.0 * off < apart, "{name}: {off:e}, apart {apart:e}");
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
