//! Weights in 24 bits, three bytes each: the 16 bits of a bf16, and eight more of the fraction.
//!
//! The 24 bits are the upper ones of an f32: sign, exponent, and 15 bits of the fraction. So there
//! are 16 significant bits at every exponent that f32 has; subnormal numbers, zeros of both signs
//! and infinities are among the values. A correction in 8 bits that is scaled by blocks would have
//! as many bits for the largest weight of its block only, and fewer for all others.
//!
//! A weight between two values is rounded up with the probability of its distance from the lower
//! one. So rounding errors have a mean of 0, and changes of a weight add up even if each is far
//! smaller than the step between two values; rounding to the nearest one would lose all of them.
//! The chance comes from the numbers of step, tensor and element: a training that is run again, or
//! resumed, rounds the same.
//!
//! Splitting weights into bf16 and 8 bits more: FlashOptim (arXiv 2602.23349).

use burn::tensor::{DType, Device, Tensor, TensorData};
use rayon::prelude::*;

use crate::rng::mix64;

/// Bytes of a weight.
pub const BYTES: usize = 3;
/// The exponent of an f32.
const EXPONENT: u32 = 0x7f80_0000;
/// A bit of the fraction: a NaN that has it stays a NaN.
const QUIET: u32 = 0x0040_0000;
/// Weights of a task.
const RUN: usize = 1 << 14;

/// What becomes of the lower 8 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// The nearest value; of two equally near ones the one further from 0.
    Nearest,
    /// One of the neighbours, by chance. The number says which chances.
    Stochastic(u64),
}

impl Rounding {
    /// The chances of a tensor in a step, both by their numbers.
    pub fn of(step: u32, tensor: usize) -> Self {
        Self::Stochastic(mix64((u64::from(step) << 32).wrapping_add(tensor as u64 + 1)))
    }

    /// What is added to the lower 8 bits of element `i` before they are cut off: 0 to 255.
    fn addend(self, i: usize) -> u32 {
        /// The step of splitmix64's state.
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        match self {
            Self::Nearest => 0x80,
            Self::Stochastic(key) => {
                (mix64(key.wrapping_add((i as u64).wrapping_mul(STEP))) >> 56) as u32
            }
        }
    }
}

/// The 24 bits of `x`, to whose lower 8 bits `addend` is added before they are cut off. A finite
/// number stays finite: above the largest value it is cut off.
fn encoded(x: f32, addend: u32) -> u32 {
    let bits = x.to_bits();
    let is_odd = |bits: u32| bits & EXPONENT == EXPONENT;
    let raised = bits.wrapping_add(addend);
    let bits = if is_odd(bits) || is_odd(raised) { bits } else { raised };
    let quiet = if x.is_nan() { QUIET } else { 0 };
    (bits | quiet) >> 8
}

/// The value of three bytes, lowest first.
fn decoded(bytes: [u8; BYTES]) -> f32 {
    let [low, middle, high] = bytes;
    f32::from_bits(u32::from_le_bytes([0, low, middle, high]))
}

/// A tensor in 24 bits, in the host's memory.
#[derive(Debug)]
pub struct Packed {
    bytes: Vec<u8>,
    shape: Vec<usize>,
    device: Device,
}

impl Packed {
    /// A tensor that is not on the tape, rounded.
    pub fn new<const D: usize>(x: Tensor<D>, rounding: Rounding) -> Self {
        let (shape, device) = (x.dims().to_vec(), x.device());
        let data = x.into_data().convert::<f32>();
        let values = data.as_slice::<f32>().expect("just converted");
        let mut bytes = vec![0u8; BYTES * values.len()];
        let runs = bytes.par_chunks_mut(BYTES * RUN).zip(values.par_chunks(RUN)).enumerate();
        runs.for_each(|(run, (bytes, values))| {
            let pairs = bytes.chunks_exact_mut(BYTES).zip(values);
            for (i, (to, &x)) in pairs.enumerate() {
                let bits = encoded(x, rounding.addend(run * RUN + i));
                to.copy_from_slice(&bits.to_le_bytes()[..BYTES]);
            }
        });
        Self { bytes, shape, device }
    }

    /// The values in f32, which is exact. `D` is the number of the tensor's axes.
    pub fn value<const D: usize>(&self) -> Tensor<D> {
        let mut values = vec![0.0f32; self.bytes.len() / BYTES];
        let runs = values.par_chunks_mut(RUN).zip(self.bytes.par_chunks(BYTES * RUN));
        runs.for_each(|(values, bytes)| {
            for (to, b) in values.iter_mut().zip(bytes.chunks_exact(BYTES)) {
                *to = decoded([b[0], b[1], b[2]]);
            }
        });
        let data = TensorData::new(values, self.shape.clone());
        Tensor::from_data(data, (&self.device, DType::F32))
    }
}

#[cfg(test)]
mod tests;
