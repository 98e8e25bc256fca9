//! The grid by operations that every backend has.

use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;

pub(super) fn snap<B: Backend>(x: FloatTensor<B>, bits: i32) -> FloatTensor<B> {
    let x = B::float_round(B::float_mul_scalar(x, 2f64.powi(bits).into()));
    B::float_mul_scalar(x, 2f64.powi(-bits).into())
}

pub(super) fn shift<B: Backend>(
    x: FloatTensor<B>,
    change: FloatTensor<B>,
    bits: i32,
    back: bool,
) -> FloatTensor<B> {
    let change = snap::<B>(change, bits);
    if back { B::float_sub(x, change) } else { B::float_add(x, change) }
}

pub(super) fn plus<B: Backend>(x: FloatTensor<B>, y: FloatTensor<B>) -> FloatTensor<B> {
    B::float_add(x, y)
}

pub(super) fn minus<B: Backend>(x: FloatTensor<B>, y: FloatTensor<B>) -> FloatTensor<B> {
    B::float_sub(x, y)
}
