//! SimAM and its gradient by operations that every backend has. Letters are those of
//! the formula in `mod.rs`.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};

use super::{LAMBDA, freedom};

fn sum<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_sum_dim(B::float_sum_dim(x, 2), 3)
}

fn mean<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_mean_dim(B::float_mean_dim(x, 2), 3)
}

/// Values of a plane.
fn count<B: Backend>(x: &FloatTensor<B>) -> usize {
    let shape = x.shape();
    shape[2] * shape[3]
}

/// `c`, t, and `4 (v + lambda)` of each plane.
fn distances<B: Backend>(x: FloatTensor<B>) -> [FloatTensor<B>; 3] {
    let freedom = freedom(count::<B>(&x));
    let centered = B::float_sub(x.clone(), mean::<B>(x));
    let square = B::float_mul(centered.clone(), centered.clone());
    let variance = B::float_div_scalar(sum::<B>(square.clone()), freedom.into());
    let below = B::float_mul_scalar(B::float_add_scalar(variance, LAMBDA.into()), 4.0.into());
    [centered, B::float_div(square, below.clone()), below]
}

fn gate<B: Backend>(t: FloatTensor<B>) -> FloatTensor<B> {
    B::sigmoid(B::float_add_scalar(t, 0.5.into()))
}

pub(super) fn simam<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let [_, t, _] = distances::<B>(x.clone());
    B::float_mul(x, gate::<B>(t))
}

pub(super) fn gradient<B: Backend>(x: FloatTensor<B>, dy: FloatTensor<B>) -> FloatTensor<B> {
    let share = 4.0 / freedom(count::<B>(&x));
    let [centered, t, below] = distances::<B>(x.clone());
    let gate = gate::<B>(t.clone());
    let h = B::sigmoid_backward(gate.clone(), B::float_mul(x, dy.clone()));
    let k = B::float_mul_scalar(B::float_div(centered, below), 2.0.into());
    let spread = B::float_mul_scalar(sum::<B>(B::float_mul(h.clone(), t)), share.into());
    let shift = mean::<B>(B::float_mul(h.clone(), k.clone()));
    let own = B::float_add(B::float_mul(dy, gate), B::float_mul(k, B::float_sub(h, spread)));
    B::float_sub(own, shift)
}
