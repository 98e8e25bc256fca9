//! The gradient of GELU by operations that every backend has.

use std::f64::consts::FRAC_1_SQRT_2;

use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;

use super::DENSITY;

pub(super) fn gradient<B: Backend>(x: FloatTensor<B>, dy: FloatTensor<B>) -> FloatTensor<B> {
    let erf = B::float_erf(B::float_mul_scalar(x.clone(), FRAC_1_SQRT_2.into()));
    let share = B::float_mul_scalar(B::float_add_scalar(erf, 1.0.into()), 0.5.into());
    let square = B::float_mul(x.clone(), x.clone());
    let bell = B::float_exp(B::float_mul_scalar(square, (-0.5).into()));
    let density = B::float_mul_scalar(bell, DENSITY.into());
    B::float_mul(dy, B::float_add(share, B::float_mul(x, density)))
}
