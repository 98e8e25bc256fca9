//! Values of utterances of several lengths.

use burn::tensor::Tensor;

use crate::backend::reversible::{shift, snap};

/// A value of [`Masked`](super::Masked).
#[derive(Debug, Clone)]
pub struct Padded<const D: usize> {
    pub(super) tensor: Tensor<D>,
    /// The place of the lengths in the list of [`Masked`](super::Masked); none if the value has no
    /// axis of frames. Frames are the last axis.
    pub(super) lengths: Option<usize>,
    /// Whether zeros are behind each utterance.
    pub(super) zeros: bool,
}

impl<const D: usize> Padded<D> {
    /// A value without frames.
    pub(super) fn whole(tensor: Tensor<D>) -> Self {
        Self { tensor, lengths: None, zeros: false }
    }
}

/// The place of lengths that all of these values have, but for those without frames.
pub(super) fn shared<const D: usize>(all: &[Padded<D>]) -> Option<usize> {
    let mut places = all.iter().filter_map(|x| x.lengths);
    let first = places.next();
    assert!(places.all(|place| Some(place) == first), "values of one length are combined");
    first
}

/// The only value.
pub(super) fn single(mut all: Vec<Padded<4>>) -> Padded<4> {
    assert_eq!(all.len(), 1, "a function of one tensor gave {}", all.len());
    all.remove(0)
}

/// The two streams of a coupling.
pub(super) fn pair(all: Vec<Padded<4>>) -> [Padded<4>; 2] {
    let n = all.len();
    all.try_into().unwrap_or_else(|_| panic!("a coupling wants two streams, not {n}"))
}

/// A stream on the body's grid.
pub(super) fn on(grid: Option<i32>, x: Padded<4>) -> Padded<4> {
    let Padded { tensor, lengths, zeros } = x;
    let tensor = match grid {
        Some(bits) => snap(tensor, bits),
        None => tensor,
    };
    Padded { tensor, lengths, zeros }
}

/// A stream and a function's output.
pub(super) fn plus(grid: Option<i32>, x: Padded<4>, change: Padded<4>) -> Padded<4> {
    let both = [x, change];
    let (lengths, zeros) = (shared(&both), both.iter().all(|x| x.zeros));
    let [x, change] = both.map(|x| x.tensor);
    let tensor = match grid {
        Some(bits) => shift(x, change, bits, false),
        None => x + change,
    };
    Padded { tensor, lengths, zeros }
}
