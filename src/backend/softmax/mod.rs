//! Softmax as one operation, whose gradient is computed from the output alone. On Burn's tape it is
//! five operations, most of which keep a tensor.

mod autodiff;
#[cfg(feature = "flex")]
mod cpu;
mod plain;

#[cfg(feature = "flex")]
use burn::backend::ops::ActivationOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;

/// Softmax along an axis, of any shape.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Fusion: cfg(all(feature = "cube", feature = "fusion")),
    Autodiff
)]
pub trait SoftmaxOps: Backend {
    /// The backend's own. Its name differs from Burn's because every backend has both.
    #[fusion(default)]
    fn softmax_along(x: FloatTensor<Self>, axis: usize) -> FloatTensor<Self> {
        Self::softmax(x, axis)
    }

    /// The gradient of [`SoftmaxOps::softmax_along`] by its input, from the output and the output's
    /// gradient: `y (dy - sum(y dy))`, with the sum along the axis.
    #[fusion(default)]
    fn softmax_along_gradient(
        y: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        axis: usize,
    ) -> FloatTensor<Self> {
        plain::gradient::<Self>(y, dy, axis)
    }
}

#[cfg(feature = "flex")]
impl SoftmaxOps for burn::backend::Flex {
    fn softmax_along(x: FloatTensor<Self>, axis: usize) -> FloatTensor<Self> {
        match super::flex::is_f32([&x]) && cpu::fits(&x, axis) {
            true => cpu::softmax(x),
            false => <Self as ActivationOps<Self>>::softmax(x, axis),
        }
    }

    fn softmax_along_gradient(
        y: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        axis: usize,
    ) -> FloatTensor<Self> {
        match super::flex::is_f32([&y, &dy]) && cpu::fits(&y, axis) {
            true => cpu::gradient(y, dy),
            false => plain::gradient::<Self>(y, dy, axis),
        }
    }
}

#[cfg(feature = "ndarray")]
impl SoftmaxOps for burn::backend::NdArray {}

#[cfg(feature = "cube")]
impl SoftmaxOps for burn_cubecl::CubeBackend {}

/// Softmax along an axis: values between 0 and 1 that add up to 1.
pub fn softmax<const D: usize>(x: Tensor<D>, axis: usize) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as SoftmaxOps>::softmax_along(x.into_dispatch(), axis))
}

#[cfg(test)]
mod tests;
