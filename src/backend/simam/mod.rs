//! SimAM (PMLR 139, Yang et al. 2021; WeSpeaker `samresnet.py`) as one operation, of which the tape
//! keeps the input only: of Burn's separate operations it keeps three more tensors of that size.
//!
//! A plane of n values has the mean `m` and the unbiased variance `v`, which is 0 for one value.
//! With `c = x - m` and `t = c^2 / (4 (v + lambda))` the output is `x g`, where `g` is the sigmoid
//! of `t + 1/2`.
//!
//! The gradient, with `h = x dy g (1 - g)`, with `k = 2 c / (4 (v + lambda))`, the derivative of t
//! by c, and with sums over the plane: c depends on x also through the mean, and t through the
//! variance.
//!
//! `dx = dy g + k (h - 4 sum(h t) / max(n - 1, 1)) - sum(h k) / n`

mod autodiff;
#[cfg(feature = "flex")]
mod cpu;
mod plain;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;

use crate::functions::SIMAM_LAMBDA as LAMBDA;

/// What the sum of squares of so many values is divided by for the variance.
fn freedom(count: usize) -> f64 {
    (count.max(2) - 1) as f64
}

/// SimAM of `[batch, channels, mels, frames]`; each channel of each utterance is a plane.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Fusion: cfg(all(feature = "cube", feature = "fusion")),
    Autodiff
)]
pub trait SimAmOps: Backend {
    /// Each value times its gate.
    #[fusion(default)]
    fn simam(x: FloatTensor<Self>) -> FloatTensor<Self> {
        plain::simam::<Self>(x)
    }

    /// The gradient of [`SimAmOps::simam`] by `x`.
    #[fusion(default)]
    fn simam_gradient(x: FloatTensor<Self>, dy: FloatTensor<Self>) -> FloatTensor<Self> {
        plain::gradient::<Self>(x, dy)
    }
}

#[cfg(feature = "flex")]
impl SimAmOps for burn::backend::Flex {
    fn simam(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match super::flex::is_f32([&x]) {
            true => cpu::simam(x),
            false => plain::simam::<Self>(x),
        }
    }

    fn simam_gradient(x: FloatTensor<Self>, dy: FloatTensor<Self>) -> FloatTensor<Self> {
        match super::flex::is_f32([&x, &dy]) {
            true => cpu::gradient(x, dy),
            false => plain::gradient::<Self>(x, dy),
        }
    }
}

#[cfg(feature = "ndarray")]
impl SimAmOps for burn::backend::NdArray {}

#[cfg(feature = "cube")]
impl SimAmOps for burn_cubecl::CubeBackend {}

/// SimAM of `[batch, channels, mels, frames]`.
pub fn simam(x: Tensor<4>) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as SimAmOps>::simam(x.into_dispatch()))
}

#[cfg(test)]
mod tests;
