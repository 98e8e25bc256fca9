//! Additive margin on the cosine.

use burn::tensor::Tensor;

/// The margin m on cos(theta), any shape: cos(theta) - m.
pub(super) fn margin(cosine: Tensor<2>, margin: f64) -> Tensor<2> {
    cosine - margin
}
