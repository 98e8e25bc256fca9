//! A step that changes parameters during its backward pass.

use burn::tensor::{Gradients, Tensor};

use super::{Pending, Shares, Trainee, Uploaded};
use crate::backend::reversible::{delivering, root};
use crate::losses::Judged;
use crate::nn::Mode;
use crate::optim::{Checks, Release, Stepper};
use crate::train::Weights;

/// A pass between forwards and backwards, cut at the embeddings, and in front of the embedding
/// layers of a reversible network. The gradients of one part are done with before those of the
/// next begin.
pub(crate) struct Halfway {
    /// Between the body and the embedding layers `[batch, statistics]`.
    pooled: Option<Cut>,
    /// Between the network and the head `[batch, embedding_dim]`.
    embeddings: Cut,
    /// `[1]`.
    loss: Tensor<1>,
    /// The body's parameters, if they are not in their module.
    packed: Option<Release>,
}

/// Where a tape is cut.
struct Cut {
    /// What the part before made.
    made: Tensor<2>,
    /// The same as the next part's input, a leaf.
    read: Tensor<2>,
}

impl Cut {
    fn at(made: Tensor<2>) -> Self {
        Self { read: made.clone().detach().require_grad(), made }
    }

    /// Where the backward pass of the part before begins. None if that is frozen as a whole.
    fn root(self, gradients: &mut Gradients) -> Option<Tensor<1>> {
        let seed = self.read.grad_remove(gradients);
        let seed = seed.filter(|_| self.made.is_tracked())?;
        Some(root(self.made, seed))
    }
}

impl Trainee {
    /// The forward pass of a whole batch. It does not wait for the device.
    pub(crate) fn halfway(&self, batch: Uploaded) -> (Pending, Halfway) {
        let Uploaded { features, labels, size, margin } = batch;
        let mut pooled = None;
        let embeddings = self
            .network
            .forward_cut(features, Mode::Train, |made| pooled.insert(Cut::at(made)).read.clone());
        let embeddings = Cut::at(embeddings);
        let Judged { loss, right } = self.projection.judge(embeddings.read.clone(), labels, margin);
        let shares = Shares { parts: vec![(size, 1.0)], margin };
        let known = loss.clone().inner();
        let pending = Pending { loss: known, right: right.inner(), size, margin, shares };
        (pending, Halfway { pooled, embeddings, loss, packed: None })
    }

    /// [`Trainee::halfway`] with weights held as `weights` says. Other weights than f32 are out of
    /// the model until [`Halfway::step`] or [`Halfway::given_up`]: it is no use in between.
    /// `iteration` is the number of the step, from which rounding has its chances.
    pub(crate) fn halfway_in(
        self,
        weights: Weights,
        batch: Uploaded,
        optimizer: &mut Stepper,
        iteration: usize,
    ) -> (Self, Pending, Halfway) {
        match weights {
            Weights::F32 => {
                let (pending, halfway) = self.halfway(batch);
                (self, pending, halfway)
            }
            Weights::Bf16Plus8 => {
                let ids = self.network.recomputed();
                let (model, release) = optimizer.release_packed(self, &ids, iteration as u32);
                let (release, (pending, halfway)) = delivering(release, || model.halfway(batch));
                (model, pending, Halfway { packed: Some(release), ..halfway })
            }
        }
    }
}

impl Halfway {
    /// The backward pass of the model that made this pass. Each parameter is changed as soon as its
    /// gradient is complete, which is freed then.
    pub(crate) fn step(
        self,
        model: Trainee,
        optimizer: &mut Stepper,
        rate: f64,
    ) -> (Trainee, Checks) {
        let Self { pooled, embeddings, loss, packed } = self;
        let (model, mut release) = match packed {
            None => optimizer.release(rate, model),
            Some(mut release) => (release.take_rest(rate, model), release),
        };
        let mut root = Some(loss);
        for cut in [Some(embeddings), pooled].into_iter().flatten() {
            let Some(start) = root else { break };
            let mut gradients = start.backward();
            drop(start);
            root = cut.root(&mut gradients);
            release.collect(gradients);
        }
        // Bodies and recomputed spans deliver theirs on the way.
        if let Some(start) = root {
            let (behind, gradients) = delivering(release, move || start.backward());
            release = behind;
            release.collect(gradients);
        }
        release.finish(optimizer, model)
    }

    /// Gives the model that made this pass its weights back, without a step.
    pub(crate) fn given_up(self, model: Trainee, optimizer: &mut Stepper) -> Trainee {
        match self.packed {
            None => model,
            Some(release) => release.finish(optimizer, model).0,
        }
    }
}

#[cfg(test)]
mod tests;
