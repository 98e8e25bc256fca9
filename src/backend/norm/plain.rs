//! Normalisation by Burn's own operations.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::Slice;

use super::Norm;

pub(super) fn normalize<B: Backend>(
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    norm: Norm,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let channels = x.shape()[1];
    let result = B::batch_norm_train(x, gamma, beta, norm.epsilon);
    let row = |t| B::float_reshape(t, [1, channels].into());
    let moments = B::float_cat(vec![row(result.mean), row(result.variance)], 0);
    (if norm.rectify { B::relu(result.output) } else { result.output }, moments)
}

pub(super) fn gradients<B: Backend>(
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    moments: FloatTensor<B>,
    dy: FloatTensor<B>,
    norm: Norm,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let channels = x.shape()[1];
    let row = |i: usize| {
        let row =
            B::float_slice(moments.clone(), &[Slice::from(i..i + 1), Slice::from(0..channels)]);
        B::float_reshape(row, [channels].into())
    };
    let (mean, variance) = (row(0), row(1));
    let dy = match norm.rectify {
        false => dy,
        true => {
            let (mean, variance) = (mean.clone(), variance.clone());
            let y = B::batch_norm(x.clone(), gamma.clone(), beta, mean, variance, norm.epsilon);
            B::relu_backward(B::relu(y), dy)
        }
    };
    let result = B::batch_norm_train_backward(x, gamma, mean, variance, norm.epsilon, dy);
    (result.x_grad, result.gamma_grad, result.beta_grad)
}

pub(super) fn rectify<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::relu(x)
}
