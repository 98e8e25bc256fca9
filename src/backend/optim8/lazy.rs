//! What the lazy form of the operations, on backends that fuse, must know: the types and shapes of
//! their results.

use burn::backend::fusion::custom::TensorSpec;
use burn::tensor::DType;

use super::{AdamStates, AdamStep, Codec, PER_WORD, SgdStep};

pub(super) fn quantized(x: &TensorSpec, codec: &Codec) -> (TensorSpec, TensorSpec) {
    let count = x.shape.num_elements();
    let words = TensorSpec::new([count.div_ceil(PER_WORD)].into(), DType::U32);
    (words, TensorSpec::new([codec.blocks(count)].into(), DType::F32))
}

pub(super) fn dequantized(_: &TensorSpec, _: &TensorSpec, _: &Codec, count: &usize) -> TensorSpec {
    TensorSpec::new([*count].into(), DType::F32)
}

pub(super) fn stepped_sgd(
    parameter: &TensorSpec,
    _: &TensorSpec,
    words: &TensorSpec,
    absmax: &TensorSpec,
    _: &Codec,
    _: &SgdStep,
) -> (TensorSpec, TensorSpec, TensorSpec) {
    (parameter.clone(), words.clone(), absmax.clone())
}

#[allow(clippy::too_many_arguments, reason = "as many as the operation takes")]
pub(super) fn stepped_adam(
    parameter: &TensorSpec,
    _: &TensorSpec,
    words1: &TensorSpec,
    absmax1: &TensorSpec,
    words2: &TensorSpec,
    absmax2: &TensorSpec,
    _: &AdamStates,
    _: &AdamStep,
) -> (TensorSpec, TensorSpec, TensorSpec, TensorSpec, TensorSpec) {
    (parameter.clone(), words1.clone(), absmax1.clone(), words2.clone(), absmax2.clone())
}
