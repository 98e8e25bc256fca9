//! One step of training, as burn-train sees it.

use std::ops::Range;
use std::sync::Arc;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::train::metric::Adaptor;
use burn::train::{InferenceStep, ItemLazy, TrainOutput, TrainStep};

use super::dev_set::{DevOutcome, DevSet};
use super::{Batch, Trainee};

/// The outcome of a training step.
#[derive(Debug, Clone)]
pub struct StepOutcome {
    /// Mean cross-entropy of the batch.
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

impl Trainee {
    /// The device of its parameters, without autodiff.
    pub fn device(&self) -> Device {
        self.devices().first().cloned().unwrap_or_default().inner()
    }
}

impl Batch {
    /// A range of its examples.
    pub fn part(&self, range: Range<usize>) -> Self {
        let each = self.shape[1] * self.shape[2];
        Self {
            features: self.features[range.start * each..range.end * each].to_vec(),
            shape: [range.len(), self.shape[1], self.shape[2]],
            labels: self.labels[range.clone()].to_vec(),
            ids: self.ids[range].to_vec(),
            ..*self
        }
    }

    /// Features `[batch, frames, mels]` and labels `[batch]`.
    pub fn into_tensors(self, device: &Device) -> (Tensor<3>, Tensor<1, Int>) {
        let size = self.labels.len();
        let features = Tensor::from_data(TensorData::new(self.features, self.shape), device);
        (features, Tensor::from_data(TensorData::new(self.labels, [size]), device))
    }
}

impl Trainee {
    /// Loss, accuracy and the gradients of `share` times the loss.
    pub(super) fn weighed(&self, batch: Batch, share: f64) -> (StepOutcome, GradientsParams) {
        let (size, margin) = (batch.labels.len(), batch.margin);
        let (features, labels) = batch.into_tensors(&self.device().autodiff());
        let pass = self.pass(features, labels.clone(), margin);
        let right = pass.head.scores.detach().argmax(1).reshape([size]).equal(labels).int().sum();
        let weighed = if share == 1.0 { pass.loss.clone() } else { pass.loss.clone() * share };
        let gradients = weighed.backward();
        let outcome = StepOutcome {
            loss: pass.loss.into_scalar::<f64>(),
            accuracy: right.into_scalar::<i64>() as f64 / size as f64,
            margin,
        };
        (outcome, GradientsParams::from_grads(gradients, self))
    }
}

impl TrainStep for Trainee {
    type Input = Batch;
    type Output = StepOutcome;

    fn step(&self, batch: Batch) -> TrainOutput<StepOutcome> {
        let (item, grads) = self.weighed(batch, 1.0);
        TrainOutput { grads, item }
    }
}

impl InferenceStep for Trainee {
    type Input = Arc<DevSet>;
    type Output = DevOutcome;

    fn step(&self, set: Arc<DevSet>) -> DevOutcome {
        DevOutcome::new(set.test(&self.network, &self.device()))
    }
}
