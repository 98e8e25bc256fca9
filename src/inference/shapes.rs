//! The few shapes in which GPUs compute embeddings. Utterances have any length, and a backend
//! compiles and tunes kernels for a new shape, which takes longer than the pass.
//!
//! An utterance is padded to the next of a few lengths, and a batch is filled up to one of a few
//! sizes. [`Masked`] leaves every embedding what it is without padding, up to rounding. CPU
//! backends run each length as it is.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use burn::tensor::Tensor;

use crate::audio::FbankConfig;
use crate::bytes::counted;
use crate::nn::Masked;
use crate::zoo::Network;

/// Lengths in frames. The longer ones are powers of two.
const FRAMES: [usize; 10] = [64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048];

/// Every network's stride over frames divides it, and it divides every length.
const GRAIN: usize = 16;

/// The length that so many frames are padded to.
pub(crate) fn padded_length(frames: usize) -> usize {
    let next = FRAMES.into_iter().find(|&length| frames <= length);
    next.unwrap_or_else(|| frames.next_power_of_two())
}

/// Features `[batch, frames, mels]`, of which the first `lengths[i]` frames are those of utterance
/// `i` -> embeddings `[batch, embedding_dim]`.
pub(crate) fn masked(network: &Network, features: Tensor<3>, lengths: Vec<usize>) -> Tensor<2> {
    Masked::embed(network, features.swap_dims(1, 2).unsqueeze_dim::<4>(1), lengths)
}

/// The largest size of a batch that is not above `most`, at least 1: a power of four.
pub(super) fn full(most: usize) -> usize {
    4usize.pow(most.max(1).ilog(4))
}

/// The size of the next batch, where one utterance or more wait. It may be larger than their number
/// if they fill more than half of it. `most` comes from [`full`].
pub(super) fn size(waiting: usize, most: usize) -> usize {
    let filled = full(waiting.min(most));
    let next = 4 * filled;
    if next <= most && 2 * waiting > next { next } else { filled }
}

/// The shapes of one embedder.
#[derive(Clone, Copy)]
pub(crate) struct Shapes<'a> {
    /// Frames of its longest window.
    pub longest: usize,
    /// Where shapes are counted.
    pub padding: &'a Mutex<Padding>,
}

impl Shapes<'_> {
    /// The length that so many frames are padded to: no more than the longest window has.
    pub fn length(self, frames: usize) -> usize {
        match frames <= self.longest {
            true => padded_length(frames).min(self.longest.next_multiple_of(GRAIN)),
            false => padded_length(frames),
        }
    }

    /// Counts a batch of this size and length, in which so many frames are of utterances.
    pub fn count(self, size: usize, length: usize, own: usize) {
        let mut padding = self.padding.lock().unwrap_or_else(PoisonError::into_inner);
        padding.lengths.insert(length);
        padding.own += own;
        padding.computed += size * length;
    }
}

/// What utterances were padded to on a GPU. Its text is `lengths in 9 shapes, 0.64 s to 15.36 s;
/// padded by 12 % on average`.
#[derive(Debug, Clone)]
pub struct Padding {
    /// Seconds from one frame to the next.
    shift: f64,
    /// In frames.
    lengths: BTreeSet<usize>,
    /// Frames of utterances.
    own: usize,
    /// Frames of all batches.
    computed: usize,
}

impl Padding {
    /// Nothing yet, of frames of this filter bank.
    pub(super) fn new(fbank: &FbankConfig) -> Self {
        let shift = fbank.frame_shift_ms * 0.001;
        Self { shift, lengths: BTreeSet::new(), own: 0, computed: 0 }
    }

    /// The lengths that occurred, in seconds, the shortest first.
    pub fn seconds(&self) -> Vec<f64> {
        self.lengths.iter().map(|&frames| frames as f64 * self.shift).collect()
    }

    /// Frames that belong to no utterance, behind utterances and in empty places of batches, as a
    /// part of those that do.
    pub fn added(&self) -> f64 {
        self.computed as f64 / self.own.max(1) as f64 - 1.0
    }
}

impl fmt::Display for Padding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.seconds();
        write!(f, "lengths in {}", counted(seconds.len(), "shape"))?;
        match seconds[..] {
            [] => return Ok(()),
            [only] => write!(f, ", {only:.2} s")?,
            [first, .., last] => write!(f, ", {first:.2} s to {last:.2} s")?,
        }
        write!(f, "; padded by {:.0} % on average", 100.0 * self.added())
    }
}

#[cfg(test)]
mod tests;
