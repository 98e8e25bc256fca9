//! Convolution with gradients that need no copies of whole activations: on the CPU Burn's weight
//! gradient transposes input and output gradient, which costs as much memory as four activations.
//! Kernels may be rectangles, dilated, strided and grouped. A convolution over frames is one over
//! images of one mel.

mod autodiff;
#[cfg(feature = "flex")]
mod cpu;
#[cfg(feature = "cube")]
mod cube;
#[cfg(all(feature = "cube", feature = "fusion"))]
mod lazy;
mod plain;
mod seed;
mod splits;
mod tf32;
mod window;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{Shape, Tensor};

#[cfg(feature = "cube")]
use super::gpu;

pub use seed::{ConvolutionSeedOps, seed_convolution};
pub use splits::Splits;
pub use tf32::{allow_tf32, tf32_allowed};
pub use window::Window;

/// Bytes of scratch space on the default CPU backend with so many threads, for an input `[batch,
/// channels, mels, frames]` and weights `[output, channels / groups, rows, columns]`: of the
/// output, of the weights' gradient, of the input's gradient. In builds without that backend they
/// are 0.
pub fn scratch(x: [usize; 4], weight: [usize; 4], window: Window, threads: usize) -> [usize; 3] {
    #[cfg(feature = "flex")]
    return cpu::scratch(x, weight, window, threads);
    #[cfg(not(feature = "flex"))]
    {
        let _ = (x, weight, window, threads);
        [0; 3]
    }
}

/// Convolution without bias, of an input `[batch, input, mels, frames]` with weights `[output,
/// input / groups, rows, columns]`.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Fusion: cfg(all(feature = "cube", feature = "fusion")),
    Autodiff
)]
pub trait ConvolutionOps: Backend {
    /// The output, `[batch, output, mels', frames']`.
    #[fusion(meta = lazy::convolved)]
    fn convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        window: Window,
    ) -> FloatTensor<Self> {
        plain::convolve::<Self>(x, weight, window)
    }

    /// The gradient of weights with a kernel of this size from input and output gradient.
    #[fusion(meta = lazy::weights)]
    fn convolve_weight_gradient(
        x: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        kernel: [usize; 2],
        window: Window,
    ) -> FloatTensor<Self> {
        plain::weight_gradient::<Self>(x, dy, kernel, window)
    }

    /// The gradient of an input of this shape from weights and output gradient.
    #[fusion(meta = lazy::input)]
    fn convolve_input_gradient(
        weight: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        shape: Shape,
        window: Window,
    ) -> FloatTensor<Self> {
        plain::input_gradient::<Self>(weight, dy, shape, window)
    }
}

#[cfg(feature = "flex")]
impl ConvolutionOps for burn::backend::Flex {
    fn convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        window: Window,
    ) -> FloatTensor<Self> {
        match super::flex::is_f32([&x, &weight]) {
            true => cpu::forward(x, weight, window),
            false => plain::convolve::<Self>(x, weight, window),
        }
    }

    fn convolve_weight_gradient(
        x: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        kernel: [usize; 2],
        window: Window,
    ) -> FloatTensor<Self> {
        match super::flex::is_f32([&x, &dy]) {
            true => cpu::weight_gradient(x, dy, kernel, window),
            false => plain::weight_gradient::<Self>(x, dy, kernel, window),
        }
    }

    fn convolve_input_gradient(
        weight: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        shape: Shape,
        window: Window,
    ) -> FloatTensor<Self> {
        match super::flex::is_f32([&weight, &dy]) {
            true => cpu::input_gradient(weight, dy, shape, window),
            false => plain::input_gradient::<Self>(weight, dy, shape, window),
        }
    }
}

#[cfg(feature = "ndarray")]
impl ConvolutionOps for burn::backend::NdArray {}

#[cfg(feature = "cube")]
impl ConvolutionOps for burn_cubecl::CubeBackend {
    fn convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        window: Window,
    ) -> FloatTensor<Self> {
        match gpu::floats([&x, &weight]) {
            true => cube::convolve(x, weight, window),
            false => plain::convolve::<Self>(x, weight, window),
        }
    }

    fn convolve_weight_gradient(
        x: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        kernel: [usize; 2],
        window: Window,
    ) -> FloatTensor<Self> {
        match gpu::floats([&x, &dy]) {
            true => cube::weight_gradient(x, dy, kernel, window),
            false => plain::weight_gradient::<Self>(x, dy, kernel, window),
        }
    }

    fn convolve_input_gradient(
        weight: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        shape: Shape,
        window: Window,
    ) -> FloatTensor<Self> {
        match gpu::floats([&weight, &dy]) {
            true => cube::input_gradient(weight, dy, shape, window),
            false => plain::input_gradient::<Self>(weight, dy, shape, window),
        }
    }
}

/// Convolution without bias: `[batch, input, mels, frames]` with weights `[output, input / groups,
/// rows, columns]` -> `[batch, output, mels', frames']`.
pub fn convolve(x: Tensor<4>, weight: Tensor<4>, window: Window) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as ConvolutionOps>::convolve(
        x.into_dispatch(),
        weight.into_dispatch(),
        window,
    ))
}

#[cfg(test)]
mod tests;
