//! The grid of streams: multiples of `2^-bits`. Such numbers are added and subtracted without error
//! while they stay below `2^(24 - bits)` in f32.

mod autodiff;
#[cfg(feature = "flex")]
mod cpu;
#[cfg(feature = "cube")]
mod cube;
mod plain;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;

/// Multiples of 2^-18 (3.8e-6), exact below 64.
pub const GRID: i32 = 18;

/// Rounding to the grid, and sums that may take the place of an operand.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Fusion: cfg(all(feature = "cube", feature = "fusion")),
    Autodiff
)]
pub trait GridOps: Backend {
    /// The nearest multiples of `2^-bits`, ties to even. Gradients pass unchanged.
    #[fusion(dtype = x, shape = x)]
    fn snap(x: FloatTensor<Self>, bits: i32) -> FloatTensor<Self> {
        plain::snap::<Self>(x, bits)
    }

    /// `x` plus the nearest multiples of `2^-bits` to `change`, of the same shape; `back` subtracts
    /// them.
    #[fusion(dtype = x, shape = x)]
    fn shift(
        x: FloatTensor<Self>,
        change: FloatTensor<Self>,
        bits: i32,
        back: bool,
    ) -> FloatTensor<Self> {
        plain::shift::<Self>(x, change, bits, back)
    }

    /// `x + y`, both of one shape.
    #[fusion(dtype = x, shape = x)]
    fn plus(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self> {
        plain::plus::<Self>(x, y)
    }

    /// `x - y`, both of one shape.
    #[fusion(dtype = x, shape = x)]
    fn minus(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self> {
        plain::minus::<Self>(x, y)
    }
}

#[cfg(feature = "flex")]
impl GridOps for burn::backend::Flex {
    fn snap(x: FloatTensor<Self>, bits: i32) -> FloatTensor<Self> {
        match crate::backend::flex::is_f32([&x]) {
            true => cpu::snap(x, bits),
            false => plain::snap::<Self>(x, bits),
        }
    }

    fn shift(
        x: FloatTensor<Self>,
        change: FloatTensor<Self>,
        bits: i32,
        back: bool,
    ) -> FloatTensor<Self> {
        match crate::backend::flex::is_f32([&x, &change]) {
            true => cpu::shift(x, change, bits, back),
            false => plain::shift::<Self>(x, change, bits, back),
        }
    }
}

#[cfg(feature = "ndarray")]
impl GridOps for burn::backend::NdArray {}

/// [`GridOps::snap`] of a high-level tensor.
pub(crate) fn snap(x: Tensor<4>, bits: i32) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as GridOps>::snap(x.into_dispatch(), bits))
}

/// [`GridOps::shift`] of high-level tensors.
pub(crate) fn shift(x: Tensor<4>, change: Tensor<4>, bits: i32, back: bool) -> Tensor<4> {
    let (x, change) = (x.into_dispatch(), change.into_dispatch());
    Tensor::from_dispatch(<Dispatch as GridOps>::shift(x, change, bits, back))
}

/// `x + y`, both of one shape. On GPUs the sum takes the place of an operand that nobody else uses,
/// and has no gaps between its rows.
pub fn sum<const D: usize>(x: Tensor<D>, y: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as GridOps>::plus(x.into_dispatch(), y.into_dispatch()))
}

/// `x - y`, as [`sum`].
pub(super) fn difference(x: Tensor<4>, y: Tensor<4>) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as GridOps>::minus(x.into_dispatch(), y.into_dispatch()))
}

#[cfg(all(test, feature = "flex"))]
mod tests;
