//! Types and shapes of the operations' results, which fusing backends need before they compute
//! anything.

use burn::backend::fusion::custom::TensorSpec;
use burn::tensor::DType;

use super::{Codec, OneMoment, PER_WORD, TwoMoments};

pub(super) fn quantized(x: &TensorSpec, codec: &Codec) -> (TensorSpec, TensorSpec) {
    let count = x.shape.num_elements();
    let words = TensorSpec::new([count.div_ceil(PER_WORD)].into(), DType::U32);
    (words, TensorSpec::new([codec.blocks(count)].into(), DType::F32))
}

pub(super) fn dequantized(_: &TensorSpec, _: &TensorSpec, _: &Codec, count: &usize) -> TensorSpec {
    TensorSpec::new([*count].into(), DType::F32)
}

pub(super) fn stepped_one(
    parameter: &TensorSpec,
    _: &TensorSpec,
    words: &TensorSpec,
    absmax: &TensorSpec,
    _: &Codec,
    _: &OneMoment,
) -> (TensorSpec, TensorSpec, TensorSpec) {
    (parameter.clone(), words.clone(), absmax.clone())
}

#[allow(clippy::too_many_arguments, reason = "as many as the operation takes")]
pub(super) fn stepped_two(
    parameter: &TensorSpec,
    _: &TensorSpec,
    words1: &TensorSpec,
    absmax1: &TensorSpec,
    words2: &TensorSpec,
    absmax2: &TensorSpec,
    _: &[Codec; 2],
    _: &TwoMoments,
) -> (TensorSpec, TensorSpec, TensorSpec, TensorSpec, TensorSpec) {
    (parameter.clone(), words1.clone(), absmax1.clone(), words2.clone(), absmax2.clone())
}
