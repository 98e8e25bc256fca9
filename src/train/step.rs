//! One step of training: forward and backward pass, and what they find out.

mod halfway;

use std::ops::Range;
use std::sync::Arc;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::train::metric::Adaptor;
use burn::train::{InferenceStep, ItemLazy, TrainOutput, TrainStep};

use super::dev_set::{DevOutcome, DevSet};
use super::trainee::Pass;
use super::{Batch, Trainee};
use crate::backend::{is_gpu, lasting};
use crate::losses::HeadOutput;

/// The outcome of a training step.
#[derive(Debug, Clone)]
pub struct StepOutcome {
    /// Mean loss of the batch.
    pub loss: f64,
    /// Fraction of the batch whose own class has the highest score without margin.
    pub accuracy: f64,
    /// The margin.
    pub margin: f64,
}

impl ItemLazy for StepOutcome {
    fn sync(self) -> Result<Self, burn::tensor::ExecutionError> {
        Ok(self)
    }
}

impl Adaptor<StepOutcome> for StepOutcome {
    fn adapt(&self) -> StepOutcome {
        self.clone()
    }
}

/// Parts of a batch: the size of each, and its share of the whole.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shares {
    parts: Vec<(usize, f64)>,
    margin: f64,
}

impl Shares {
    /// The outcome of the batch from its parts' mean losses and their numbers of right answers.
    fn outcome(
        &self,
        loss: impl Iterator<Item = f64>,
        right: impl Iterator<Item = f64>,
    ) -> StepOutcome {
        let mut total = StepOutcome { loss: 0.0, accuracy: 0.0, margin: self.margin };
        for ((&(size, share), loss), right) in self.parts.iter().zip(loss).zip(right) {
            total.loss += loss * share;
            total.accuracy += right / size as f64 * share;
        }
        total
    }

    /// The outcome, and how many values of the gradients are not finite, from the values of
    /// [`Pending::with`].
    pub(crate) fn read(&self, values: &[f32]) -> (StepOutcome, u64) {
        let (loss, rest) = values.split_at(self.parts.len());
        let (right, bad) = rest.split_at(self.parts.len());
        (self.outcome(numbers(loss), numbers(right)), bad[0] as u64)
    }
}

fn numbers(values: &[f32]) -> impl Iterator<Item = f64> {
    values.iter().copied().map(f64::from)
}

/// What a pass finds out, while it is still on the device.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Mean loss of each part of the batch, `[parts]`.
    pub loss: Tensor<1>,
    /// In how many examples of each part the own class has the highest score without margin,
    /// `[parts]`.
    pub right: Tensor<1>,
    /// Examples.
    pub size: usize,
    /// The margin.
    pub margin: f64,
    shares: Shares,
}

impl Pending {
    /// Both, one after the other. They are parts of one batch, on one device.
    #[must_use]
    pub fn add(self, other: Self) -> Self {
        let mut shares = self.shares;
        shares.parts.extend(other.shares.parts);
        Self {
            loss: Tensor::cat(vec![self.loss, other.loss], 0),
            right: Tensor::cat(vec![self.right, other.right], 0),
            size: self.size + other.size,
            margin: self.margin,
            shares,
        }
    }

    /// The same on another device.
    #[must_use]
    pub fn moved_to(self, device: &Device) -> Self {
        Self { loss: self.loss.to_device(device), right: self.right.to_device(device), ..self }
    }

    /// Waits for the outcome.
    pub fn read(self) -> StepOutcome {
        let values = |x: Tensor<1>| x.into_data().iter::<f64>().collect::<Vec<_>>();
        let (loss, right) = (values(self.loss), values(self.right));
        self.shares.outcome(loss.into_iter(), right.into_iter())
    }

    /// All of it and the number of bad values `[1]` as one tensor `[2 * parts + 1]`, so that one
    /// read brings everything, and what makes an outcome of its values ([`Shares::read`]).
    pub(crate) fn with(self, bad: Tensor<1>) -> (Tensor<1>, Shares) {
        (Tensor::cat(vec![self.loss, self.right, bad], 0), self.shares)
    }
}

impl Trainee {
    /// The device of its parameters, without autodiff.
    pub fn device(&self) -> Device {
        self.devices().first().cloned().unwrap_or_default().inner()
    }
}

/// How many examples have their own class's score as the highest one, `[1]`.
fn right(scores: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    let [size, _] = scores.dims();
    scores.detach().argmax(1).reshape([size]).equal(labels).float().sum()
}

/// A batch on the device that computes it.
#[derive(Debug, Clone)]
pub(crate) struct Uploaded {
    features: Tensor<3>,
    labels: Tensor<1, Int>,
    size: usize,
    margin: f64,
}

