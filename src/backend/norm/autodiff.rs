//! The nodes of a normalisation and of a rectifier on the tape.

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::tensor::FloatTensor;

use super::{Norm, NormOps};

impl<B: NormOps, C: CheckpointStrategy> NormOps for Autodiff<B, C> {
    fn normalize(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        norm: Norm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let prepared = Normalize
            .prepare::<C>([x.node(), gamma.node(), beta.node()])
            .compute_bound()
            .stateful();
        let [x, gamma, beta] = [x, gamma, beta].map(|t| t.into_primitive());
        match prepared {
            OpsKind::Tracked(prepared) => {
                let (y, moments) = B::normalize(x.clone(), gamma.clone(), beta.clone(), norm);
                let y = prepared.finish(([x, gamma, beta, moments.clone()], norm), y);
                (y, FloatTensor::<Self>::new(moments))
            }
            OpsKind::UnTracked(prepared) => {
                let (y, moments) = B::normalize(x, gamma, beta, norm);
                (prepared.finish(y), FloatTensor::<Self>::new(moments))
            }
        }
    }

    fn rectify(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match Rectify.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let y = B::rectify(x.into_primitive());
                prepared.finish(y.clone(), y)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::rectify(x.into_primitive())),
        }
    }
}

#[derive(Debug)]
struct Normalize;

impl<B: NormOps> Backward<B, 3> for Normalize {
    /// Input, gamma, beta and moments.
    type State = ([FloatTensor<B>; 4], Norm);

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = gradients.consume::<B>(&ops.node);
        let ([x, gamma, beta, moments], norm) = ops.state;
        let (dx, dgamma, dbeta) = B::normalize_gradients(x, gamma, beta, moments, dy, norm);
        for (node, gradient) in ops.parents.into_iter().zip([dx, dgamma, dbeta]) {
            if let Some(node) = node {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct Rectify;

impl<B: NormOps> Backward<B, 1> for Rectify {
    /// The output, which the next operation keeps anyway.
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        unary::<B, _>(ops.parents, ops.node, gradients, |dy| B::relu_backward(ops.state, dy));
    }
}
