//! Ranks that send gradients while their backward pass goes on.

use std::sync::atomic::{AtomicUsize, Ordering};

use burn::backend::DispatchTensor;
use burn::module::ParamId;
use burn::tensor::Tensor;

use super::*;
use crate::backend::collective::{Summing, threads};
use crate::backend::reversible::Sink;
use crate::panics::quietly;

const SIZE: usize = 9;
/// Values of a bucket. The networks are small.
const FULL: usize = 500;

/// An end that counts the sums that it begins, and fails instead of one of them.
#[derive(Debug)]
struct Watched {
    end: Arc<dyn Communicator>,
    begun: AtomicUsize,
    fails_at: usize,
}

impl Watched {
    fn new(end: Arc<dyn Communicator>, fails_at: usize) -> Arc<Self> {
        Arc::new(Self { end, begun: AtomicUsize::new(0), fails_at })
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }
}

impl Communicator for Watched {
    fn rank(&self) -> usize {
        self.end.rank()
    }

    fn size(&self) -> usize {
        self.end.size()
    }

    fn begin_sum(&self, values: Vec<f32>) -> Box<dyn Summing> {
        assert!(self.begun.fetch_add(1, Ordering::Relaxed) != self.fails_at, "the device is lost");
        self.end.begin_sum(values)
    }

    fn sum_f64(&self, values: &[f64]) -> Result<Vec<f64>> {
        self.end.sum_f64(values)
    }

    fn broadcast(&self, bytes: Vec<u8>, root: usize) -> Result<Vec<u8>> {
        self.end.broadcast(bytes, root)
    }

    fn gather(&self, bytes: Vec<u8>) -> Result<Vec<Vec<u8>>> {
        self.end.gather(bytes)
    }

    fn barrier(&self) -> Result<()> {
        self.end.barrier()
    }
}

/// Gradients and outcome, with the bits of all numbers.
type Found = (Vec<Vec<u32>>, [u64; 2]);

fn found(model: &Trainee, outcome: Pending, summed: &GradientsParams) -> Found {
    let bits =
        |(_, values): (String, Vec<f32>)| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    let all = gradients(model, summed).into_iter().map(bits).collect();
    let outcome = outcome.read();
    (all, [outcome.loss, outcome.accuracy].map(f64::to_bits))
}

/// A network, so many devices and turns of each rank.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    width: usize,
    devices: usize,
    turns: usize,
}

impl Case {
    fn model(self) -> Trainee {
        trainee_of(self.name, self.width, &Device::default())
    }

    fn parts(self, ranks: &dyn Communicator) -> Parts {
        Parts::new(vec![Device::default(); self.devices], self.turns, SIZE, ranks).unwrap()
    }

    /// What each of two ranks has after a step, and how many sums had begun when its pass was done.
    fn ranks(self, sending: bool) -> Vec<(Found, usize)> {
        threads::each_end(2, |end| {
            let watched = Watched::new(end, usize::MAX);
            let ranks: Arc<dyn Communicator> = watched.clone();
            let (model, parts) = (self.model(), self.parts(&*ranks));
            let batch = batch(SIZE, 1).part(part(ranks.rank(), 2, SIZE));
            let buckets = Buckets::of(FULL);
            let (outcome, gradients, buckets) = match sending {
                true => parts.step_sending(&model, batch, 4.0, &ranks, buckets).unwrap(),
                false => {
                    let (outcome, gradients) = parts.step(&model, batch, 4.0).unwrap();
                    (outcome, gradients, buckets)
                }
            };
            let begun = watched.begun();
            let summed = buckets.finish(&*ranks, gradients, &model).unwrap();
            (found(&model, outcome, &summed), begun)
        })
    }
}

fn cases() -> impl Iterator<Item = Case> {
    [("rev1-resnet10", 4), ("rev2-resnet10", 16)].into_iter().flat_map(|(name, width)| {
        [(1, 1), (1, 2), (2, 1)].map(|(devices, turns)| Case { name, width, devices, turns })
    })
}

/// To the bit, on all ranks: what is sent early, and what is sent when the pass is done. Sums over
/// devices are complete only then.
#[test]
fn sending_early_changes_no_gradient() {
    for case in cases() {
        let (ours, wanted) = (case.ranks(true), case.ranks(false));
        let what = format!("{}, {} devices, {} turns", case.name, case.devices, case.turns);
        for ((ours, early), (wanted, none)) in ours.iter().zip(&wanted) {
            assert!(ours == wanted, "{what}");
            assert_eq!((*early > 4, *none), (case.devices == 1, 0), "{what}: {early}");
        }
        assert!(ours[0].0.0 == ours[1].0.0, "{what}");
    }
}

