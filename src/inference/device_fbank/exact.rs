//! Products in f32, whatever the process allows its networks.

use burn::tensor::Tensor;

use crate::backend::convolution::{Window, convolve, tf32_allowed};
use crate::backend::{is_gpu, products};

/// `weight [output, inner, 1]` times each utterance of `x [batch, inner, frames]` -> `[batch,
/// output, frames]`. Factors are not rounded to TF32, even where that is allowed: quiet filters
/// beside loud ones need all of f32.
pub(super) fn exact(weight: Tensor<3>, x: Tensor<3>) -> Tensor<3> {
    match tf32_allowed() && is_gpu(&x.device()) {
        true => in_halves(weight, x),
        false => products(weight, x),
    }
}

/// The product as a convolution in two groups, each of which sums over half of the inner axis. No
/// convolution in groups runs on tensor cores.
pub(super) fn in_halves(weight: Tensor<3>, x: Tensor<3>) -> Tensor<3> {
    let (weight, x) = (even(weight), even(x));
    let ([output, inner, _], [batch, _, frames]) = (weight.dims(), x.dims());
    let weight = weight.reshape([output, 2, inner / 2]).swap_dims(0, 1);
    let weight = weight.reshape([2 * output, inner / 2, 1, 1]);
    let window = Window { groups: 2, ..Window::same([1, 1], [1, 1]) };
    let halves = convolve(x.reshape([batch, inner, 1, frames]), weight, window);
    let sum = halves.reshape([batch, 2, output, frames]).sum_dim(1);
    sum.reshape([batch, output, frames])
}

/// The same with zeros behind an odd number of channels (axis 1).
fn even(x: Tensor<3>) -> Tensor<3> {
    let [first, channels, last] = x.dims();
    if channels.is_multiple_of(2) {
        return x;
    }
    let zeros = Tensor::zeros([first, 1, last], (&x.device(), x.dtype()));
    Tensor::cat(vec![x, zeros], 1)
}
