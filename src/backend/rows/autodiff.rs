//! The node of unit rows on the tape.

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::tensor::FloatTensor;

use super::RowOps;

impl<B: RowOps, C: CheckpointStrategy> RowOps for Autodiff<B, C> {
    fn unit_rows(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match UnitRows.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let x = x.into_primitive();
                prepared.finish(x.clone(), B::unit_rows(x))
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::unit_rows(x.into_primitive())),
        }
    }
}

#[derive(Debug)]
struct UnitRows;

impl<B: RowOps> Backward<B, 1> for UnitRows {
    /// The input.
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let x = ops.state;
        unary::<B, _>(ops.parents, ops.node, gradients, |dy| B::unit_rows_gradient(x, dy));
    }
}
