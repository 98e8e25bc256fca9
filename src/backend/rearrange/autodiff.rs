//! The rearrangements' nodes on the tape. They keep no tensor.

use burn::backend::TensorMetadata;
use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::tensor::FloatTensor;

use super::RearrangeOps;

// A split has two outputs, and a node has one. So its default body stays: two nodes of Burn's.
impl<B: RearrangeOps, C: CheckpointStrategy> RearrangeOps for Autodiff<B, C> {
    fn squeeze(x: FloatTensor<Self>, by: [usize; 2]) -> FloatTensor<Self> {
        undoable::<B, C>(x, Undo::Unsqueeze(by), |x| B::squeeze(x, by))
    }

    fn unsqueeze(x: FloatTensor<Self>, by: [usize; 2]) -> FloatTensor<Self> {
        undoable::<B, C>(x, Undo::Squeeze(by), |x| B::unsqueeze(x, by))
    }

    fn join(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self> {
        let first = x.shape()[1];
        let prepared = Join.prepare::<C>([x.node(), y.node()]);
        let joined = B::join(x.into_primitive(), y.into_primitive());
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(first, joined),
            OpsKind::UnTracked(prepared) => prepared.finish(joined),
        }
    }

    fn fit(x: FloatTensor<Self>, size: [usize; 2]) -> FloatTensor<Self> {
        let [_, _, mels, frames] = x.shape().dims();
        undoable::<B, C>(x, Undo::Fit([mels, frames]), |x| B::fit(x, size))
    }
}

/// What brings a gradient back.
#[derive(Debug, Clone, Copy)]
enum Undo {
    Squeeze([usize; 2]),
    Unsqueeze([usize; 2]),
    Fit([usize; 2]),
}

/// A rearrangement of one tensor to one.
fn undoable<B: RearrangeOps, C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<B, C>>,
    undo: Undo,
    compute: impl FnOnce(FloatTensor<B>) -> FloatTensor<B>,
) -> FloatTensor<Autodiff<B, C>> {
    let prepared = Rearrange.prepare::<C>([x.node()]);
    let y = compute(x.into_primitive());
    match prepared.compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(undo, y),
        OpsKind::UnTracked(prepared) => prepared.finish(y),
    }
}

#[derive(Debug)]
struct Rearrange;

impl<B: RearrangeOps> Backward<B, 1> for Rearrange {
    type State = Undo;

    fn backward(self, ops: Ops<Undo, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let undo = |dy| match ops.state {
            Undo::Squeeze(by) => B::squeeze(dy, by),
            Undo::Unsqueeze(by) => B::unsqueeze(dy, by),
            Undo::Fit(size) => B::fit(dy, size),
        };
        unary::<B, _>(ops.parents, ops.node, gradients, undo);
    }
}

#[derive(Debug)]
struct Join;

impl<B: RearrangeOps> Backward<B, 2> for Join {
    /// Channels of the first tensor.
    type State = usize;

    fn backward(self, ops: Ops<usize, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (dx, dy) = B::split(gradients.consume::<B>(&ops.node), ops.state);
        for (node, gradient) in ops.parents.into_iter().zip([dx, dy]) {
            if let Some(node) = node {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}
