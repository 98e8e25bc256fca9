//! Batch normalisation of a training pass, with or without the rectifier behind it, as one
//! operation.
//!
//! The backward pass needs the input and the moments only: it computes the rectifier's mask from
//! them. Burn's separate operations keep the rectifier's input too.

mod autodiff;
#[cfg(feature = "flex")]
mod cpu;
mod plain;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;

/// The settings of a normalisation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Norm {
    /// Added to the variance.
    pub epsilon: f64,
    /// Whether negative outputs become 0.
    pub rectify: bool,
}

/// Normalisation by batch statistics, and a rectifier whose backward pass needs its output only.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Autodiff
)]
pub trait NormOps: Backend {
    /// `[batch, channels, ...]`, gamma and beta `[channels]` -> the input's shape, and `[2,
    /// channels]`: mean and (biased) variance of each channel.
    fn normalize(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        norm: Norm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        plain::normalize::<Self>(x, gamma, beta, norm)
    }

    /// Gradients of input, gamma and beta from the output's. They account for the moments' own
    /// dependence on the input.
    fn normalize_gradients(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        moments: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        norm: Norm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        plain::gradients::<Self>(x, gamma, beta, moments, dy, norm)
    }

    /// max(x, 0), of any shape.
    fn rectify(x: FloatTensor<Self>) -> FloatTensor<Self> {
        plain::rectify::<Self>(x)
    }
}

#[cfg(feature = "flex")]
impl NormOps for burn::backend::Flex {
    fn normalize(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        norm: Norm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        match super::flex::is_f32([&x, &gamma, &beta]) {
            true => cpu::normalize(x, gamma, beta, norm),
            false => plain::normalize::<Self>(x, gamma, beta, norm),
        }
    }

    fn normalize_gradients(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        moments: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        norm: Norm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        match super::flex::is_f32([&x, &gamma, &beta, &moments, &dy]) {
            true => cpu::gradients(x, gamma, beta, moments, dy, norm),
            false => plain::gradients::<Self>(x, gamma, beta, moments, dy, norm),
        }
    }
}

#[cfg(feature = "ndarray")]
impl NormOps for burn::backend::NdArray {}

#[cfg(feature = "cube")]
impl NormOps for burn::backend::Cube {}

/// `[batch, channels, ...]`, gamma and beta `[channels]` -> the input's shape, and `[2, channels]`:
/// mean and (biased) variance of each channel. The moments are not differentiable.
pub fn normalize<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    norm: Norm,
) -> (Tensor<D>, Tensor<2>) {
    let (y, moments) = <Dispatch as NormOps>::normalize(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        norm,
    );
    (Tensor::from_dispatch(y), Tensor::from_dispatch(moments))
}

/// max(x, 0), of any shape.
pub fn rectify<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as NormOps>::rectify(x.into_dispatch()))
}

#[cfg(test)]
mod tests;
