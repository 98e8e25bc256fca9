//! The node of a depthwise convolution on the tape.

use burn::backend::TensorMetadata;
use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;

use super::DepthwiseOps;
use crate::backend::reversible::zero;

impl<B: DepthwiseOps, C: CheckpointStrategy> DepthwiseOps for Autodiff<B, C> {
    fn depthwise(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        match Depthwise.prepare::<C>([x.node(), weight.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                // Only the kernel's gradient needs the input.
                let kept = weight.is_tracked().then(|| x.primitive().clone());
                let weight = weight.into_primitive();
                let y = B::depthwise(x.into_primitive(), weight.clone());
                prepared.finish((kept, weight, None), y)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::depthwise(x.into_primitive(), weight.into_primitive()))
            }
        }
    }
}

/// The same node, of the scalar whose derivative by the convolution's output is `dy`.
pub(super) fn seed<B: DepthwiseOps, C: CheckpointStrategy>(
    [x, weight, dy]: [FloatTensor<Autodiff<B, C>>; 3],
) -> FloatTensor<Autodiff<B, C>> {
    let (zero, parents) = (zero::<B>(dy.primitive()), [x.node(), weight.node()]);
    let prepared = <Depthwise as Backward<B, 2>>::prepare::<C>(Depthwise, parents);
    match prepared.compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let kept = weight.is_tracked().then(|| x.into_primitive());
            prepared.finish((kept, weight.into_primitive(), Some(dy.into_primitive())), zero)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(zero),
    }
}

#[derive(Debug)]
struct Depthwise;

impl<B: DepthwiseOps> Backward<B, 2> for Depthwise {
    /// The input where the kernel's gradient needs it, the kernel, and the output's gradient where
    /// the output was not made.
    type State = (Option<FloatTensor<B>>, FloatTensor<B>, Option<FloatTensor<B>>);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let own = gradients.consume::<B>(&ops.node);
        let (x, weight, dy) = ops.state;
        let dy = dy.unwrap_or(own);
        let [x_node, weight_node] = ops.parents;
        if let (Some(node), Some(x)) = (weight_node, x) {
            let kernel = weight.shape()[3];
            let dw = B::depthwise_weight_gradient(x, dy.clone(), kernel);
            gradients.register::<B>(node.id, dw);
        }
        if let Some(node) = x_node {
            gradients.register::<B>(node.id, B::depthwise_input_gradient(dy, weight));
        }
    }
}
