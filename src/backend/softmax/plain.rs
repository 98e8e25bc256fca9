//! The gradient of softmax by operations that every backend has.

use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;

pub(super) fn gradient<B: Backend>(
    y: FloatTensor<B>,
    dy: FloatTensor<B>,
    axis: usize,
) -> FloatTensor<B> {
    let sum = B::float_sum_dim(B::float_mul(y.clone(), dy.clone()), axis);
    B::float_mul(y, B::float_sub(dy, sum))
}
