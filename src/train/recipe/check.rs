//! Values of a recipe that depend on each other.

use std::path::PathBuf;

use super::Recipe;
use crate::error::Error;
use crate::nn::Precision;

/// Values that cannot go together.
pub(super) struct Fault {
    /// The key to be changed.
    pub key: &'static str,
    /// What is wrong.
    pub message: String,
}

impl Fault {
    pub(super) fn refused<T>(key: &'static str, message: impl Into<String>) -> Result<T, Self> {
        Err(Self { key, message: message.into() })
    }

    /// The error of another module about a section.
    pub(super) fn of(key: &'static str) -> impl Fn(Error) -> Self {
        move |error| Self { key, message: error.to_string() }
    }
}

impl Recipe {
    /// Fills in defaults that depend on other values, and refuses values that cannot go together.
    /// Each number alone is in its range already.
    pub(super) fn completed(mut self) -> Result<Self, Fault> {
        self.complete_data()?;
        self.init = self.init.filter(|model| !model.as_os_str().is_empty());
        let [low, high] = self.augment.noise_snr;
        if low > high {
            let message = format!("augment.noise_snr = [{low}, {high}]: lowest first");
            return Fault::refused("augment.noise_snr", message);
        }
        self.augment.categories.check().map_err(Fault::of("augment.categories"))?;
        if self.margin.fix_start_epoch < self.margin.increase_start_epoch {
            let message = "margin: increase_start_epoch <= fix_start_epoch";
            return Fault::refused("margin.fix_start_epoch", message);
        }
        self.check_train()?;
        let least = self.model.least_frames().map_err(Fault::of("model"))?;
        let (frames, name) = (self.data.frames, &self.model.name);
        if frames < least {
            let message = format!("data.frames = {frames}: {name} takes {least} or more");
            return Fault::refused("data.frames", message);
        }
        self.frontend().fbank.check().map_err(Fault::of("frontend"))?;
        if self.train.execution.is_some() && self.model.reversible_type().is_none() {
            let name = &self.model.name;
            let which = match self.model.row().is_ok_and(|row| row.has_reversible_types()) {
                true => format!("rev1-{name} or rev2-{name}"),
                false => format!("`{name}` has none"),
            };
            let message = format!("train.execution is a choice of reversible networks: {which}");
            return Fault::refused("train.execution", message);
        }
        self.optimizer.init().map_err(Fault::of("optimizer"))?;
        if let Some(quantize) = &self.quantize {
            quantize.check().map_err(Fault::of("quantize"))?;
        }
        // The number of speakers is not known yet. Settings that fail for any number fail here.
        self.loss.check(usize::MAX).map_err(Fault::of("loss"))?;
        self.loss = self.loss.completed();
        self.check_parts()?;
        if let Some(next) = self.second_phase() {
            next.completed().map_err(|fault| {
                let message = format!("large_margin: {}", fault.message);
                Fault { key: "large_margin", message }
            })?;
        }
        Ok(self)
    }

    fn complete_data(&mut self) -> Result<(), Fault> {
        let data = &mut self.data;
        if let Some(synth) = &data.synth {
            synth.check().map_err(Fault::of("data.synth"))?;
            let default = |path: &mut PathBuf, name: &str| {
                if path.as_os_str().is_empty() {
                    *path = synth.out.join(name);
                }
            };
            default(&mut data.train, "train");
            default(&mut data.dev, "dev");
        }
        if data.train.as_os_str().is_empty() || data.dev.as_os_str().is_empty() {
            return Fault::refused("data", "data.train and data.dev must be given (or data.synth)");
        }
        if data.trials.as_os_str().is_empty() {
            data.trials = data.dev.join("trials.txt");
        }
        let speeds = &data.speeds;
        if !speeds.contains(&1.0) {
            return Fault::refused("data.speeds", "data.speeds must hold 1.0");
        }
        if speeds.iter().enumerate().any(|(i, s)| speeds[..i].contains(s)) {
            return Fault::refused("data.speeds", "data.speeds holds a speed twice");
        }
        Ok(())
    }

    fn check_train(&self) -> Result<(), Fault> {
        let train = &self.train;
        if train.average_last > train.epochs {
            let (n, epochs) = (train.average_last, train.epochs);
            let message = format!(
                "train.average_last = {n}: train.epochs is {epochs}; make average_last {epochs} \
                 or less too, or train.epochs {n} or more"
            );
            return Fault::refused("train.average_last", message);
        }
        if train.patience > 0 && train.average_last > 1 {
            let message =
                "train.patience stops early and average_last averages the last epochs: choose one";
            return Fault::refused("train.patience", message);
        }
        if train.patience > 0 && train.patience < train.validate_every {
            let (patience, every) = (train.patience, train.validate_every);
            let message = format!(
                "train.patience = {patience}: would end before the second test; \
                 validate_every = {every}"
            );
            return Fault::refused("train.patience", message);
        }
        if train.accumulate > 1 && train.batch_size < 2 * train.accumulate {
            let (n, size) = (train.accumulate, train.batch_size);
            let message =
                format!("train.accumulate = {n}: from 1 to half of train.batch_size = {size}");
            return Fault::refused("train.accumulate", message);
        }
        if train.release_gradients && train.accumulate > 1 {
            let message = format!(
                "train.release_gradients: not with train.accumulate = {}, which sums the gradients \
                 of its turns before the step, while released gradients are gone after each turn; \
                 train.accumulate must be 1 (a reversible network needs less memory for a whole \
                 batch)",
                train.accumulate
            );
            return Fault::refused("train.release_gradients", message);
        }
        if train.release_gradients && train.precision.scales_loss() {
            let message = "train.release_gradients: not with train.precision = \"f16\", whose loss \
                           scale is judged by all gradients before the step; train.precision must \
                           be f32, tf32 or bf16";
            return Fault::refused("train.release_gradients", message);
        }
        if train.sync_batch_norm && train.accumulate > 1 {
            let message = "train.sync_batch_norm: turns (train.accumulate) cannot be synchronised, \
                           since each ends before the next one begins; divide the batch among \
                           ranks instead (mpirun -n N), or train a reversible network, which \
                           needs less memory";
            return Fault::refused("train.sync_batch_norm", message);
        }
        if train.sync_batch_norm && matches!(train.precision, Precision::Bf16 | Precision::F16) {
            let message = "train.sync_batch_norm: not with activations of 16 bits; \
                           train.precision must be f32 or tf32";
            return Fault::refused("train.sync_batch_norm", message);
        }
        Ok(())
    }
}
