//! Rows by operations that every backend has.

use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;

use super::SHORTEST;

/// The sum of each row of products, `[rows, 1]`.
fn dot<B: Backend>(x: FloatTensor<B>, y: FloatTensor<B>) -> FloatTensor<B> {
    B::float_sum_dim(B::float_mul(x, y), 1)
}

/// What each row is divided by, `[rows, 1]`.
fn lengths<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let squares = dot::<B>(x.clone(), x);
    B::float_sqrt(B::float_clamp_min(squares, (SHORTEST * SHORTEST).into()))
}

pub(super) fn unit_rows<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_div(x.clone(), lengths::<B>(x))
}

pub(super) fn gradient<B: Backend>(x: FloatTensor<B>, dy: FloatTensor<B>) -> FloatTensor<B> {
    let lengths = lengths::<B>(x.clone());
    let y = B::float_div(x, lengths.clone());
    // A row that is too short has a smaller square than 1, and its length does not change.
    let square = B::float_clamp_max(dot::<B>(y.clone(), y.clone()), 1.0.into());
    let whole = B::float_round(B::float_sub_scalar(square, 0.499.into()));
    let along = B::float_mul(dot::<B>(y.clone(), dy.clone()), whole);
    B::float_div(B::float_sub(dy, B::float_mul(y, along)), lengths)
}
