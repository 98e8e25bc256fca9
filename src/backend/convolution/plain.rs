//! Convolution by Burn's own operations.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::Shape;

use super::Window;

pub(super) fn convolve<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    window: Window,
) -> FloatTensor<B> {
    B::conv2d(x, weight, None, window.options())
}

pub(super) fn weight_gradient<B: Backend>(
    x: FloatTensor<B>,
    dy: FloatTensor<B>,
    [rows, columns]: [usize; 2],
    window: Window,
) -> FloatTensor<B> {
    let shape = [dy.shape()[1], x.shape()[1] / window.groups, rows, columns];
    let weight = B::float_zeros(shape.into(), &x.device(), x.dtype().into());
    B::conv2d_weight_backward(x, weight, dy, window.options())
}

pub(super) fn input_gradient<B: Backend>(
    weight: FloatTensor<B>,
    dy: FloatTensor<B>,
    shape: Shape,
    window: Window,
) -> FloatTensor<B> {
    // Burn asks for the input and reads its shape.
    let x = B::float_expand(
        B::float_zeros([1, 1, 1, 1].into(), &dy.device(), dy.dtype().into()),
        shape,
    );
    B::conv2d_x_backward(x, weight, dy, window.options())
}
