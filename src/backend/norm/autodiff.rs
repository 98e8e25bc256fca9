//! The nodes of a normalisation and of a rectifier on the tape.

use std::sync::Arc;

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind, unary};
use burn::backend::tensor::FloatTensor;

use super::plain::Four;
use super::together::{self, Together};
use super::{Norm, NormOps};
use crate::backend::collective::Communicator;

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
        normalize::<B, C>([x, other, gamma, beta, mean, var], norm, None)
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

/// The ranks that normalise together, if there are several.
type Ranks = Option<Arc<dyn Communicator>>;

/// A normalisation on the tape, with other ranks if there are some.
pub(super) fn normalize<B: NormOps, C: CheckpointStrategy>(
    [x, other, gamma, beta, mean, var]: [FloatTensor<Autodiff<B, C>>; 6],
    norm: Norm,
    ranks: Ranks,
) -> Four<Autodiff<B, C>> {
    let parents = [x.node(), gamma.node(), beta.node()];
    let added = other.node();
    let tensors = [x, other, gamma, beta, mean, var].map(|t| t.into_primitive());
    if norm.add {
        let [x, gamma, beta] = parents;
        record::<B, C, 4>([x, gamma, beta, added], tensors, norm, ranks)
    } else {
        record::<B, C, 3>(parents, tensors, norm, ranks)
    }
}

/// The normalisation itself.
fn forward<B: NormOps>(tensors: [FloatTensor<B>; 6], norm: Norm, ranks: &Ranks) -> Four<B> {
    let [x, other, gamma, beta, mean, var] = tensors;
    match ranks {
        None => B::normalize(x, other, gamma, beta, mean, var, norm),
        Some(ranks) => {
            let together = Together { norm, ranks: ranks.clone() };
            together::normalize::<B>([x, other, gamma, beta, mean, var], &together)
        }
    }
}

/// Normalises, and records it as a child of input, gamma and beta, and of what is added.
fn record<B: NormOps, C: CheckpointStrategy, const N: usize>(
    parents: [NodeGuard; N],
    [x, other, gamma, beta, mean, var]: [FloatTensor<B>; 6],
    norm: Norm,
    ranks: Ranks,
) -> Four<Autodiff<B, C>> {
    let prepared = <Normalize as Backward<B, N>>::prepare::<C>(Normalize, parents);
    let (y, moments, mean, var) = match prepared.compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let tensors = [x.clone(), other, gamma.clone(), beta.clone(), mean, var];
            let (y, moments, mean, var) = forward::<B>(tensors, norm, &ranks);
            // Without a sum the gradient computes the rectifier's mask from the input.
            let kept = if norm.add && norm.rectify { y.clone() } else { moments.clone() };
            let state = ([x, kept, gamma, beta, moments.clone()], norm, ranks);
            (prepared.finish(state, y), moments, mean, var)
        }
        OpsKind::UnTracked(prepared) => {
            let tensors = [x, other, gamma, beta, mean, var];
            let (y, moments, mean, var) = forward::<B>(tensors, norm, &ranks);
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
    type State = ([FloatTensor<B>; 5], Norm, Ranks);

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = gradients.consume::<B>(&ops.node);
        let ([x, y, gamma, beta, moments], norm, ranks) = ops.state;
        let (dx, dother, dgamma, dbeta) = match ranks {
            None => B::normalize_gradients(x, y, gamma, beta, moments, dy, norm),
            Some(ranks) => {
                together::gradients::<B>([x, y, gamma, beta, moments, dy], norm, &*ranks)
            }
        };
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
