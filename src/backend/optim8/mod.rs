//! States of optimizers in 8 bits: the block-wise codec as tensor operations, and whole optimizer
//! steps in one pass over parameter, gradient and states.
//!
//! Codes lie four to a word, first one lowest, in integer tensors of 32 bits: backends without
//! 8-bit storage hold a byte a value too, and a checkpoint of one backend is read by every other.
//!
//! The arithmetic of a rule stands in the rule's own file, once for the CPU and the plain twin and
//! once as a kernel: `sgd.rs`, `adam.rs`. The code that decodes, encodes and visits the blocks is
//! the same for every rule. `rules.rs` lists the rules.

mod adam;
mod blockwise;
mod code_map;
#[cfg(feature = "flex")]
mod cpu;
#[cfg(feature = "cube")]
mod cube;
#[cfg(all(feature = "cube", feature = "fusion"))]
mod lazy;
mod plain;
mod rules;
mod sgd;
mod update;

pub use adam::AdamStep;
pub use blockwise::{Codec, Rounding};
pub use code_map::{CODES, CodeMap, bound};
pub use rules::{OneMoment, Step, TwoMoments};
pub use sgd::SgdStep;
pub use update::{Update, Value};

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{DType, Device, Int, Tensor};

/// Codes in a word.
pub const PER_WORD: usize = 4;

/// The codec, and a step for each number of moments. Each backend has its fast path; the default
/// bodies are the plain twin, in operations of Burn.
///
/// Flat tensors only: parameter and gradient `[n]`, words `[ceil(n / 4)]`, absmax `[ceil(n /
/// block)]`.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Fusion: cfg(all(feature = "cube", feature = "fusion"))
)]
pub trait Optim8Ops: Backend {
    /// `[n]` -> words and absmax.
    #[fusion(meta = lazy::quantized)]
    fn quantize_blockwise(
        x: FloatTensor<Self>,
        codec: Codec,
    ) -> (IntTensor<Self>, FloatTensor<Self>) {
        plain::quantize::<Self>(x, codec)
    }

    /// Words and absmax -> `[count]`.
    #[fusion(meta = lazy::dequantized)]
    fn dequantize_blockwise(
        words: IntTensor<Self>,
        absmax: FloatTensor<Self>,
        codec: Codec,
        count: usize,
    ) -> FloatTensor<Self> {
        plain::dequantize::<Self>(words, absmax, codec, count)
    }

    /// New parameter, words and absmax.
    #[fusion(meta = lazy::stepped_one)]
    fn step8_one(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        words: IntTensor<Self>,
        absmax: FloatTensor<Self>,
        codec: Codec,
        rule: OneMoment,
    ) -> (FloatTensor<Self>, IntTensor<Self>, FloatTensor<Self>) {
        plain::step_one::<Self>(parameter, gradient, words, absmax, codec, rule)
    }

    /// New parameter, words and absmax of the first moment, words and absmax of the second.
    #[fusion(meta = lazy::stepped_two)]
    #[allow(
        clippy::type_complexity,
        clippy::too_many_arguments,
        reason = "the dispatch macro wants tensors one by one"
    )]
    fn step8_two(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        words1: IntTensor<Self>,
        absmax1: FloatTensor<Self>,
        words2: IntTensor<Self>,
        absmax2: FloatTensor<Self>,
        codecs: [Codec; 2],
        rule: TwoMoments,
    ) -> (FloatTensor<Self>, IntTensor<Self>, FloatTensor<Self>, IntTensor<Self>, FloatTensor<Self>)
    {
        let moments = [(words1, absmax1), (words2, absmax2)];
        plain::step_two::<Self>(parameter, gradient, moments, codecs, rule)
    }

    /// How many values are infinite or NaN: `[n]` -> `[1]`.
    #[fusion(dtype = x, shape = { let _ = x; [1].into() })]
    fn not_finite(x: FloatTensor<Self>) -> FloatTensor<Self> {
        plain::not_finite::<Self>(x)
    }
}

/// A flat tensor in 8 bits.
#[derive(Debug, Clone)]
pub struct Blocks {
    /// Codes, four a word: `[ceil(n / 4)]`, 32-bit unsigned.
    pub words: Tensor<1, Int>,
    /// Largest magnitudes: `[ceil(n / block)]`, f32.
    pub absmax: Tensor<1>,
}

