//! Convolutions in integers: input of 8 bits, weights of 8 bits, sums of 32 bits, and then what
//! follows them in f32: scale, shift, another value, ReLU.
//!
//! A value in bytes `[channels, rows, frames]` lies as *words* of four channels: word `g` of a
//! position holds the bytes of channels `4 g` to `4 g + 3`, lowest first. So it lies as an f32
//! value of a quarter of the channels does, words in place of values; its guards and pads are words
//! of the value 0. In a channel that is not there every byte is that of 0 as well. Vectors run over
//! frames, and each lane multiplies the four bytes of a word with those of a word of weights.
//!
//! Integers are exact and f32 operations are rounded one by one, so all levels give the same bits.

mod convert;
mod kernel;
mod pack;
mod run;
mod scale;
mod sets;
mod tile;
mod unpack;
mod weights;

#[cfg(test)]
mod tests;

use super::Level;
use super::dense::grid::Grid;
use super::dense::{Geometry, Weights};
pub(crate) use convert::quantize;
use kernel::Kernel;
use pack::Packed;
pub(crate) use scale::Scale;
#[cfg(feature = "burn")]
pub(crate) use weights::{Ints, rounded};

/// What is added to a convolution's scaled and shifted result, before ReLU. It lies as the output
/// of its kind would, with guards.
#[derive(Debug, Clone, Copy)]
pub(crate) enum IntAdd<'a> {
    /// Nothing.
    Nothing,
    /// Values.
    Floats(&'a [f32]),
    /// Bytes.
    Bytes(&'a [u32], Scale),
    /// What the output holds before.
    InPlace,
}

/// Where a convolution's result goes. Rows' pads become 0; guards stay.
pub(crate) enum IntOutput<'a> {
    /// Values.
    Floats(&'a mut [f32]),
    /// Bytes.
    Bytes(&'a mut [u32], Scale),
}

/// Input and output of a convolution. Both lie as [`Plane`](crate::infer::plane::Plane) says, with
/// guards. The input may be a range of a larger value's words: its first row follows `pad` words of
/// the value 0, and its last word [`TAIL`](crate::infer::plane::TAIL) words of any kind.
pub(crate) struct IntCall<'a> {
    /// The input, of the convolution's [scale](IntDense::input).
    pub x: &'a [u32],
    /// Its channels, rows and frames.
    pub size: [usize; 3],
    /// Zeros behind each row, of input and output; no fewer than the padding over frames.
    pub pad: usize,
    /// The output.
    pub y: IntOutput<'a>,
    /// What is added.
    pub add: IntAdd<'a>,
    /// Whether negative results become 0.
    pub relu: bool,
    /// [`IntDense::scratch`] words, whatever they are.
    pub scratch: &'a mut [u32],
}

/// A convolution in integers, without groups, ready to run.
pub(crate) struct IntDense {
    geometry: Geometry,
    kernel: &'static Kernel,
    weights: Packed,
    input: Scale,
    /// One for each output, and zeros up to whole blocks.
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl IntDense {
    /// Rounds weights to 8 bits and packs them. Floats have a step of their own for each output,
    /// of which the largest weight has 127; a table of codes has the step that is best for its
    /// values. `scale` and `shift` have a value for each output; `input` is how the input's bytes
    /// stand for values.
    ///
    /// # Panics
    /// If the processor does not have the level, the numbers of values do not fit the geometry, or
    /// sums could overflow: of more than 66,000 inputs and taps.
    pub fn new(
        weights: Weights,
        scale: Vec<f32>,
        shift: Vec<f32>,
        geometry: Geometry,
        input: Scale,
        level: Level,
    ) -> Self {
        Self::with_kernel(weights, scale, shift, geometry, input, Kernel::of(level))
    }

    fn with_kernel(
        weights: Weights,
        mut scale: Vec<f32>,
        mut shift: Vec<f32>,
        geometry: Geometry,
        input: Scale,
        kernel: &'static Kernel,
    ) -> Self {
        assert_eq!([scale.len(), shift.len()], [geometry.output; 2], "scale and shift");
        let (weights, steps) = Packed::new(weights, &geometry, input.zero, kernel);
        for (scale, step) in scale.iter_mut().zip(steps) {
            *scale = (f64::from(*scale) * f64::from(input.step) * step) as f32;
        }
        let whole = geometry.output.next_multiple_of(kernel.outputs);
        scale.resize(whole, 0.0);
        shift.resize(whole, 0.0);
        Self { geometry, kernel, weights, input, scale, shift }
    }

    /// How the input's bytes stand for values.
    pub fn input(&self) -> Scale {
        self.input
    }

    /// Words of scratch that [`run`](Self::run) wants for an input `[channels, rows, frames]`:
    /// copies of the input, and a block of weights for each thread of the pool.
    pub fn scratch(&self, [channels, mels, frames]: [usize; 3], pad: usize) -> usize {
        let copies = Grid::of(&self.geometry, [channels.div_ceil(4), mels, frames], pad).scratch();
        copies + self.weights.scratch() * rayon::current_num_threads()
    }

    /// `act(convolution(x) * scale + shift [+ add])`.
    ///
    /// # Panics
    /// If a slice is too short, the input has other channels, or `pad` is less than the padding.
    pub fn run(&self, call: IntCall<'_>) {
        run::run(self, call);
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.weights.bytes() + size_of_val(&self.scale[..]) + size_of_val(&self.shift[..])
    }
}
