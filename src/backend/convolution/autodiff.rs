//! The node of a convolution on the tape.

use burn::backend::TensorMetadata;
use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::tensor::Shape;

use super::{ConvolutionOps, Window};

impl<B: ConvolutionOps, C: CheckpointStrategy> ConvolutionOps for Autodiff<B, C> {
    fn convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        window: Window,
    ) -> FloatTensor<Self> {
        match Convolve.prepare::<C>([x.node(), weight.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let kept = weight.is_tracked().then(|| x.primitive().clone());
                let (shape, weight) = (x.shape(), weight.into_primitive());
                let y = B::convolve(x.into_primitive(), weight.clone(), window);
                prepared.finish((kept, shape, weight, window), y)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::convolve(x.into_primitive(), weight.into_primitive(), window))
            }
        }
    }
}

#[derive(Debug)]
struct Convolve;

impl<B: ConvolutionOps> Backward<B, 2> for Convolve {
    /// The input where the weights' gradient needs it, its shape, the weights.
    type State = (Option<FloatTensor<B>>, Shape, FloatTensor<B>, Window);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = gradients.consume::<B>(&ops.node);
        let (x, shape, weight, window) = ops.state;
        let [x_node, weight_node] = ops.parents;
        if let (Some(node), Some(x)) = (weight_node, x) {
            let [_, _, rows, columns] = weight.shape().dims();
            let dw = B::convolve_weight_gradient(x, dy.clone(), [rows, columns], window);
            gradients.register::<B>(node.id, dw);
        }
        if let Some(node) = x_node {
            let dx = B::convolve_input_gradient(weight, dy, shape, window);
            gradients.register::<B>(node.id, dx);
        }
    }
}
