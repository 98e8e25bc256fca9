//! The node of softmax on the tape.

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::tensor::FloatTensor;

use super::SoftmaxOps;

impl<B: SoftmaxOps, C: CheckpointStrategy> SoftmaxOps for Autodiff<B, C> {
    fn softmax_along(x: FloatTensor<Self>, axis: usize) -> FloatTensor<Self> {
        match Softmax.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let y = B::softmax_along(x.into_primitive(), axis);
                prepared.finish((y.clone(), axis), y)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::softmax_along(x.into_primitive(), axis))
            }
        }
    }
}

#[derive(Debug)]
struct Softmax;

impl<B: SoftmaxOps> Backward<B, 1> for Softmax {
    /// The output, and the axis.
    type State = (FloatTensor<B>, usize);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (y, axis) = ops.state;
        unary::<B, _>(ops.parents, ops.node, gradients, |dy| {
            B::softmax_along_gradient(y, dy, axis)
        });
    }
}
