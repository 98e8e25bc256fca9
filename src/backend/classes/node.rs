//! The loss as one node of the tape.

use std::fmt;
use std::marker::PhantomData;

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Dispatch, DispatchKindConversion, DispatchTensor, backend_extension};
use burn::tensor::Tensor;

use super::parts::{Classes, Found, Logits, backward, forward};
use crate::backend::reversible::Lift;

/// Operations that a backend needs for losses over classes in parts. The work is in the autodiff
/// decorator: it alone has a way back.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Autodiff
)]
pub trait ClassOps: Lift {
    /// The mean loss `[1]` of inputs `[batch, dim]` and weights `[rows, dim]`, and how many
    /// examples have their own class's score as the highest, `[1]`. Under autodiff the loss is one
    /// node, whose parents are both tensors.
    fn class_loss<L: Logits>(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        of: Classes<L>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let Found { loss, right, .. } = forward(&lift::<Self, 2>(x), &lift::<Self, 2>(weight), &of);
        (lower::<Self, 1>(loss), lower::<Self, 1>(right))
    }
}

#[cfg(feature = "flex")]
impl ClassOps for burn::backend::Flex {}

#[cfg(feature = "ndarray")]
impl ClassOps for burn::backend::NdArray {}

#[cfg(feature = "cube")]
impl ClassOps for burn::backend::Cube {}

/// [`ClassOps::class_loss`] of high-level tensors: the loss, and how many are right.
pub fn class_loss<L: Logits>(x: Tensor<2>, weight: Tensor<2>, of: Classes<L>) -> [Tensor<1>; 2] {
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    let (loss, right) = <Dispatch as ClassOps>::class_loss(x, weight, of);
    [loss, right].map(Tensor::from_dispatch)
}

/// The high-level tensor, of any number of axes.
fn lift<B: Lift, const D: usize>(x: FloatTensor<B>) -> Tensor<D> {
    Tensor::from_dispatch(B::lift(x).into_dispatch())
}

/// The backend's tensor.
fn lower<B: Lift, const D: usize>(x: Tensor<D>) -> FloatTensor<B> {
    B::lower(x.into_dispatch()).expect("all tensors of a loss are on one backend")
}

impl<B: Lift, C: CheckpointStrategy> ClassOps for Autodiff<B, C>
where
    DispatchTensor: DispatchKindConversion<Self>,
{
    fn class_loss<L: Logits>(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        of: Classes<L>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = [x.node(), weight.node()];
        let [x, weight] = [x, weight].map(|t| lift::<B, 2>(t.into_primitive()));
        let Found { loss, right, sums } = forward(&x, &weight, &of);
        let (loss, right) = (lower::<B, 1>(loss), lower::<B, 1>(right));
        let prepared = <InParts<L> as Backward<B, 2>>::prepare::<C>(InParts(PhantomData), nodes);
        let loss = match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(State { x, weight, sums, of }, loss),
            OpsKind::UnTracked(prepared) => prepared.finish(loss),
        };
        (loss, FloatTensor::<Autodiff<B, C>>::new(right))
    }
}

/// State for the backward pass.
#[derive(Debug, Clone)]
struct State<L> {
    /// `[batch, dim]`.
    x: Tensor<2>,
    /// `[rows, dim]`.
    weight: Tensor<2>,
    /// `[batch, 1]`.
    sums: Tensor<2>,
    of: Classes<L>,
}

/// The backward pass.
struct InParts<L>(PhantomData<fn() -> L>);

impl<L> fmt::Debug for InParts<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InParts")
    }
}

impl<B: Lift, L: Logits> Backward<B, 2> for InParts<L> {
    type State = State<L>;

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = lift::<B, 1>(gradients.consume::<B>(&ops.node));
        let State { x, weight, sums, of } = ops.state;
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let made = backward(&x, &weight, &of, &sums, dy, wanted);
        for (node, gradient) in ops.parents.into_iter().zip(made) {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                gradients.register::<B>(node.id, lower::<B, 2>(gradient));
            }
        }
    }
}
