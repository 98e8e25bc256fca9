//! The node of a depthwise convolution on the tape.

use burn::backend::TensorMetadata;
use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;

use super::DepthwiseOps;

impl<B: DepthwiseOps, C: CheckpointStrategy> DepthwiseOps for Autodiff<B, C> {
    fn depthwise(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        match Depthwise.prepare::<C>([x.node(), weight.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                // Only the kernel's gradient needs the input.
                let kept = weight.is_tracked().then(|| x.primitive().clone());
                let weight = weight.into_primitive();
                let y = B::depthwise(x.into_primitive(), weight.clone());
                prepared.finish((kept, weight), y)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::depthwise(x.into_primitive(), weight.into_primitive()))
            }
        }
    }
}

#[derive(Debug)]
struct Depthwise;

impl<B: DepthwiseOps> Backward<B, 2> for Depthwise {
    /// The input where the kernel's gradient needs it, and the kernel.
    type State = (Option<FloatTensor<B>>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = gradients.consume::<B>(&ops.node);
        let (x, weight) = ops.state;
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
