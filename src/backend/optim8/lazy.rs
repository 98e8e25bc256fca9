//! Types and shapes of the operations' results, which fusing backends need before they compute
//! anything.

use burn::backend::fusion::custom::TensorSpec;
use burn::tensor::DType;

use super::{Codec, PER_WORD, Step};

type Specs = Vec<TensorSpec>;

pub(super) fn quantized(x: &TensorSpec, codec: &Codec) -> (TensorSpec, TensorSpec) {
    let count = x.shape.num_elements();
    let words = TensorSpec::new([count.div_ceil(PER_WORD)].into(), DType::U32);
    (words, TensorSpec::new([codec.blocks(count)].into(), DType::F32))
}

pub(super) fn dequantized(_: &TensorSpec, _: &TensorSpec, _: &Codec, count: &usize) -> TensorSpec {
    TensorSpec::new([*count].into(), DType::F32)
}

#[allow(clippy::too_many_arguments, reason = "as many as the operation takes")]
pub(super) fn stepped_blocks(
    parameters: &[TensorSpec],
    _: &[TensorSpec],
    words: &[TensorSpec],
    absmax: &[TensorSpec],
    _: &[TensorSpec],
    _: &f32,
    _: &[Codec],
    _: &Step,
) -> (Specs, Specs, Specs) {
    (parameters.to_vec(), words.to_vec(), absmax.to_vec())
}

pub(super) fn stepped_values(
    parameters: &[TensorSpec],
    _: &[TensorSpec],
    moments: &[TensorSpec],
    _: &[TensorSpec],
    _: &f32,
    _: &Step,
) -> (Specs, Specs) {
    (parameters.to_vec(), moments.to_vec())
}

pub(super) fn gated(_: &[TensorSpec], _: &[TensorSpec], _: &f32) -> (TensorSpec, TensorSpec) {
    let number = TensorSpec::new([1].into(), DType::F32);
    (number.clone(), number)
}
