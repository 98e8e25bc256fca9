//! States of optimizers in 8 bits: the block-wise codec as tensor operations, and whole optimizer
//! steps in one pass over parameter, gradient and states. GPUs step many tensors in one launch.
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
mod gate;
#[cfg(all(feature = "cube", feature = "fusion"))]
mod lazy;
mod plain;
mod rules;
mod several;
mod sgd;
mod update;

pub use super::bound;
pub use adam::AdamStep;
pub use blockwise::{Codec, Rounding};
pub use code_map::{CODES, CodeMap};
pub use gate::{Gate, gate, not_finite};
pub(crate) use rules::Part;
pub use rules::{OneMoment, Step, TwoMoments};
pub use several::{Floats, Ints};
pub use sgd::SgdStep;
pub use update::{Update, Value};

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{DType, Device, Int, Tensor};

use self::gate::Opening;

/// Codes in a word.
pub const PER_WORD: usize = 4;

/// The codec, steps, and the gate before them. Each backend has its fast path; the default bodies
/// are the plain twin, in operations of Burn.
///
/// Steps take parameters of any shapes, with gradients of the same shapes. Everything else is flat:
/// words `[ceil(n / 4)]` and absmax `[ceil(n / block)]` of a moment in 8 bits, `[n]` of a moment in
/// 32 bits. The moments of a tensor follow each other in the lists. A gate is a list of one tensor
/// `[1]`, or an empty list, and then `factor` counts; see [`Gate`].
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

    /// A step with moments in 8 bits: new parameters, words and absmax. The codecs are those of
    /// every tensor's moments, with one block size.
    #[fusion(meta = lazy::stepped_blocks)]
    #[allow(
        clippy::too_many_arguments,
        reason = "the dispatch macro wants each list as an argument of its own"
    )]
    fn step_blocks(
        #[extension_type] parameters: Floats<Self>,
        #[extension_type] gradients: Floats<Self>,
        #[extension_type] words: Ints<Self>,
        #[extension_type] absmax: Floats<Self>,
        #[extension_type] gate: Floats<Self>,
        factor: f32,
        codecs: Vec<Codec>,
        rule: Step,
    ) -> (Floats<Self>, Ints<Self>, Floats<Self>) {
        let opening = Opening::new(gate, factor);
        let step = |parameter, gradient, moments| {
            plain::step_blocks::<Self>(parameter, gradient, moments, &opening, &codecs, rule)
        };
        plain::one_by_one([parameters, gradients, absmax], words, codecs.len(), step)
    }

    /// A step with moments in 32 bits: new parameters and moments.
    #[fusion(meta = lazy::stepped_values)]
    fn step_values(
        #[extension_type] parameters: Floats<Self>,
        #[extension_type] gradients: Floats<Self>,
        #[extension_type] moments: Floats<Self>,
        #[extension_type] gate: Floats<Self>,
        factor: f32,
        rule: Step,
    ) -> (Floats<Self>, Floats<Self>) {
        let opening = Opening::new(gate, factor);
        let each = moments.0.len() / parameters.0.len();
        let mut held = moments.0.into_iter();
        let (mut stepped, mut moments) = (Vec::new(), Vec::new());
        for (parameter, gradient) in parameters.0.into_iter().zip(gradients.0) {
            let old = held.by_ref().take(each).collect();
            let (new, held) = plain::step_values::<Self>(parameter, gradient, old, &opening, rule);
            stepped.push(new);
            moments.extend(held);
        }
        (Floats(stepped), Floats(moments))
    }

    /// The gate and the count of [`gate()`], `[1]` each, of tensors of any shapes.
    #[fusion(meta = lazy::gated)]
    fn gate(
        #[extension_type] gradients: Floats<Self>,
        #[extension_type] extra: Floats<Self>,
        factor: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        plain::gate::<Self>(gradients.0, extra.0, factor)
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

    fn step_blocks(
        parameters: Floats<Self>,
        gradients: Floats<Self>,
        words: Ints<Self>,
        absmax: Floats<Self>,
        gate: Floats<Self>,
        factor: f32,
        codecs: Vec<Codec>,
        rule: Step,
    ) -> (Floats<Self>, Ints<Self>, Floats<Self>) {
        // The gate's value is there already.
        let factor = gate.0.first().map_or(factor, cpu::first);
        let opening = Opening::<Self> { gate: None, factor };
        let step = |parameter, gradient, moments| match factor != 0.0
            && super::flex::is_f32([&parameter, &gradient])
        {
            true => {
                let gradient = cpu::scaled(gradient, factor);
                cpu::step_blocks(parameter, gradient, moments, &codecs, rule)
            }
            false => {
                plain::step_blocks::<Self>(parameter, gradient, moments, &opening, &codecs, rule)
            }
        };
        plain::one_by_one([parameters, gradients, absmax], words, codecs.len(), step)
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
