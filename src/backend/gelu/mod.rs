//! GELU whose gradient is that of GELU. Burn's default gradient is that of the tanh approximation,
//! off by up to 9e-4 (`docs/upstream/gelu-backward.md`).

mod autodiff;
#[cfg(feature = "flex")]
mod cpu;
#[cfg(feature = "cube")]
mod cube;
mod plain;

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

#[cfg(feature = "flex")]
use burn::backend::ops::ActivationOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;

/// The normal density at 0, `1 / sqrt(2 pi)`.
const DENSITY: f64 = FRAC_1_SQRT_2 * FRAC_2_SQRT_PI / 2.0;

/// GELU of any shape: `x (1 + erf(x / sqrt(2))) / 2`.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Fusion: cfg(all(feature = "cube", feature = "fusion")),
    Autodiff
)]
pub trait GeluOps: Backend {
    /// The backend's own, which fusing backends fuse. Its name differs from Burn's because every
    /// backend has both.
    #[fusion(default)]
    fn exact_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::gelu(x)
    }

    /// The gradient of [`GeluOps::exact_gelu`] by `x`, of the same shape:
    /// `dy ((1 + erf(x / sqrt(2))) / 2 + x exp(-x^2 / 2) / sqrt(2 pi))`.
    #[fusion(dtype = dy, shape = dy)]
    fn exact_gelu_gradient(x: FloatTensor<Self>, dy: FloatTensor<Self>) -> FloatTensor<Self> {
        plain::gradient::<Self>(x, dy)
    }
}

#[cfg(feature = "flex")]
impl GeluOps for burn::backend::Flex {
    fn exact_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match super::flex::is_f32([&x]) {
            true => cpu::gelu(x),
            false => <Self as ActivationOps<Self>>::gelu(x),
        }
    }

    // Of other types Flex has the exact gradient, in one pass.
    fn exact_gelu_gradient(x: FloatTensor<Self>, dy: FloatTensor<Self>) -> FloatTensor<Self> {
        match super::flex::is_f32([&x, &dy]) {
            true => cpu::gradient(x, dy),
            false => <Self as ActivationOps<Self>>::gelu_backward(x, dy),
        }
    }
}

#[cfg(feature = "ndarray")]
impl GeluOps for burn::backend::NdArray {}

#[cfg(feature = "cube")]
impl GeluOps for burn_cubecl::CubeBackend {
    fn exact_gelu_gradient(x: FloatTensor<Self>, dy: FloatTensor<Self>) -> FloatTensor<Self> {
        match cube::fits(&x, &dy) {
            true => cube::gradient(x, dy),
            false => plain::gradient::<Self>(x, dy),
        }
    }
}

/// GELU of any shape: `x (1 + erf(x / sqrt(2))) / 2`.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as GeluOps>::exact_gelu(x.into_dispatch()))
}

#[cfg(test)]
mod tests;
