//! States of optimizers in 8 bits: the block-wise codec as tensor operations, and whole optimizer
//! steps in one pass over parameter, gradient and states.
//!
//! Codes lie four to a word, first one lowest, in integer tensors of 32 bits: backends without
//! 8-bit storage hold a byte a value too, and a checkpoint of one backend is read by every other.

mod blockwise;
mod code_map;
#[cfg(feature = "flex")]
mod cpu;
#[cfg(feature = "cube")]
mod cube;
mod generic;
#[cfg(all(feature = "cube", feature = "fusion"))]
mod lazy;

pub use blockwise::{Codec, Rounding};
pub use code_map::{CODES, CodeMap, bound};

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{DType, Device, Int, Tensor};

/// Codes in a word.
pub const PER_WORD: usize = 4;

/// What SGD does with each value: `g += weight_decay * p; m = momentum * m + fresh * g; p -= rate *
/// (nesterov ? g + momentum * m : m)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SgdStep {
    /// Learning rate.
    pub rate: f32,
    /// Momentum.
    pub momentum: f32,
    /// 1 in the first step, 1 - dampening afterwards.
    pub fresh: f32,
    /// Weight decay, coupled.
    pub weight_decay: f32,
    /// Nesterov's form.
    pub nesterov: bool,
}

impl SgdStep {
    /// The step goes along `direction[0] * g + direction[1] * m`.
    fn direction(&self) -> [f32; 2] {
        if self.nesterov { [1.0, self.momentum] } else { [0.0, 1.0] }
    }
}

/// What Adam does with each value: `g += coupled * p; m = beta1 * m + (1 - beta1) * g; v = beta2 *
/// v + (1 - beta2) * g^2; p = shrink * p - rate * m / (sqrt(v) + epsilon)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamStep {
    /// Learning rate times sqrt(1 - beta2^t) / (1 - beta1^t).
    pub rate: f32,
    /// beta1 and 1 - beta1.
    pub first: [f32; 2],
    /// beta2 and 1 - beta2.
    pub second: [f32; 2],
    /// Epsilon times sqrt(1 - beta2^t).
    pub epsilon: f32,
    /// Weight decay added to the gradient (Adam).
    pub coupled: f32,
    /// 1 - learning rate * weight decay (AdamW).
    pub shrink: f32,
}

/// How Adam's moments are held: the first in the signed map, the second in the unsigned one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AdamStates {
    /// Values of a block.
    pub block: usize,
    /// Rounding rule of the first moment and of the second.
    pub rounding: [Rounding; 2],
}

impl AdamStates {
    /// The codecs of the first moment and of the second.
    pub fn codecs(&self) -> [Codec; 2] {
        let codec = |map, rounding| Codec { map, rounding, block: self.block };
        [codec(CodeMap::Signed, self.rounding[0]), codec(CodeMap::Unsigned, self.rounding[1])]
    }
}

/// The codec and the steps. Each backend has its fast path; `generic` is the plain twin, in
/// operations of Burn.
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
        generic::quantize::<Self>(x, codec)
    }

    /// Words and absmax -> `[count]`.
    #[fusion(meta = lazy::dequantized)]
    fn dequantize_blockwise(
        words: IntTensor<Self>,
        absmax: FloatTensor<Self>,
        codec: Codec,
        count: usize,
    ) -> FloatTensor<Self> {
        generic::dequantize::<Self>(words, absmax, codec, count)
    }

    /// New parameter, words and absmax.
    #[fusion(meta = lazy::stepped_sgd)]
    fn sgd_step8(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        words: IntTensor<Self>,
        absmax: FloatTensor<Self>,
        codec: Codec,
        step: SgdStep,
    ) -> (FloatTensor<Self>, IntTensor<Self>, FloatTensor<Self>) {
        generic::sgd_step::<Self>(parameter, gradient, words, absmax, codec, step)
    }

    /// New parameter, words and absmax of the first moment, words and absmax of the second.
    #[fusion(meta = lazy::stepped_adam)]
    #[allow(
        clippy::type_complexity,
        clippy::too_many_arguments,
        reason = "the dispatch macro wants tensors one by one"
    )]
    fn adam_step8(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        words1: IntTensor<Self>,
        absmax1: FloatTensor<Self>,
        words2: IntTensor<Self>,
        absmax2: FloatTensor<Self>,
        states: AdamStates,
        step: AdamStep,
    ) -> (FloatTensor<Self>, IntTensor<Self>, FloatTensor<Self>, IntTensor<Self>, FloatTensor<Self>)
    {
        generic::adam_step::<Self>(
            parameter,
            gradient,
            [(words1, absmax1), (words2, absmax2)],
            states,
            step,
        )
    }

    /// How many values are infinite or not a number: `[n]` -> `[1]`.
    #[fusion(dtype = x, shape = { let _ = x; [1].into() })]
    fn not_finite(x: FloatTensor<Self>) -> FloatTensor<Self> {
        generic::not_finite::<Self>(x)
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

    /// Moves it.
    pub fn moved_to(self, device: &Device) -> Self {
        Self { words: self.words.to_device(device), absmax: self.absmax.to_device(device) }
    }
}

