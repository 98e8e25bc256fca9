//! Two ranks, which are threads here, against the whole batch.

use std::ops::Range;
use std::thread;

use burn::tensor::{Device, Tensor};

use super::super::{Running, normalize_with};
use super::*;
use crate::backend::collective::{Alone, threads};
use crate::panics::quietly;
use crate::rng::Stream;

const EXAMPLES: usize = 7;

fn noise<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let mut stream = Stream::new(seed, "together", &[]);
    let values: Vec<f32> =
        (0..shape.iter().product()).map(|_| (1.5 * stream.normal() + 0.4) as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::default())
}

fn read<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// What a rank gets for its examples.
struct Done {
    /// Output, gradients of the input and of what is added: neighbours of those of other ranks.
    pieces: [Vec<f64>; 3],
    /// Gradients of gamma and beta: summands.
    summands: [Vec<f64>; 2],
    /// Running mean and variance: the same on all ranks.
    running: [Vec<f64>; 2],
}

fn run(examples: &Range<usize>, add: bool, rectify: bool) -> Done {
    let part = |seed| {
        let all = noise([EXAMPLES, 3, 4, 5], seed);
        all.narrow(0, examples.start, examples.len()).autodiff()
    };
    let [x, other] = [1, 2].map(|seed| part(seed).require_grad());
    let [gamma, beta] = [4, 5].map(|seed| noise([3], seed).autodiff().require_grad());
    let running = Running { mean: noise([3], 6), var: noise([3], 7).abs(), momentum: 0.3 };
    let (y, _, [mean, var]) = normalize_with(
        x.clone(),
        add.then(|| other.clone()),
        [gamma.clone(), beta.clone()],
        Some(running),
        1e-5,
        rectify,
    );
    let g = (y.clone() * part(3)).sum().backward();
    let added = other.grad(&g).map(read).unwrap_or_default();
    Done {
        pieces: [read(y), read(x.grad(&g).unwrap()), added],
        summands: [gamma, beta].map(|t| read(t.grad(&g).unwrap())),
        running: [read(mean), read(var)],
    }
}

#[track_caller]
fn near(ours: &[f64], wanted: &[f64]) {
    assert_eq!(ours.len(), wanted.len());
    let largest = wanted.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    let off = ours.iter().zip(wanted).fold(0.0f64, |m, (a, b)| m.max((a - b).abs()));
    assert!(off <= 1e-5 * largest, "{off} of {largest}");
}

/// To 1e-5, whatever surrounds the normalisation, with parts of other sizes.
#[test]
fn ranks_normalise_as_the_whole_batch() {
    for (add, rectify) in [(false, false), (false, true), (true, false), (true, true)] {
        let whole = run(&(0..EXAMPLES), add, rectify);
        let done: Vec<Done> = thread::scope(|scope| {
            let begin = |ranks: Arc<dyn Communicator>| {
                scope.spawn(move || {
                    let examples = if ranks.rank() == 0 { 0..2 } else { 2..EXAMPLES };
                    synchronised(&ranks, || run(&examples, add, rectify))
                })
            };
            let begun: Vec<_> = threads::all(2).into_iter().map(begin).collect();
            begun.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let [first, second] = [&done[0], &done[1]];
        for (i, wanted) in whole.pieces.iter().enumerate() {
            near(&[&first.pieces[i][..], &second.pieces[i]].concat(), wanted);
        }
        for (i, wanted) in whole.summands.iter().enumerate() {
            let both = first.summands[i].iter().zip(&second.summands[i]);
            near(&both.map(|(a, b)| a + b).collect::<Vec<_>>(), wanted);
        }
        assert_eq!(first.running, second.running);
        (0..2).for_each(|i| near(&first.running[i], &whole.running[i]));
        assert_ne!(whole.pieces[2].is_empty(), add);
    }
}

#[test]
fn work_that_is_done_is_not_synchronised_any_more() {
    let alone: Arc<dyn Communicator> = Arc::new(Alone);
    assert!(ranks().is_none());
    synchronised(&alone, || {
        assert!(ranks().is_some());
        let failed = quietly(|| synchronised::<usize>(&alone, || panic!("in the work")));
        assert!(failed.is_err_and(|words: String| words.contains("in the work")));
        assert!(ranks().is_some());
    });
    assert!(ranks().is_none());
}
