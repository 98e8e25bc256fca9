//! Dense convolution with gradients that need no copies of whole activations: on the CPU Burn's
//! weight gradient transposes input and output gradient, which costs as much memory as four
//! activations.

#[cfg(feature = "flex")]
mod cpu;

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ops::ConvOptions;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::{DType, Shape, Tensor};

/// How a kernel moves. Inputs are padded by half the kernel on every side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Steps over mels and frames.
    pub stride: [usize; 2],
}

impl Window {
    /// Mels and frames of the output of a kernel of edge `kernel` (odd).
    pub fn output(self, input: [usize; 2], kernel: usize) -> [usize; 2] {
        [0, 1].map(|i| (input[i] + 2 * (kernel / 2) - kernel) / self.stride[i] + 1)
    }

    fn options(self, kernel: usize) -> ConvOptions<2> {
        ConvOptions::new(self.stride, [kernel / 2; 2], [1, 1], 1)
    }
}

/// Bytes of scratch space on the default CPU backend with so many threads, for an input `[batch,
/// channels, mels, frames]` and weights `[output, input, k, k]`: while the output is computed, the
/// weights' gradient, the input's gradient.
pub fn scratch(x: [usize; 4], weight: [usize; 4], window: Window, threads: usize) -> [usize; 3] {
    #[cfg(feature = "flex")]
    return cpu::scratch(x, weight, window, threads);
    #[cfg(not(feature = "flex"))]
    {
        let _ = (x, weight, window, threads);
        [0; 3]
    }
}

/// Convolution without groups and bias, of every backend of ours.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Autodiff
)]
pub trait ConvolutionOps: Backend {
    /// `[batch, input, mels, frames]` with `[output, input, k, k]`, k odd.
    fn convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        window: Window,
    ) -> FloatTensor<Self>;

    /// The gradient of the weights from input and output gradient.
    fn convolve_weight_gradient(
        x: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        kernel: usize,
        window: Window,
    ) -> FloatTensor<Self>;

    /// The gradient of an input of this shape from weights and output gradient.
    fn convolve_input_gradient(
        weight: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        shape: Shape,
        window: Window,
    ) -> FloatTensor<Self>;
}

/// See [`ConvolutionOps::convolve`].
pub fn convolve(x: Tensor<4>, weight: Tensor<4>, window: Window) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as ConvolutionOps>::convolve(
        x.into_dispatch(),
        weight.into_dispatch(),
        window,
    ))
}

/// Burn's own operations: what other backends use, and the plain twin of the CPU path.
mod plain {
    use super::*;

    pub fn convolve<B: Backend>(
        x: FloatTensor<B>,
        weight: FloatTensor<B>,
        window: Window,
    ) -> FloatTensor<B> {
        let kernel = weight.shape()[3];
        B::conv2d(x, weight, None, window.options(kernel))
    }

    pub fn weight_gradient<B: Backend>(
        x: FloatTensor<B>,
        dy: FloatTensor<B>,
        kernel: usize,
        window: Window,
    ) -> FloatTensor<B> {
        let shape = [dy.shape()[1], x.shape()[1], kernel, kernel];
        let weight = B::float_zeros(shape.into(), &x.device(), x.dtype().into());
        B::conv2d_weight_backward(x, weight, dy, window.options(kernel))
    }

    pub fn input_gradient<B: Backend>(
        weight: FloatTensor<B>,
        dy: FloatTensor<B>,
        shape: Shape,
        window: Window,
    ) -> FloatTensor<B> {
        let kernel = weight.shape()[3];
        // Burn asks for the input and reads its shape.
        let x = B::float_expand(
            B::float_zeros([1, 1, 1, 1].into(), &dy.device(), dy.dtype().into()),
            shape,
        );
        B::conv2d_x_backward(x, weight, dy, window.options(kernel))
    }
}

