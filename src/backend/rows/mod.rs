//! Rows of unit length on GPUs, as one launch there and one back. Heads compare directions, and
//! their weights are the largest matrix of a training.

mod autodiff;
#[cfg(feature = "cube")]
mod cube;
mod plain;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;

/// The least length that a row is divided by: a shorter one stays short, because its gradient would
/// have no bounds.
pub const SHORTEST: f64 = 1e-6;

/// Rows of `[rows, dim]`.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Fusion: cfg(all(feature = "cube", feature = "fusion")),
    Autodiff
)]
pub trait RowOps: Backend {
    /// Each row divided by its length.
    #[fusion(dtype = x, shape = x)]
    fn unit_rows(x: FloatTensor<Self>) -> FloatTensor<Self> {
        plain::unit_rows::<Self>(x)
    }

    /// The gradient of [`RowOps::unit_rows`] by `x`: with y = x / n and n the length, `(dy - y (y .
    /// dy)) / n`; `dy / n` for rows that are too short.
    #[fusion(dtype = x, shape = x)]
    fn unit_rows_gradient(x: FloatTensor<Self>, dy: FloatTensor<Self>) -> FloatTensor<Self> {
        plain::gradient::<Self>(x, dy)
    }
}

#[cfg(feature = "flex")]
impl RowOps for burn::backend::Flex {}

#[cfg(feature = "ndarray")]
impl RowOps for burn::backend::NdArray {}

#[cfg(feature = "cube")]
impl RowOps for burn_cubecl::CubeBackend {
    fn unit_rows(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match super::gpu::floats([&x]) {
            true => cube::unit_rows(x),
            false => plain::unit_rows::<Self>(x),
        }
    }

    fn unit_rows_gradient(x: FloatTensor<Self>, dy: FloatTensor<Self>) -> FloatTensor<Self> {
        match super::gpu::floats([&x, &dy]) {
            true => cube::gradient(x, dy),
            false => plain::gradient::<Self>(x, dy),
        }
    }
}

/// Rows of `[rows, dim]` divided by their lengths.
pub fn unit_rows(x: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as RowOps>::unit_rows(x.into_dispatch()))
}

#[cfg(test)]
mod tests;
