//! Additive margin on the cosine.

use burn::tensor::Tensor;

/// cos(theta) - m.
pub(super) fn margin(cosine: Tensor<2>, margin: f64) -> Tensor<2> {
    cosine - margin
}