/// Two ranks are one process with two turns, to the bit.
#[test]
fn ranks_that_send_early_are_turns_of_one_process() {
    for case in cases().filter(|case| case.devices * case.turns == 1) {
        let model = case.model();
        let whole = Case { turns: 2, ..case }.parts(&Alone);
        let (outcome, sum) = whole.step(&model, batch(SIZE, 1), 4.0).unwrap();
        let (wanted, _) = found(&model, outcome, &sum);
        for ((ours, _), _) in case.ranks(true) {
            assert!(ours == wanted, "{}", case.name);
        }
    }
}

/// Without a reversible body all gradients are left.
#[test]
fn ordinary_networks_send_when_the_pass_is_done() {
    let case = Case { name: "resnet10", width: 4, devices: 1, turns: 2 };
    let (ours, wanted) = (case.ranks(true), case.ranks(false));
    assert!(ours == wanted);
    assert!(ours.iter().all(|(_, early)| *early == 0));
}

/// Delivers to the ranks, and notes each gradient's size and how many sums have begun by then.
struct Noting {
    sending: Sending,
    ranks: Arc<Watched>,
    met: Vec<[usize; 2]>,
}

impl Sink for Noting {
    fn lend(&mut self, _: ParamId) -> Option<DispatchTensor> {
        None
    }

    fn deliver(&mut self, id: ParamId, gradient: DispatchTensor) -> Option<DispatchTensor> {
        let size = Tensor::<1>::from_dispatch(gradient.clone()).shape().num_elements();
        let left = self.sending.deliver(id, gradient);
        self.met.push([size, self.ranks.begun()]);
        left
    }
}

/// A bucket begins as soon as it is full: most have begun when the backward pass comes to the first
/// function of the body.
#[test]
fn buckets_begin_while_the_backward_pass_goes_on() {
    for case in cases().filter(|case| case.devices * case.turns == 1) {
        let watched = Watched::new(threads::all(2).remove(0), usize::MAX);
        let ranks: Arc<dyn Communicator> = watched.clone();
        let (model, none) = (case.model(), GradientsParams::new());
        let sending = Sending::new(&ranks, Buckets::of(FULL), none, &model);
        let noting = Noting { sending, ranks: watched.clone(), met: Vec::new() };
        let pass = || model.weighed(batch(4, 1), 1.0, 1.0);
        let met = delivering(noting, pass).0.met;
        let (mut filled, mut full) = (0, 0);
        for [size, begun] in &met {
            filled += size;
            if filled >= FULL {
                (filled, full) = (0, full + 1);
            }
            assert_eq!(*begun, full, "{}: {met:?}", case.name);
        }
        assert!(full > 4, "{}: {met:?}", case.name);
        assert_eq!(watched.begun(), full, "nothing begins by itself behind the body");
    }
}

/// A rank that fails in the middle of its pass ends the other one, though both have begun sums.
#[test]
fn a_fault_in_the_middle_of_a_pass_is_told() {
    let case = Case { name: "rev1-resnet10", width: 4, devices: 1, turns: 1 };
    let begun = std::time::Instant::now();
    let told = threads::each_end(2, |end| {
        let fails_at = if end.rank() == 1 { 3 } else { usize::MAX };
        let ranks: Arc<dyn Communicator> = Watched::new(end.clone(), fails_at);
        let (model, parts) = (case.model(), case.parts(&*ranks));
        let batch = batch(SIZE, 1).part(part(ranks.rank(), 2, SIZE));
        let pass = || parts.step_sending(&model, batch, 1.0, &ranks, Buckets::of(FULL)).unwrap();
        let (_, gradients, buckets) = match quietly(pass) {
            Ok(done) => done,
            Err(words) => {
                end.fail(&words);
                return words;
            }
        };
        let met = ranks.sum_f64(&[0.0]).unwrap_err().to_string();
        let sums = buckets.finish(&*ranks, gradients, &model).unwrap_err().to_string();
        assert_eq!(met, sums);
        met
    });
    assert!(told[1].starts_with("the device is lost"), "{told:?}");
    assert_eq!(told[0], format!("rank 1 failed: {}", told[1]));
    assert!(begun.elapsed().as_secs() < 60, "nobody waits for the limit");
}