impl Blocks {
    /// `count` zeros, as an optimizer starts with.
    pub fn zeros(count: usize, codec: Codec, device: &Device) -> Self {
        Self {
            words: Tensor::zeros([count.div_ceil(PER_WORD)], (device, DType::U32)),
            absmax: Tensor::zeros([codec.blocks(count)], (device, DType::F32)),
        }
    }

    /// Quantizes finite values, in row-major order. The tape, if there is one, ends here.
    pub fn quantize<const D: usize>(x: Tensor<D>, codec: Codec) -> Self {
        let x = if x.is_autodiff() { x.inner() } else { x };
        let (words, absmax) =
            <Dispatch as Optim8Ops>::quantize_blockwise(flat(x).into_dispatch(), codec);
        Self::from_dispatch(words, absmax)
    }

    fn from_dispatch(words: IntTensor<Dispatch>, absmax: FloatTensor<Dispatch>) -> Self {
        Self { words: Tensor::from_dispatch(words), absmax: Tensor::from_dispatch(absmax) }
    }

    /// The values, of the shape given.
    pub fn dequantize<const D: usize>(self, codec: Codec, shape: [usize; D]) -> Tensor<D> {
        let count = shape.iter().product();
        let (words, absmax) = (self.words.into_dispatch(), self.absmax.into_dispatch());
        let values = <Dispatch as Optim8Ops>::dequantize_blockwise(words, absmax, codec, count);
        Tensor::<1>::from_dispatch(values).reshape(shape)
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        4 * (self.words.dims()[0] + self.absmax.dims()[0])
    }

    /// The same on another device.
    pub fn moved_to(self, device: &Device) -> Self {
        Self { words: self.words.to_device(device), absmax: self.absmax.to_device(device) }
    }
}

fn flat<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let count = x.shape().num_elements();
    x.reshape([count])
}

/// How many values are infinite or NaN, as a tensor `[1]`. It does not wait for the device.
pub fn not_finite<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    Tensor::from_dispatch(<Dispatch as Optim8Ops>::not_finite(flat(x).into_dispatch()))
}

#[cfg(feature = "ndarray")]
impl Optim8Ops for burn::backend::NdArray {}

#[cfg(feature = "flex")]
impl Optim8Ops for burn::backend::Flex {
    fn quantize_blockwise(
        x: FloatTensor<Self>,
        codec: Codec,
    ) -> (IntTensor<Self>, FloatTensor<Self>) {
        match super::flex::is_f32([&x]) {
            true => cpu::quantize(x, codec),
            false => plain::quantize::<Self>(x, codec),
        }
    }

    fn dequantize_blockwise(
        words: IntTensor<Self>,
        absmax: FloatTensor<Self>,
        codec: Codec,
        count: usize,
    ) -> FloatTensor<Self> {
        cpu::dequantize(words, absmax, codec, count)
    }

    fn step8_one(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        words: IntTensor<Self>,
        absmax: FloatTensor<Self>,
        codec: Codec,
        rule: OneMoment,
    ) -> (FloatTensor<Self>, IntTensor<Self>, FloatTensor<Self>) {
        if !super::flex::is_f32([&parameter, &gradient]) {
            return plain::step_one::<Self>(parameter, gradient, words, absmax, codec, rule);
        }
        let moments = [(words, absmax)];
        let (parameter, [(words, absmax)]) = rules::with_one!(
            rule,
            step => cpu::step(parameter, gradient, moments, [codec], step)
        );
        (parameter, words, absmax)
    }

    fn step8_two(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        words1: IntTensor<Self>,
        absmax1: FloatTensor<Self>,
        words2: IntTensor<Self>,
        absmax2: FloatTensor<Self>,
        codecs: [Codec; 2],
        rule: TwoMoments,
    ) -> (FloatTensor<Self>, IntTensor<Self>, FloatTensor<Self>, IntTensor<Self>, FloatTensor<Self>)
    {
        let moments = [(words1, absmax1), (words2, absmax2)];
        if !super::flex::is_f32([&parameter, &gradient]) {
            return plain::step_two::<Self>(parameter, gradient, moments, codecs, rule);
        }
        let (parameter, [(words1, absmax1), (words2, absmax2)]) = rules::with_two!(
            rule,
            step => cpu::step(parameter, gradient, moments, codecs, step)
        );
        (parameter, words1, absmax1, words2, absmax2)
    }

    fn not_finite(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match super::flex::is_f32([&x]) {
            true => cpu::not_finite(x),
            false => plain::not_finite::<Self>(x),
        }
    }
}

#[cfg(test)]
mod tests;
