//! Gradients of ranks that are threads, against scalar Rust.

use super::*;
use crate::backend::collective::Alone;
use crate::backend::collective::threads::{all, each_end, each_rank};
use crate::backend::reversible::Sink;
use crate::error::Error;
use crate::panics::quietly;
use crate::rng::Stream;

#[derive(Module, Debug)]
struct Net {
    vectors: Vec<Param<Tensor<1>>>,
    /// Without a gradient.
    still: Param<Tensor<2>>,
    wide: Param<Tensor<2>>,
}

const SIZES: [usize; 5] = [1, 3, 300, 64, 5];

/// Values that all ranks can draw, one parameter's of one rank.
fn noise(count: usize, rank: usize, place: usize) -> Vec<f32> {
    let mut stream = Stream::new(9, "buckets", &[rank as u64, place as u64]);
    (0..count).map(|_| stream.normal() as f32).collect()
}

/// The same net on every rank.
fn net() -> Net {
    let device = Device::default();
    let vector = |(id, n): (usize, usize)| {
        Param::initialized(ParamId::from(id as u64), Tensor::<1>::zeros([n], &device))
    };
    let matrix =
        |id: u64| Param::initialized(ParamId::from(id), Tensor::<2>::zeros([4, 10], &device));
    Net {
        vectors: SIZES.into_iter().enumerate().map(vector).collect(),
        still: matrix(100),
        wide: matrix(101),
    }
}

fn gradients(net: &Net, rank: usize) -> GradientsParams {
    let device = Device::default();
    let mut gradients = GradientsParams::new();
    for (place, (vector, count)) in net.vectors.iter().zip(SIZES).enumerate() {
        let data = TensorData::new(noise(count, rank, place), [count]);
        gradients.register(vector.id, Tensor::<1>::from_data(data, &device));
    }
    let data = TensorData::new(noise(40, rank, 9), [4, 10]);
    gradients.register(net.wide.id, Tensor::<2>::from_data(data, &device));
    gradients
}

/// The bits of all gradients, in their order; none where there is no gradient.
fn bits(net: &Net, gradients: &GradientsParams) -> Vec<Option<Vec<u32>>> {
    fn of<const D: usize>(gradients: &GradientsParams, id: ParamId) -> Option<Vec<u32>> {
        let data = gradients.get::<D>(id)?.into_data();
        Some(data.iter::<f32>().map(f32::to_bits).collect())
    }

    let vectors = net.vectors.iter().map(|vector| of::<1>(gradients, vector.id));
    let matrices = [&net.still, &net.wide].map(|matrix| of::<2>(gradients, matrix.id));
    vectors.chain(matrices).collect()
}

/// The bits of a parameter's sum over these ranks, by scalar Rust.
fn naive(ranks: &[usize], count: usize, place: usize) -> Option<Vec<u32>> {
    let mut sum = noise(count, ranks[0], place);
    for rank in &ranks[1..] {
        sum.iter_mut().zip(noise(count, *rank, place)).for_each(|(sum, x)| *sum += x);
    }
    Some(sum.into_iter().map(f32::to_bits).collect())
}

fn wanted(ranks: &[usize]) -> Vec<Option<Vec<u32>>> {
    let vectors = SIZES.into_iter().enumerate().map(|(place, n)| naive(ranks, n, place));
    vectors.chain([None, naive(ranks, 40, 9)]).collect()
}

/// Whatever the size of the buckets: one for each tensor, some for several, one for all.
#[test]
fn every_gradient_is_summed_over_ranks() {
    for full in [1, 4, 70, FULL] {
        let sums = each_rank(3, |comm| {
            let net = net();
            let sums = Buckets::of(full).finish(comm, gradients(&net, comm.rank()), &net).unwrap();
            assert_eq!(sums.get::<2>(net.wide.id).unwrap().dims(), [4, 10]);
            bits(&net, &sums)
        });
        let wanted = wanted(&[0, 1, 2]);
        assert!(sums.iter().all(|sums| *sums == wanted), "buckets of {full}");
    }
}

#[test]
fn alone_gradients_stay_what_they_are() {
    let net = net();
    let sums = Buckets::default().finish(&Alone, gradients(&net, 1), &net).unwrap();
    assert_eq!(bits(&net, &sums), wanted(&[1]));
}

