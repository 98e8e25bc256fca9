//! A step that changes parameters during its backward pass.

use burn::tensor::Tensor;

use super::{Pending, Shares, Trainee, Uploaded};
use crate::backend::reversible::{delivering, root};
use crate::losses::Judged;
use crate::nn::Mode;
use crate::optim::{Checks, Release, Stepper};
use crate::train::Weights;

/// A pass between forwards and backwards, cut in two at the embeddings: the head's gradients are
/// done with before those of the network begin.
pub(crate) struct Halfway {
    /// What the network made, `[batch, embedding_dim]`.
    embeddings: Tensor<2>,
    /// The same as the head's input, a leaf.
    cut: Tensor<2>,
    /// `[1]`.
    loss: Tensor<1>,
    /// The body's parameters, if they are not in their module.
    packed: Option<Release>,
}

impl Trainee {
    /// The forward pass of a whole batch. It does not wait for the device.
    pub(crate) fn halfway(&self, batch: Uploaded) -> (Pending, Halfway) {
        let Uploaded { features, labels, size, margin } = batch;
        let embeddings = self.network.forward(features, Mode::Train);
        let cut = embeddings.clone().detach().require_grad();
        let Judged { loss, right } = self.projection.judge(cut.clone(), labels, margin);
        let shares = Shares { parts: vec![(size, 1.0)], margin };
        let known = loss.clone().inner();
        let pending = Pending { loss: known, right: right.inner(), size, margin, shares };
        (pending, Halfway { embeddings, cut, loss, packed: None })
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
        let Self { embeddings, cut, loss, packed } = self;
        let (model, mut release) = match packed {
            None => optimizer.release(rate, model),
            Some(mut release) => (release.take_rest(rate, model), release),
        };
        let mut gradients = loss.backward();
        let seed = cut.grad_remove(&mut gradients);
        drop((loss, cut));
        release.collect(gradients);
        // A network that is frozen as a whole is not on the tape.
        if let Some(seed) = seed.filter(|_| embeddings.is_tracked()) {
            let root = root(embeddings, seed);
            let (behind, gradients) = delivering(release, move || root.backward());
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