impl Batch {
    /// A range of its examples.
    pub fn part(&self, range: Range<usize>) -> Self {
        let each = self.shape[1] * self.shape[2];
        Self {
            features: self.features[range.start * each..range.end * each].to_vec(),
            shape: [range.len(), self.shape[1], self.shape[2]],
            labels: self.labels[range.clone()].to_vec(),
            ids: self.ids[range.clone()].to_vec(),
            on_device: self.on_device.as_ref().map(|more| more.part(&range)),
            ..*self
        }
    }

    /// Features `[batch, frames, mels]` and labels `[batch]`.
    pub fn into_tensors(self, device: &Device) -> (Tensor<3>, Tensor<1, Int>) {
        let size = self.labels.len();
        let data = TensorData::new(self.features, self.shape);
        let features = match self.on_device {
            None => Tensor::<3>::from_data(data, device),
            Some(more) => {
                let samples = Tensor::<3>::from_data(data, device).squeeze_dim::<2>(2);
                more.features(samples, device)
            }
        };
        // Batches stay while activations come and go: they do not share pages with them.
        let features = match is_gpu(device) {
            true if features.is_autodiff() => lasting(features.inner()).autodiff(),
            true => lasting(features),
            false => features,
        };
        (features, Tensor::from_data(TensorData::new(self.labels, [size]), device))
    }

    /// The batch on a device with autodiff.
    pub(crate) fn upload(self, device: &Device) -> Uploaded {
        let (size, margin) = (self.labels.len(), self.margin);
        let (features, labels) = self.into_tensors(device);
        Uploaded { features, labels, size, margin }
    }
}

impl Trainee {
    /// Loss and right answers of a part of a batch, and the gradients of `share * scale` times the
    /// loss: `share` is the part's share of the batch, `scale` that of a loss scale. It does not
    /// wait for the device.
    pub(super) fn weighed(
        &self,
        batch: Batch,
        share: f64,
        scale: f32,
    ) -> (Pending, GradientsParams) {
        self.weigh(batch.upload(&self.device().autodiff()), share, scale)
    }

    /// [`Trainee::weighed`] of a batch that is on the device already.
    pub(crate) fn weigh(
        &self,
        batch: Uploaded,
        share: f64,
        scale: f32,
    ) -> (Pending, GradientsParams) {
        let Uploaded { features, labels, size, margin } = batch;
        // Embeddings and logits must not outlive the forward pass.
        let Pass { head: HeadOutput { scores, .. }, loss, .. } =
            self.pass(features, labels.clone(), margin);
        let right = right(scores, labels);
        let weight = share * f64::from(scale);
        let weighed = if weight == 1.0 { loss.clone() } else { loss.clone() * weight };
        let gradients = weighed.backward();
        let shares = Shares { parts: vec![(size, share)], margin };
        let pending = Pending { loss: loss.inner(), right: right.inner(), size, margin, shares };
        (pending, GradientsParams::from_grads(gradients, self))
    }
}

impl TrainStep for Trainee {
    type Input = Batch;
    type Output = StepOutcome;

    fn step(&self, batch: Batch) -> TrainOutput<StepOutcome> {
        let (pending, grads) = self.weighed(batch, 1.0, 1.0);
        TrainOutput { grads, item: pending.read() }
    }
}

impl InferenceStep for Trainee {
    type Input = Arc<DevSet>;
    type Output = DevOutcome;

    fn step(&self, set: Arc<DevSet>) -> DevOutcome {
        DevOutcome::new(set.test(&self.network, &self.device()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(loss: f32, right: f32, size: usize, share: f64) -> Pending {
        let tensor = |x: f32| Tensor::<1>::from_floats([x], &Device::default());
        let shares = Shares { parts: vec![(size, share)], margin: 0.2 };
        Pending { loss: tensor(loss), right: tensor(right), size, margin: 0.2, shares }
    }

    /// Parts add up in f64, as if each had been read by itself.
    #[test]
    fn parts_of_a_batch_add_up() {
        let both = || pending(0.1, 2.0, 3, 0.6).add(pending(0.7, 1.0, 2, 0.4));
        let wanted = f64::from(0.1f32) * 0.6 + f64::from(0.7f32) * 0.4;
        let outcome = both().read();
        assert_eq!((outcome.loss, outcome.margin), (wanted, 0.2));
        assert!((outcome.accuracy - 0.6).abs() < 1e-12);
        assert_eq!(both().size, 5);
        let (values, shares) = both().with(Tensor::from_floats([7.0], &Device::default()));
        let values: Vec<f32> = values.into_data().iter::<f32>().collect();
        let (again, bad) = shares.read(&values);
        assert_eq!((again.loss, again.accuracy, bad), (outcome.loss, outcome.accuracy, 7));
    }
}
