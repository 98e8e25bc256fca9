//! The steps of training that are timed.

use std::time::Instant;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;

use super::TrainBench;
use crate::error::{Error, Result};
use crate::losses::HeadConfig;
use crate::memory::Setting;
use crate::optim::{Gate, Stepper};
use crate::train::{Batch, Late, LossScale, Shares, Trainee, Weights, gate, not_finite};

/// Steps of training. In every step the batch comes from the host, as a loader's does.
pub(super) struct Steps {
    /// There between steps.
    trainee: Option<Trainee>,
    optimizer: Stepper,
    batch: Batch,
    /// With autodiff.
    device: Device,
    scale: Option<LossScale>,
    late: Late<Shares>,
    /// Whether every loss was a number.
    finite: bool,
    /// Whether gradients are released.
    release: bool,
    /// What weights are held in.
    weights: Weights,
}

impl Steps {
    /// Steps of a setting on this batch, or on noise.
    ///
    /// # Errors
    /// Impossible settings; a precision that the device does not have.
    pub fn new(
        setting: &Setting,
        bench: &TrainBench,
        batch: Option<&Batch>,
        device: &Device,
    ) -> Result<Self> {
        let Setting { arch, speakers, optimizer, release_gradients, weights, .. } = setting;
        let trainee = Trainee::new(arch, &HeadConfig::default(), *speakers, device, 1)?;
        let trainee = setting.prepared(trainee, bench.backend)?;
        let precision = bench.precision;
        let network = precision.apply(trainee.network, device)?;
        Ok(Self {
            trainee: Some(Trainee { network, ..trainee }.lasting().train()),
            optimizer: optimizer.init()?,
            batch: batch.cloned().unwrap_or_else(|| setting.noise()),
            device: device.clone().autodiff(),
            scale: precision.scales_loss().then(LossScale::new),
            late: Late::new(),
            finite: true,
            release: *release_gradients,
            weights: *weights,
        })
    }

    /// Whether every loss so far was a number.
    pub fn are_finite(&self) -> bool {
        self.finite
    }

    fn factor(&self) -> f32 {
        self.scale.as_ref().map_or(1.0, LossScale::factor)
    }

    /// A step that releases gradients.
    fn released(&mut self) {
        let batch = self.batch.clone().upload(&self.device);
        let model = self.trainee.take().expect("put back after each step");
        // No byte and no time depends on how values are rounded.
        let (model, pending, halfway) =
            model.halfway_in(self.weights, batch, &mut self.optimizer, 0);
        self.finite &= pending.read().loss.is_finite();
        let (model, checks) = halfway.step(model, &mut self.optimizer, 1e-3);
        checks.read(&mut self.optimizer);
        self.trainee = Some(model);
    }

    /// A step whose loss is read in it, as training on a CPU does.
    pub fn at_once(&mut self) {
        if self.release {
            return self.released();
        }
        let (features, labels) = self.batch.clone().into_tensors(&self.device);
        let model = self.trainee.take().expect("put back after each step");
        let loss = model.judge(features, labels, self.batch.margin).loss;
        let factor = self.factor();
        let scaled = if factor == 1.0 { loss.clone() } else { loss.clone() * factor };
        let gradients = GradientsParams::from_grads(scaled.backward(), &model);
        let mut is_made = true;
        if let Some(scale) = &mut self.scale {
            is_made = not_finite(&model, &gradients) == 0;
            scale.after(is_made);
        }
        self.trainee = Some(match is_made {
            true => self.optimizer.step(1e-3, model, gradients, Gate::Open(1.0 / factor)),
            false => model,
        });
        self.finite &= loss.into_scalar::<f64>().is_finite();
    }

    /// A step as training on a GPU queues it. A GPU that had no memory for a tensor says so only
    /// when something computed from it is read.
    fn queue(&mut self) -> Result<()> {
        if self.release {
            self.released();
            return Ok(());
        }
        let batch = self.batch.clone().upload(&self.device);
        let model = self.trainee.take().expect("put back after each step");
        let factor = self.factor();
        let (pending, gradients) = model.weigh(batch, 1.0, factor);
        let (open, bad) = gate(&model, &gradients, &pending.loss, 1.0 / factor);
        self.trainee = Some(self.optimizer.step(1e-3, model, gradients, Gate::Device(open)));
        let (values, shares) = pending.with(bad);
        self.late.push(values, shares);
        while let Some((values, shares)) = self.late.ripe()? {
            self.learn(&values, &shares);
        }
        Ok(())
    }

    /// Waits for every outcome.
    fn settle(&mut self) -> Result<()> {
        while let Some((values, shares)) = self.late.oldest()? {
            self.learn(&values, &shares);
        }
        Ok(())
    }

    fn learn(&mut self, values: &[f32], shares: &Shares) {
        let (outcome, bad) = shares.read(values);
        self.finite &= outcome.loss.is_finite();
        if bad > 0 {
            self.optimizer.take_back();
        }
        if let Some(scale) = &mut self.scale {
            scale.after(bad == 0);
        }
    }

    /// Seconds of a step, the mean of so many without a pause between them.
    ///
    /// # Errors
    /// A device that fails or has no memory left.
    pub fn in_a_row(&mut self, device: &Device, steps: usize) -> Result<f64> {
        let sync = || device.sync().map_err(|e| Error::Backend(e.to_string()));
        self.queue()?;
        self.settle()?;
        // As in a training: what the trials of kernels needed is given back.
        device.memory_cleanup();
        self.queue()?;
        self.settle()?;
        sync()?;
        let begun = Instant::now();
        (0..steps).try_for_each(|_| self.queue())?;
        self.settle()?;
        sync()?;
        Ok(begun.elapsed().as_secs_f64() / steps as f64)
    }
}
