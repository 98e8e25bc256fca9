//! The kernel's gradient on GPUs, where Burn has one kernel for all channels.

use burn::backend::ops::ConvOptions;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};

pub(super) fn weight_gradient<B: Backend>(
    x: FloatTensor<B>,
    dy: FloatTensor<B>,
    kernel: usize,
) -> FloatTensor<B> {
    let channels = x.shape()[1];
    let weight =
        B::float_zeros([channels, 1, kernel, kernel].into(), &x.device(), x.dtype().into());
    let options = ConvOptions::new([1, 1], [kernel / 2; 2], [1, 1], channels);
    B::conv2d_weight_backward(x, weight, dy, options)
}
