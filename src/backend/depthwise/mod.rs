//! Depthwise convolution with a backward pass of its own: on CPU backends Burn differentiates it
//! channel by channel.
//!
//! One filter a channel, stride 1, odd kernel, padded to keep the size. The input's gradient is the
//! depthwise convolution of the output's gradient with the mirrored kernel; the kernel's gradient
//! is, for each of its taps, the product of the output's gradient with the input shifted by the
//! tap, summed over batch, mels and frames.

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
use burn::tensor::{Slice, Tensor};

/// Depthwise convolution of every backend of ours.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Autodiff
)]
pub trait DepthwiseOps: Backend {
    /// `[batch, channels, mels, frames]` with `[channels, 1, k, k]` -> the input's shape.
    fn depthwise(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;

    /// The gradient of the kernel, `[channels, 1, k, k]`, from the input and the output's gradient.
    fn depthwise_weight_gradient(
        x: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        kernel: usize,
    ) -> FloatTensor<Self>;
}

/// See [`DepthwiseOps::depthwise`].
pub fn depthwise(x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as DepthwiseOps>::depthwise(
        x.into_dispatch(),
        weight.into_dispatch(),
    ))
}

fn convolve<B: Backend>(x: FloatTensor<B>, weight: FloatTensor<B>) -> FloatTensor<B> {
    let [channels, _, kernel, _] = weight.shape().dims();
    B::conv2d(x, weight, None, ConvOptions::new([1, 1], [kernel / 2; 2], [1, 1], channels))
}

/// The plain twin: shifted products, by ordinary operations.
fn weight_gradient_plain<B: Backend>(
    x: FloatTensor<B>,
    dy: FloatTensor<B>,
    kernel: usize,
) -> FloatTensor<B> {
    let [batch, channels, mels, frames] = dy.shape().dims();
    let (device, dtype, pad) = (x.device(), x.dtype(), kernel / 2);
    let zeros = B::float_zeros(
        [batch, channels, mels + 2 * pad, frames + 2 * pad].into(),
        &device,
        dtype.into(),
    );
    let at = |b: usize, c: usize, h: (usize, usize), w: (usize, usize)| {
        [
            Slice::from(0..b),
            Slice::from(0..c),
            Slice::from(h.0..h.0 + h.1),
            Slice::from(w.0..w.0 + w.1),
        ]
    };
    let padded = B::float_slice_assign(zeros, &at(batch, channels, (pad, mels), (pad, frames)), x);
    let taps = (0..kernel * kernel).map(|tap| {
        let (i, j) = (tap / kernel, tap % kernel);
        let shifted = B::float_slice(padded.clone(), &at(batch, channels, (i, mels), (j, frames)));
        let product = B::float_mul(shifted, dy.clone());
        let sum = B::float_sum_dim(B::float_sum_dim(B::float_sum_dim(product, 3), 2), 0);
        B::float_reshape(sum, [channels, 1].into())
    });
    B::float_reshape(B::float_cat(taps.collect(), 1), [channels, 1, kernel, kernel].into())
}

#[cfg(feature = "flex")]
impl DepthwiseOps for burn::backend::Flex {
    fn depthwise(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        convolve::<Self>(x, weight)
    }

    fn depthwise_weight_gradient(
        x: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        kernel: usize,
    ) -> FloatTensor<Self> {
        match x.dtype() {
            burn::tensor::DType::F32 => cpu::weight_gradient(x, dy, kernel),
            _ => weight_gradient_plain::<Self>(x, dy, kernel),
        }
    }
}

macro_rules! by_plain_operations {
    ($backend:ident, $cfg:meta) => {
        #[$cfg]
        impl DepthwiseOps for burn::backend::$backend {
            fn depthwise(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
                convolve::<Self>(x, weight)
            }

            fn depthwise_weight_gradient(
                x: FloatTensor<Self>,
                dy: FloatTensor<Self>,
                kernel: usize,
            ) -> FloatTensor<Self> {
                weight_gradient_plain::<Self>(x, dy, kernel)
            }
        }
    };
}
by_plain_operations!(NdArray, cfg(feature = "ndarray"));

/// CubeCL backends have one kernel for all channels.
#[cfg(feature = "cube")]
impl DepthwiseOps for burn::backend::Cube {
    fn depthwise(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        convolve::<Self>(x, weight)
    }

    fn depthwise_weight_gradient(
        x: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        kernel: usize,
    ) -> FloatTensor<Self> {
        weight_gradient_by_burn::<Self>(x, dy, kernel)
    }
}

#[cfg(feature = "cube")]
fn weight_gradient_by_burn<B: Backend>(
    x: FloatTensor<B>,
    dy: FloatTensor<B>,
    kernel: usize,
) -> FloatTensor<B> {
    let channels = x.shape()[1];
    let weight =
        B::float_zeros([channels, 1, kernel, kernel].into(), &x.device(), x.dtype().into());
    B::conv2d_weight_backward(
        x,
        weight,
        dy,
        ConvOptions::new([1, 1], [kernel / 2; 2], [1, 1], channels),
    )
}

impl<B: DepthwiseOps, C: CheckpointStrategy> DepthwiseOps for Autodiff<B, C> {
    fn depthwise(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Depthwise;

        impl<B: DepthwiseOps> Backward<B, 2> for Depthwise {
            type State = (Option<FloatTensor<B>>, FloatTensor<B>);

            fn backward(
                self,
                ops: Ops<Self::State, 2>,
                gradients: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let dy = gradients.consume::<B>(&ops.node);
                let (x, weight) = ops.state;
                let [x_node, weight_node] = ops.parents;
                if let (Some(node), Some(x)) = (weight_node, x) {
                    let kernel = weight.shape()[3];
                    gradients.register::<B>(
                        node.id,
                        B::depthwise_weight_gradient(x, dy.clone(), kernel),
                    );
                }
                if let Some(node) = x_node {
                    gradients
                        .register::<B>(node.id, convolve::<B>(dy, B::float_flip(weight, &[2, 3])));
                }
            }
        }

        match Depthwise.prepare::<C>([x.node(), weight.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                // Only the kernel's gradient needs the input.
                let kept = weight.is_tracked().then(|| x.primitive().clone());
                let weight = weight.into_primitive();
                let y = B::depthwise(x.into_primitive(), weight.clone());
                prepared.finish((kept, weight), y)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::depthwise(x.into_primitive(), weight.into_primitive()))
            }
        }
    }

    fn depthwise_weight_gradient(
        x: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        kernel: usize,
    ) -> FloatTensor<Self> {
        weight_gradient_plain::<Self>(x, dy, kernel)
    }
}

#[cfg(test)]
mod tests;
