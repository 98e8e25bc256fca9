//! Cross-entropy.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};

use crate::backend::columns::pick;

/// The mean of -log softmax(logits)`[label]` over the batch: logits `[batch, classes]` and labels
/// `[batch]` give `[1]`.
pub fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    pick(log_softmax(logits, 1), labels.unsqueeze_dim::<2>(1)).mean().neg()
}
