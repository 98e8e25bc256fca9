//! The nodes of the grid's operations on the tape. Rounding passes gradients as they are.

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, binary, unary};
use burn::backend::tensor::FloatTensor;

use super::GridOps;

impl<B: GridOps, C: CheckpointStrategy> GridOps for Autodiff<B, C> {
    fn snap(x: FloatTensor<Self>, bits: i32) -> FloatTensor<Self> {
        let prepared = Snap.prepare::<C>([x.node()]);
        prepared.compute_bound().stateless(B::snap(x.into_primitive(), bits))
    }

    fn shift(
        x: FloatTensor<Self>,
        change: FloatTensor<Self>,
        bits: i32,
        back: bool,
    ) -> FloatTensor<Self> {
        shifted::<B, C>(x, change, back, |x, change| B::shift(x, change, bits, back))
    }

    fn plus(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self> {
        shifted::<B, C>(x, y, false, B::plus)
    }

    fn minus(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self> {
        shifted::<B, C>(x, y, true, B::minus)
    }
}

/// `x` plus a change, or minus it if `back`.
fn shifted<B: GridOps, C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<B, C>>,
    change: FloatTensor<Autodiff<B, C>>,
    back: bool,
    compute: impl FnOnce(FloatTensor<B>, FloatTensor<B>) -> FloatTensor<B>,
) -> FloatTensor<Autodiff<B, C>> {
    let prepared = Shift.prepare::<C>([x.node(), change.node()]);
    let y = compute(x.into_primitive(), change.into_primitive());
    match prepared.compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(back, y),
        OpsKind::UnTracked(prepared) => prepared.finish(y),
    }
}

#[derive(Debug)]
struct Snap;

impl<B: GridOps> Backward<B, 1> for Snap {
    type State = ();

    fn backward(self, ops: Ops<(), 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        unary::<B, _>(ops.parents, ops.node, gradients, |dy| dy);
    }
}

#[derive(Debug)]
struct Shift;

impl<B: GridOps> Backward<B, 2> for Shift {
    /// Whether the change was subtracted.
    type State = bool;

    fn backward(self, ops: Ops<bool, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (parents, node, back) = (ops.parents, ops.node, ops.state);
        let change = |dy| if back { B::float_neg(dy) } else { dy };
        binary::<B, _, _>(parents, node, gradients, |dy| dy, change);
    }
}