/// A connection that fails is an error, and no gradient.
#[test]
fn a_fault_of_the_connection_is_told() {
    #[derive(Debug)]
    struct Broken;
    struct Never;

    impl Summing for Never {
        fn wait(self: Box<Self>) -> Result<Vec<f32>> {
            Err(Error::Training("rank 1 did not come".into()))
        }
    }

    impl Communicator for Broken {
        fn rank(&self) -> usize {
            0
        }

        fn size(&self) -> usize {
            2
        }

        fn begin_sum(&self, _: Vec<f32>) -> Box<dyn Summing> {
            Box::new(Never)
        }

        fn sum_f64(&self, values: &[f64]) -> Result<Vec<f64>> {
            Ok(values.to_vec())
        }

        fn broadcast(&self, bytes: Vec<u8>, _: usize) -> Result<Vec<u8>> {
            Ok(bytes)
        }

        fn gather(&self, bytes: Vec<u8>) -> Result<Vec<Vec<u8>>> {
            Ok(vec![bytes])
        }

        fn barrier(&self) -> Result<()> {
            Ok(())
        }
    }

    let net = net();
    let error = Buckets::default().finish(&Broken, gradients(&net, 0), &net).unwrap_err();
    assert_eq!(error.to_string(), "rank 1 did not come");
}

/// The passes of a rank are summed first, then the ranks; whether or not a gradient is sent in the
/// backward pass, and whether or not each pass has it.
#[test]
fn gradients_that_are_sent_early_are_summed_the_same() {
    let register = |gradients: &mut GradientsParams, net: &Net, rank: usize, place: usize| {
        let values = TensorData::new(noise(SIZES[place], rank, place), [SIZES[place]]);
        let tensor = Tensor::<1>::from_data(values, &Device::default());
        gradients.register(net.vectors[place].id, tensor);
    };
    let run = |full: usize, early: bool| {
        each_end(3, |ranks| {
            let (net, rank) = (net(), ranks.rank());
            let mut before = gradients(&net, rank + 10);
            before.remove::<1>(net.vectors[1].id);
            let mut sending = Sending::new(&ranks, Buckets::of(full), before, &net);
            let mut last = GradientsParams::new();
            for place in [4, 2, 1, 0] {
                register(&mut last, &net, rank, place);
            }
            for place in [2, 0, 1].into_iter().filter(|_| early) {
                let gradient = last.remove::<1>(net.vectors[place].id).unwrap();
                let id = net.vectors[place].id;
                assert!(sending.deliver(id, gradient.into_dispatch()).is_none());
            }
            let (left, buckets) = sending.end(last, &net);
            bits(&net, &buckets.finish(&*ranks, left, &net).unwrap())
        })
    };
    let sum = |place: usize, passes: &[usize]| {
        let of = |rank: usize| {
            let pass = |first: usize| noise(SIZES[place], rank + first, place);
            let mut sum = pass(passes[0]);
            for other in &passes[1..] {
                sum.iter_mut().zip(pass(*other)).for_each(|(sum, x)| *sum += x);
            }
            sum
        };
        let mut all = of(0);
        for rank in [1, 2] {
            all.iter_mut().zip(of(rank)).for_each(|(sum, x)| *sum += x);
        }
        Some(all.into_iter().map(f32::to_bits).collect::<Vec<_>>())
    };
    let both = &[10, 0];
    let vectors: [&[usize]; 5] = [both, &[0], both, &[10], both];
    let vectors = vectors.into_iter().enumerate().map(|(place, passes)| sum(place, passes));
    let wanted: Vec<_> = vectors.chain([None, naive(&[10, 11, 12], 40, 9)]).collect();
    for (full, early) in [(1, true), (70, true), (FULL, true), (70, false)] {
        let sums = run(full, early);
        assert!(sums.iter().all(|sums| *sums == wanted), "buckets of {full}, early: {early}");
    }
}

/// A gradient of which the pass gives a part, then another one, must not be sent as if it were
/// whole.
#[test]
fn parts_of_a_gradient_are_refused() {
    let (net, ranks) = (net(), all(2).remove(0));
    let one = || Tensor::<1>::ones([SIZES[0]], &Device::default());
    let id = net.vectors[0].id;
    let begin = || {
        let none = GradientsParams::new();
        let mut sending = Sending::new(&ranks, Buckets::of(1), none, &net);
        sending.deliver(id, one().into_dispatch());
        sending
    };
    let twice = quietly(|| drop(begin().deliver(id, one().into_dispatch())));
    let left = quietly(|| {
        let mut left = GradientsParams::new();
        left.register(id, one());
        drop(begin().end(left, &net));
    });
    for words in [twice, left].map(|told| told.unwrap_err()) {
        assert!(words.starts_with("a parameter of a reversible body is used once"), "{words}");
    }
}
