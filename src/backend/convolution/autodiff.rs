//! The node of a convolution on the tape.

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::Shape;

use super::{ConvolutionOps, Window};
use crate::backend::reversible::zero;

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
                prepared.finish(State { x: kept, shape, weight, window, dy: None }, y)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::convolve(x.into_primitive(), weight.into_primitive(), window))
            }
        }
    }
}

/// The same node, of the scalar whose derivative by the convolution's output is `dy`.
pub(super) fn seed<B: ConvolutionOps, C: CheckpointStrategy>(
    [x, weight, dy]: [FloatTensor<Autodiff<B, C>>; 3],
    window: Window,
) -> FloatTensor<Autodiff<B, C>> {
    let (zero, parents) = (zero::<B>(dy.primitive()), [x.node(), weight.node()]);
    let prepared = <Convolve as Backward<B, 2>>::prepare::<C>(Convolve, parents);
    match prepared.compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let (shape, tracked) = (x.shape(), weight.is_tracked());
            let x = tracked.then(|| x.into_primitive());
            let (weight, dy) = (weight.into_primitive(), Some(dy.into_primitive()));
            prepared.finish(State { x, shape, weight, window, dy }, zero)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(zero),
    }
}

#[derive(Debug)]
struct Convolve;

/// What the way back needs.
#[derive(Debug, Clone)]
struct State<B: Backend> {
    /// The input, where the weights' gradient needs it.
    x: Option<FloatTensor<B>>,
    /// The input's shape.
    shape: Shape,
    weight: FloatTensor<B>,
    window: Window,
    /// The output's gradient, where the output was not made.
    dy: Option<FloatTensor<B>>,
}

impl<B: ConvolutionOps> Backward<B, 2> for Convolve {
    type State = State<B>;

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let own = gradients.consume::<B>(&ops.node);
        let State { x, shape, weight, window, dy } = ops.state;
        let dy = dy.unwrap_or(own);
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
