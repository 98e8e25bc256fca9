//! The node of SimAM on the tape.

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::tensor::FloatTensor;

use super::SimAmOps;

impl<B: SimAmOps, C: CheckpointStrategy> SimAmOps for Autodiff<B, C> {
    fn simam(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match SimAm.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let x = x.into_primitive();
                prepared.finish(x.clone(), B::simam(x))
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::simam(x.into_primitive())),
        }
    }
}

#[derive(Debug)]
struct SimAm;

impl<B: SimAmOps> Backward<B, 1> for SimAm {
    /// The input.
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let x = ops.state;
        unary::<B, _>(ops.parents, ops.node, gradients, |dy| B::simam_gradient(x, dy));
    }
}
