//! A step that changes parameters during its backward pass.

use burn::tensor::Tensor;

use super::{Pending, Shares, Trainee, Uploaded, right};
use crate::backend::reversible::{delivering, root};
use crate::losses::HeadOutput;
use crate::nn::Mode;
use crate::optim::{Checks, Stepper};

/// A pass between forwards and backwards, cut in two at the embeddings: the head's gradients are
/// done with before those of the network begin.
pub(crate) struct Halfway {
    /// What the network made, `[batch, embedding_dim]`.
    embeddings: Tensor<2>,
    /// The same as the head's input, a leaf.
    cut: Tensor<2>,
    /// `[1]`.
    loss: Tensor<1>,
}

impl Trainee {
    /// The forward pass of a whole batch. It does not wait for the device.
    pub(crate) fn halfway(&self, batch: Uploaded) -> (Pending, Halfway) {
        let Uploaded { features, labels, size, margin } = batch;
        let embeddings = self.network.forward(features, Mode::Train);
        let cut = embeddings.clone().detach().require_grad();
        let HeadOutput { logits, scores } =
            self.projection.forward(cut.clone(), labels.clone(), margin);
        let right = right(scores, labels.clone());
        let loss = self.projection.loss(logits, labels);
        let shares = Shares { parts: vec![(size, 1.0)], margin };
        let known = loss.clone().inner();
        let pending = Pending { loss: known, right: right.inner(), size, margin, shares };
        (pending, Halfway { embeddings, cut, loss })
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
        let Self { embeddings, cut, loss } = self;
        let (model, mut release) = optimizer.release(rate, model);
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
}

#[cfg(test)]
mod tests;
