//! Where tensors enter a private tape, and where their gradients arrive. A leaf of the tape holds
//! its value until the tape is done. A tensor that is given away is held for as long as an
//! operation needs it, and an operation may write into its place.

use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Dispatch, DispatchKindConversion, DispatchTensor, backend_extension};
use burn::tensor::{Device, Gradients as TapeGradients, Tensor};

use super::lift::Lift;

/// The place of a gradient.
#[derive(Debug, Clone, Default)]
pub struct Arrival(Arc<Mutex<Option<Tensor<4>>>>);

/// Entrances that hold nothing.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Autodiff
)]
pub trait EntranceOps: Lift {
    /// `x` on the tape of the leaf `anchor`, which gets no gradient. The gradient of `x` goes to
    /// `arrival`.
    fn enter(
        x: FloatTensor<Self>,
        anchor: FloatTensor<Self>,
        arrival: Arrival,
    ) -> FloatTensor<Self> {
        // Without a tape there is no gradient.
        drop((anchor, arrival));
        x
    }
}

#[cfg(feature = "flex")]
impl EntranceOps for burn::backend::Flex {}

#[cfg(feature = "ndarray")]
impl EntranceOps for burn::backend::NdArray {}

#[cfg(feature = "cube")]
impl EntranceOps for burn::backend::Cube {}

impl<B: Lift, C: CheckpointStrategy> EntranceOps for Autodiff<B, C>
where
    DispatchTensor: DispatchKindConversion<Self>,
{
    fn enter(
        x: FloatTensor<Self>,
        anchor: FloatTensor<Self>,
        arrival: Arrival,
    ) -> FloatTensor<Self> {
        let prepared = <Enter as Backward<B, 1>>::prepare::<C>(Enter, [anchor.node()]);
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(arrival, x.into_primitive()),
            OpsKind::UnTracked(prepared) => prepared.finish(x.into_primitive()),
        }
    }
}

#[derive(Debug)]
struct Enter;

impl<B: Lift> Backward<B, 1> for Enter {
    type State = Arrival;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = B::lift(gradients.consume::<B>(&ops.node));
        *ops.state.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(gradient);
    }
}

/// What is left of an input outside of its tape.
pub(super) enum Entrance {
    /// The leaf.
    Leaf(Tensor<4>),
    /// Where the gradient of an input of this size arrives, and the input's device.
    Given(Arrival, [usize; 4], Device),
}

impl Entrance {
    /// A tensor as a leaf, with a gradient if it is wanted.
    pub fn leaf(x: Tensor<4>, wanted: bool) -> (Tensor<4>, Self) {
        let x = if wanted { x.autodiff().require_grad() } else { x.autodiff() };
        (x.clone(), Self::Leaf(x))
    }

    /// A tensor that is given away.
    pub fn given(x: Tensor<4>) -> (Tensor<4>, Self) {
        let (arrival, size, device) = (Arrival::default(), x.dims(), x.device());
        let anchor = Tensor::<1>::zeros([1], &device).autodiff().require_grad();
        let (x, anchor) = (x.into_dispatch(), anchor.into_dispatch());
        let entered = <Dispatch as EntranceOps>::enter(x, anchor, arrival.clone());
        (Tensor::from_dispatch(entered), Self::Given(arrival, size, device))
    }

    /// The gradient after the backward pass, if there was one; zeros where none arrived.
    pub fn gradient(self, found: Option<&mut TapeGradients>) -> Tensor<4> {
        match self {
            Self::Leaf(x) => {
                let gradient = found.and_then(|found| x.grad_remove(found));
                gradient.unwrap_or_else(|| x.inner().zeros_like())
            }
            Self::Given(arrival, size, device) => {
                let arrived = arrival.0.lock().unwrap_or_else(PoisonError::into_inner).take();
                arrived.unwrap_or_else(|| Tensor::zeros(size, &device))
            }
        }
    }
}
