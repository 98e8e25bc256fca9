//! What the loop leaves on disk, and what it says of it when it ends early.

use burn::module::Module;
use burn::train::Interrupter;

use super::{Loop, MODEL, Progressing};
use crate::error::{Error, Result};
use crate::model_file::{HEAD_PREFIX, Model, NamedTensors};
use crate::nn::collect_named;
use crate::train::Trainee;
use crate::train::checkpoint::{NEWEST, Snapshot};

impl Loop {
    /// Writes the run's model file, with weights of an epoch; 0 for a mean of several.
    pub(in crate::train) fn save_model(&self, model: &Trainee, epoch: usize) -> Result<()> {
        let mut header = self.header.clone();
        if let Some(training) = &mut header.training {
            training.epoch = epoch as u64;
        }
        if let Some(quantizer) = &self.quantizer {
            let packed = Model::packed(&header, &model.network, quantizer, &model.device())?;
            return packed.save(self.out.join(MODEL), NamedTensors::default());
        }
        let head = NamedTensors::from_burn(collect_named(&model.projection)).prefixed(HEAD_PREFIX);
        let model = Model { header, network: model.network.clone() };
        model.save(self.out.join(MODEL), head)
    }

    fn snapshot(&self, model: &Trainee, progress: &Progressing) -> Result<(Snapshot, usize)> {
        let Progressing { optimizer, average, state, .. } = progress;
        Ok((Snapshot::take(&model.valid(), optimizer, average, state)?, state.step(self.steps)))
    }

    /// Writes a checkpoint and waits for it.
    pub(super) fn save(&self, model: &Trainee, progress: &mut Progressing) -> Result<()> {
        let (snapshot, step) = self.snapshot(model, progress)?;
        progress.keeper.write_now(&snapshot, step)
    }

    /// Stops as was asked for, with everything saved or with what could not be.
    pub(super) fn stopped(
        &self,
        interrupter: &Interrupter,
        epoch: usize,
        model: &Trainee,
        progress: &mut Progressing,
    ) -> Error {
        match self.save(model, progress) {
            Ok(()) => self.interrupted(interrupter, epoch),
            Err(e) => Error::Interrupted(format!(
                "stopped in epoch {epoch}; what came after the checkpoint is lost: {e}"
            )),
        }
    }

    /// Writes a checkpoint while the training goes on.
    pub(super) fn save_beside(&self, model: &Trainee, progress: &mut Progressing) -> Result<()> {
        let (snapshot, step) = self.snapshot(model, progress)?;
        progress.keeper.write(snapshot, step);
        Ok(())
    }

    /// An error of data or disk that ends the run, after everything so far is saved.
    pub(super) fn rescued(
        &self,
        error: Error,
        model: &Trainee,
        progress: &mut Progressing,
    ) -> Error {
        let tail = match self.save(model, progress) {
            Ok(()) => format!("{}; go on with --resume", progress.keeper.kept()),
            Err(e) => format!("and {e}"),
        };
        error.and(&tail)
    }

    /// A stop that was asked for, or that burn-train's part of the run has made necessary.
    fn interrupted(&self, interrupter: &Interrupter, epoch: usize) -> Error {
        let kept =
            format!("everything is in {}; go on with --resume", self.out.join(NEWEST).display());
        match interrupter.error() {
            Some(e) => Error::Training(format!("burn-train failed in epoch {epoch}: {e}; {kept}")),
            None => Error::Interrupted(format!("stopped in epoch {epoch}; {kept}")),
        }
    }
}

/// What is left of a training that fails.
pub(super) fn kept(progress: &mut Progressing) -> String {
    progress.keeper.wait();
    progress.keeper.kept()
}