fn flat<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let count = x.shape().num_elements();
    x.reshape([count])
}

/// One step of SGD with momentum. Parameter and gradient have one shape.
pub fn sgd_step<const D: usize>(
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    momentum: Blocks,
    codec: Codec,
    step: SgdStep,
) -> (Tensor<D>, Blocks) {
    let shape = parameter.shape();
    let (parameter, words, absmax) = <Dispatch as Optim8Ops>::sgd_step8(
        flat(parameter).into_dispatch(),
        flat(gradient).into_dispatch(),
        momentum.words.into_dispatch(),
        momentum.absmax.into_dispatch(),
        codec,
        step,
    );
    let momentum =
        Blocks { words: Tensor::from_dispatch(words), absmax: Tensor::from_dispatch(absmax) };
    (Tensor::<1>::from_dispatch(parameter).reshape(shape), momentum)
}

/// One step of Adam. Parameter and gradient have one shape; `moments` are the first and the second.
pub fn adam_step<const D: usize>(
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    moments: [Blocks; 2],
    states: AdamStates,
    step: AdamStep,
) -> (Tensor<D>, [Blocks; 2]) {
    let shape = parameter.shape();
    let [first, second] = moments;
    let (parameter, words1, absmax1, words2, absmax2) = <Dispatch as Optim8Ops>::adam_step8(
        flat(parameter).into_dispatch(),
        flat(gradient).into_dispatch(),
        first.words.into_dispatch(),
        first.absmax.into_dispatch(),
        second.words.into_dispatch(),
        second.absmax.into_dispatch(),
        states,
        step,
    );
    let blocks = |words, absmax| Blocks {
        words: Tensor::from_dispatch(words),
        absmax: Tensor::from_dispatch(absmax),
    };
    (
        Tensor::<1>::from_dispatch(parameter).reshape(shape),
        [blocks(words1, absmax1), blocks(words2, absmax2)],
    )
}

/// How many values are infinite or not a number, as a tensor `[1]`: nothing waits for it yet.
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
        match x.dtype() {
            DType::F32 => cpu::quantize(x, codec),
            _ => generic::quantize::<Self>(x, codec),
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

    fn sgd_step8(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        words: IntTensor<Self>,
        absmax: FloatTensor<Self>,
        codec: Codec,
        step: SgdStep,
    ) -> (FloatTensor<Self>, IntTensor<Self>, FloatTensor<Self>) {
        match (parameter.dtype(), gradient.dtype()) {
            (DType::F32, DType::F32) => {
                cpu::sgd_step(parameter, gradient, words, absmax, codec, step)
            }
            _ => generic::sgd_step::<Self>(parameter, gradient, words, absmax, codec, step),
        }
    }

    fn adam_step8(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        words1: IntTensor<Self>,
        absmax1: FloatTensor<Self>,
        words2: IntTensor<Self>,
        absmax2: FloatTensor<Self>,
        states: AdamStates,
        step: AdamStep,
    ) -> (FloatTensor<Self>, IntTensor<Self>, FloatTensor<Self>, IntTensor<Self>, FloatTensor<Self>)
    {
        let moments = [(words1, absmax1), (words2, absmax2)];
        match (parameter.dtype(), gradient.dtype()) {
            (DType::F32, DType::F32) => cpu::adam_step(parameter, gradient, moments, states, step),
            _ => generic::adam_step::<Self>(parameter, gradient, moments, states, step),
        }
    }

    fn not_finite(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match x.dtype() {
            DType::F32 => cpu::not_finite(x),
            _ => generic::not_finite::<Self>(x),
        }
    }
}

#[cfg(test)]
mod tests;
