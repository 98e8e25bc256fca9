//! The nodes of a normalisation and of a rectifier on the tape.

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind, unary};
use burn::backend::tensor::FloatTensor;

use super::plain::Four;
use super::{Norm, NormOps};

impl<B: NormOps, C: CheckpointStrategy> NormOps for Autodiff<B, C> {
    fn normalize(
        x: FloatTensor<Self>,
        other: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        var: FloatTensor<Self>,
        norm: Norm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let parents = [x.node(), gamma.node(), beta.node()];
        let added = other.node();
        let tensors = [x, other, gamma, beta, mean, var].map(|t| t.into_primitive());
        if norm.add {
            let [x, gamma, beta] = parents;
            record::<B, C, 4>([x, gamma, beta, added], tensors, norm)
        } else {
            record::<B, C, 3>(parents, tensors, norm)
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

/// Normalises, and records it as a child of input, gamma and beta, and of what is added.
fn record<B: NormOps, C: CheckpointStrategy, const N: usize>(
    parents: [NodeGuard; N],
    [x, other, gamma, beta, mean, var]: [FloatTensor<B>; 6],
    norm: Norm,
) -> Four<Autodiff<B, C>> {
    let prepared = <Normalize as Backward<B, N>>::prepare::<C>(Normalize, parents);
    let (y, moments, mean, var) = match prepared.compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let (y, moments, mean, var) =
                B::normalize(x.clone(), other, gamma.clone(), beta.clone(), mean, var, norm);
            // Without a sum the gradient computes the rectifier's mask from the input.
            let kept = if norm.add && norm.rectify { y.clone() } else { moments.clone() };
            let state = ([x, kept, gamma, beta, moments.clone()], norm);
            (prepared.finish(state, y), moments, mean, var)
        }
        OpsKind::UnTracked(prepared) => {
            let (y, moments, mean, var) = B::normalize(x, other, gamma, beta, mean, var, norm);
            (prepared.finish(y), moments, mean, var)
        }
    };
    let [moments, mean, var] = [moments, mean, var].map(FloatTensor::<Autodiff<B, C>>::new);
    (y, moments, mean, var)
}

#[derive(Debug)]
struct Normalize;

impl<B: NormOps, const N: usize> Backward<B, N> for Normalize {
    /// Input, output where it is needed, gamma, beta and moments.
    type State = ([FloatTensor<B>; 5], Norm);

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = gradients.consume::<B>(&ops.node);
        let ([x, y, gamma, beta, moments], norm) = ops.state;
        let (dx, dother, dgamma, dbeta) =
            B::normalize_gradients(x, y, gamma, beta, moments, dy, norm);
        for (node, gradient) in ops.parents.into_iter().zip([dx, dgamma, dbeta, dother]) {
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
        unary::<B, _>(ops.parents, ops.node, gradients, |dy| B::rectify_gradient(ops.state, dy));
    }
}
