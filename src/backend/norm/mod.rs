//! Batch normalisation of a training pass, with or without the rectifier behind it, as one
//! operation.
//!
//! Kept for the backward pass are the input and the moments; what the rectifier stopped is found
//! again from them. Burn's separate operations keep the rectifier's input too.

#[cfg(feature = "flex")]
mod cpu;

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::ops::ActivationOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::{DType, Slice, Tensor};

/// What is fixed about a normalisation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Norm {
    /// Added to the variance.
    pub epsilon: f64,
    /// Whether negative outputs become 0.
    pub rectify: bool,
}

/// Normalisation by batch statistics, and a rectifier that keeps its output only.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Autodiff
)]
pub trait NormOps: Backend {
    /// `[batch, channels, ...]` -> the same shape, and `[2, channels]`: mean and (biased) variance
    /// of each channel.
    fn normalize(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        norm: Norm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// Gradients of input, gamma and beta from the output's; the moments' own dependence on the
    /// input is accounted for.
    fn normalize_gradients(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        moments: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        norm: Norm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// max(x, 0).
    fn rectify(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// See [`NormOps::normalize`]; the moments are not differentiable.
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

/// See [`NormOps::rectify`].
pub fn rectify<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as NormOps>::rectify(x.into_dispatch()))
}

/// Burn's own operations: what other backends use, and the plain twin of the CPU path.
mod plain {
    use super::*;

    pub fn normalize<B: Backend>(
        x: FloatTensor<B>,
        gamma: FloatTensor<B>,
        beta: FloatTensor<B>,
        norm: Norm,
    ) -> (FloatTensor<B>, FloatTensor<B>) {
        let channels = x.shape()[1];
        let result = B::batch_norm_train(x, gamma, beta, norm.epsilon);
        let row = |t| B::float_reshape(t, [1, channels].into());
        let moments = B::float_cat(vec![row(result.mean), row(result.variance)], 0);
        (if norm.rectify { B::relu(result.output) } else { result.output }, moments)
    }

    pub fn gradients<B: Backend>(
        x: FloatTensor<B>,
        gamma: FloatTensor<B>,
        beta: FloatTensor<B>,
        moments: FloatTensor<B>,
        dy: FloatTensor<B>,
        norm: Norm,
    ) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
        let channels = x.shape()[1];
        let row = |i: usize| {
            let row =
                B::float_slice(moments.clone(), &[Slice::from(i..i + 1), Slice::from(0..channels)]);
            B::float_reshape(row, [channels].into())
        };
        let (mean, variance) = (row(0), row(1));
        let dy = match norm.rectify {
            false => dy,
            true => {
                let (mean, variance) = (mean.clone(), variance.clone());
                let y = B::batch_norm(x.clone(), gamma.clone(), beta, mean, variance, norm.epsilon);
                B::relu_backward(B::relu(y), dy)
            }
        };
        let result = B::batch_norm_train_backward(x, gamma, mean, variance, norm.epsilon, dy);
        (result.x_grad, result.gamma_grad, result.beta_grad)
    }
}

macro_rules! by_burn {
    ($backend:ident, $cfg:meta) => {
        #[$cfg]
        impl NormOps for burn::backend::$backend {
            fn normalize(
                x: FloatTensor<Self>,
                gamma: FloatTensor<Self>,
                beta: FloatTensor<Self>,
                norm: Norm,
            ) -> (FloatTensor<Self>, FloatTensor<Self>) {
                plain::normalize::<Self>(x, gamma, beta, norm)
            }

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

            fn rectify(x: FloatTensor<Self>) -> FloatTensor<Self> {
                Self::relu(x)
            }
        }
    };
}
by_burn!(NdArray, cfg(feature = "ndarray"));
by_burn!(Cube, cfg(feature = "cube"));

#[cfg(feature = "flex")]
impl NormOps for burn::backend::Flex {
    fn normalize(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        norm: Norm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        match x.dtype() {
            DType::F32 => cpu::normalize(x, gamma, beta, norm),
            _ => plain::normalize::<Self>(x, gamma, beta, norm),
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
        match x.dtype() {
            DType::F32 => cpu::gradients(x, gamma, beta, moments, dy, norm),
            _ => plain::gradients::<Self>(x, gamma, beta, moments, dy, norm),
        }
    }

    fn rectify(x: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::relu(x)
    }
}

impl<B: NormOps, C: CheckpointStrategy> NormOps for Autodiff<B, C> {
    fn normalize(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        norm: Norm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        #[derive(Debug)]
        struct Normalize;

        impl<B: NormOps> Backward<B, 3> for Normalize {
            type State = ([FloatTensor<B>; 4], Norm);

            fn backward(
                self,
                ops: Ops<Self::State, 3>,
                gradients: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let dy = gradients.consume::<B>(&ops.node);
                let ([x, gamma, beta, moments], norm) = ops.state;
                let (dx, dgamma, dbeta) = B::normalize_gradients(x, gamma, beta, moments, dy, norm);
                for (node, gradient) in ops.parents.into_iter().zip([dx, dgamma, dbeta]) {
                    if let Some(node) = node {
                        gradients.register::<B>(node.id, gradient);
                    }
                }
            }
        }

        let prepared = Normalize
            .prepare::<C>([x.node(), gamma.node(), beta.node()])
            .compute_bound()
            .stateful();
        let [x, gamma, beta] = [x, gamma, beta].map(|t| t.into_primitive());
        match prepared {
            OpsKind::Tracked(prepared) => {
                let (y, moments) = B::normalize(x.clone(), gamma.clone(), beta.clone(), norm);
                let y = prepared.finish(([x, gamma, beta, moments.clone()], norm), y);
                (y, FloatTensor::<Self>::new(moments))
            }
            OpsKind::UnTracked(prepared) => {
                let (y, moments) = B::normalize(x, gamma, beta, norm);
                (prepared.finish(y), FloatTensor::<Self>::new(moments))
            }
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
        plain::gradients::<Self>(x, gamma, beta, moments, dy, norm)
    }

    fn rectify(x: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Rectify;

        impl<B: NormOps> Backward<B, 1> for Rectify {
            /// The output: what comes next keeps it anyway.
            type State = FloatTensor<B>;

            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                gradients: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                unary::<B, _>(ops.parents, ops.node, gradients, |dy| {
                    B::relu_backward(ops.state, dy)
                });
            }
        }

        match Rectify.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let y = B::rectify(x.into_primitive());
                prepared.finish(y.clone(), y)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::rectify(x.into_primitive())),
        }
    }
}

#[cfg(test)]
mod tests;
