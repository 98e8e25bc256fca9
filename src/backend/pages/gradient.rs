//! Gradients that Burn computes and that outlive the pass.

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;

use super::PageOps;

/// A parameter whose gradient has memory of its own.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Autodiff
)]
pub trait GradientOps: Backend {
    /// The same tensor. On the tape, its gradient leaves the pages that activations share.
    fn with_lasting_gradient(x: FloatTensor<Self>) -> FloatTensor<Self> {
        x
    }
}

#[cfg(feature = "flex")]
impl GradientOps for burn::backend::Flex {}

#[cfg(feature = "ndarray")]
impl GradientOps for burn::backend::NdArray {}

#[cfg(feature = "cube")]
impl GradientOps for burn::backend::Cube {}

impl<B: GradientOps + PageOps, C: CheckpointStrategy> GradientOps for Autodiff<B, C> {
    fn with_lasting_gradient(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match Lasting.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((), x.into_primitive()),
            OpsKind::UnTracked(prepared) => prepared.finish(x.into_primitive()),
        }
    }
}

#[derive(Debug)]
struct Lasting;

impl<B: GradientOps + PageOps> Backward<B, 1> for Lasting {
    type State = ();

    fn backward(self, ops: Ops<(), 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        unary::<B, _>(ops.parents, ops.node, gradients, B::lasting);
    }
}

/// See [`GradientOps::with_lasting_gradient`].
pub(crate) fn with_lasting_gradient<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as GradientOps>::with_lasting_gradient(x.into_dispatch()))
}