macro_rules! by_burn {
    ($backend:ident, $cfg:meta) => {
        #[$cfg]
        impl ConvolutionOps for burn::backend::$backend {
            fn convolve(
                x: FloatTensor<Self>,
                weight: FloatTensor<Self>,
                window: Window,
            ) -> FloatTensor<Self> {
                plain::convolve::<Self>(x, weight, window)
            }

            fn convolve_weight_gradient(
                x: FloatTensor<Self>,
                dy: FloatTensor<Self>,
                kernel: usize,
                window: Window,
            ) -> FloatTensor<Self> {
                plain::weight_gradient::<Self>(x, dy, kernel, window)
            }

            fn convolve_input_gradient(
                weight: FloatTensor<Self>,
                dy: FloatTensor<Self>,
                shape: Shape,
                window: Window,
            ) -> FloatTensor<Self> {
                plain::input_gradient::<Self>(weight, dy, shape, window)
            }
        }
    };
}
by_burn!(NdArray, cfg(feature = "ndarray"));
by_burn!(Cube, cfg(feature = "cube"));

#[cfg(feature = "flex")]
impl ConvolutionOps for burn::backend::Flex {
    fn convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        window: Window,
    ) -> FloatTensor<Self> {
        match x.dtype() {
            DType::F32 => cpu::forward(x, weight, window),
            _ => plain::convolve::<Self>(x, weight, window),
        }
    }

    fn convolve_weight_gradient(
        x: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        kernel: usize,
        window: Window,
    ) -> FloatTensor<Self> {
        match x.dtype() {
            DType::F32 => cpu::weight_gradient(x, dy, kernel, window),
            _ => plain::weight_gradient::<Self>(x, dy, kernel, window),
        }
    }

    fn convolve_input_gradient(
        weight: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        shape: Shape,
        window: Window,
    ) -> FloatTensor<Self> {
        match dy.dtype() {
            DType::F32 if window.stride == [1, 1] => cpu::input_gradient(weight, dy),
            _ => plain::input_gradient::<Self>(weight, dy, shape, window),
        }
    }
}

impl<B: ConvolutionOps, C: CheckpointStrategy> ConvolutionOps for Autodiff<B, C> {
    fn convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        window: Window,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Convolve;

        impl<B: ConvolutionOps> Backward<B, 2> for Convolve {
            /// The input where the weights' gradient needs it, its shape, the weights.
            type State = (Option<FloatTensor<B>>, Shape, FloatTensor<B>, Window);

            fn backward(
                self,
                ops: Ops<Self::State, 2>,
                gradients: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let dy = gradients.consume::<B>(&ops.node);
                let (x, shape, weight, window) = ops.state;
                let [x_node, weight_node] = ops.parents;
                if let (Some(node), Some(x)) = (weight_node, x) {
                    let kernel = weight.shape()[3];
                    gradients.register::<B>(
                        node.id,
                        B::convolve_weight_gradient(x, dy.clone(), kernel, window),
                    );
                }
                if let Some(node) = x_node {
                    gradients.register::<B>(
                        node.id,
                        B::convolve_input_gradient(weight, dy, shape, window),
                    );
                }
            }
        }

        match Convolve.prepare::<C>([x.node(), weight.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let kept = weight.is_tracked().then(|| x.primitive().clone());
                let (shape, weight) = (x.shape(), weight.into_primitive());
                let y = B::convolve(x.into_primitive(), weight.clone(), window);
                prepared.finish((kept, shape, weight, window), y)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::convolve(x.into_primitive(), weight.into_primitive(), window))
            }
        }
    }

    fn convolve_weight_gradient(
        x: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        kernel: usize,
        window: Window,
    ) -> FloatTensor<Self> {
        plain::weight_gradient::<Self>(x, dy, kernel, window)
    }

    fn convolve_input_gradient(
        weight: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        shape: Shape,
        window: Window,
    ) -> FloatTensor<Self> {
        plain::input_gradient::<Self>(weight, dy, shape, window)
    }
}

#[cfg(test)]
mod tests;
