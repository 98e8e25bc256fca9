//! Depthwise convolution by operations that every backend has.

use burn::backend::ops::ConvOptions;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::Slice;

use super::DepthwiseOps;

pub(super) fn depthwise<B: Backend>(x: FloatTensor<B>, weight: FloatTensor<B>) -> FloatTensor<B> {
    let [channels, _, kernel, _] = weight.shape().dims();
    B::conv2d(x, weight, None, ConvOptions::new([1, 1], [kernel / 2; 2], [1, 1], channels))
}

/// The convolution of the output's gradient with the mirrored kernel.
pub(super) fn input_gradient<B: DepthwiseOps>(
    dy: FloatTensor<B>,
    weight: FloatTensor<B>,
) -> FloatTensor<B> {
    B::depthwise(dy, B::float_flip(weight, &[2, 3]))
}

/// One product for each tap, of the output's gradient with the shifted input.
pub(super) fn weight_gradient<B: Backend>(
    x: FloatTensor<B>,
    dy: FloatTensor<B>,
    kernel: usize,
) -> FloatTensor<B> {
    let [batch, channels, mels, frames] = dy.shape().dims();
    let (device, dtype, pad) = (x.device(), x.dtype(), kernel / 2);
    let zeros = B::float_zeros(
        [batch, channels, mels + 2 * pad, frames + 2 * pad].into(),
        &device,
        dtype.into(),
    );
    let at = |b: usize, c: usize, h: (usize, usize), w: (usize, usize)| {
        [
            Slice::from(0..b),
            Slice::from(0..c),
            Slice::from(h.0..h.0 + h.1),
            Slice::from(w.0..w.0 + w.1),
        ]
    };
    let padded = B::float_slice_assign(zeros, &at(batch, channels, (pad, mels), (pad, frames)), x);
    let taps = (0..kernel * kernel).map(|tap| {
        let (i, j) = (tap / kernel, tap % kernel);
        let shifted = B::float_slice(padded.clone(), &at(batch, channels, (i, mels), (j, frames)));
        let product = B::float_mul(shifted, dy.clone());
        let sum = B::float_sum_dim(B::float_sum_dim(B::float_sum_dim(product, 3), 2), 0);
        B::float_reshape(sum, [channels, 1].into())
    });
    B::float_reshape(B::float_cat(taps.collect(), 1), [channels, 1, kernel, kernel].into())
}
