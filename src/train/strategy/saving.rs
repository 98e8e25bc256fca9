//! Saves the state of the loop. Errors name the checkpoint that is left.

use burn::module::Module;
use burn::train::Interrupter;

use super::{Loop, MODEL, Progressing};
use crate::error::{Error, Remedy, Result};
use crate::model_file::{HEAD_PREFIX, Model, NamedTensors};
use crate::nn::collect_named;
use crate::train::Trainee;
use crate::train::checkpoint::{NEWEST, Snapshot};
use crate::train::ranks::is_first;

impl Loop {
    /// Writes the run's model file, with the weights of an epoch. Epoch 0 stands for a mean of
    /// several.
    ///
    /// # Errors
    /// Weights that cannot be packed. A file that cannot be written.
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

    /// A copy of everything, on rank 0, with its step. Where ranks divide the optimizer's states,
    /// all ranks call it at the same point.
    fn snapshot(
        &self,
        model: &Trainee,
        progress: &Progressing,
    ) -> Result<Option<(Snapshot, usize)>> {
        let Progressing { optimizer, average, state, keeper, late, .. } = progress;
        debug_assert_eq!(late.under_way(), 0, "the state is not that of the weights yet");
        let record = match &self.shards {
            Some(shards) => shards.whole(optimizer).map_err(|e| e.and(&keeper.kept()))?,
            None => None,
        };
        let snapshot = match record {
            _ if !is_first(&*self.ranks) => return Ok(None),
            Some(record) => Snapshot::with_record(&model.valid(), record, average, state)?,
            None => Snapshot::take(&model.valid(), optimizer, average, state)?,
        };
        Ok(Some((snapshot, state.step(self.steps))))
    }

    /// Writes a checkpoint and waits for it. Rank 0 does, for all.
    ///
    /// # Errors
    /// Those of `Keeper::write_now`. States of other ranks that cannot be had.
    pub(super) fn save(&self, model: &Trainee, progress: &mut Progressing) -> Result<()> {
        match self.snapshot(model, progress)? {
            Some((snapshot, step)) => progress.keeper.write_now(&snapshot, step),
            None => Ok(()),
        }
    }

    /// Saves everything after a requested stop, and returns the error that reports the stop.
    pub(super) fn stopped(
        &self,
        interrupter: &Interrupter,
        epoch: usize,
        model: &Trainee,
        progress: &mut Progressing,
    ) -> Error {
        match self.save(model, progress) {
            Ok(()) => self.interrupted(interrupter, epoch),
            Err(e) => e.retold(|text| {
                Error::Interrupted(format!(
                    "stopped in epoch {epoch}; what came after the checkpoint is lost: {text}"
                ))
            }),
        }
    }

    /// Writes a checkpoint while the training goes on. Rank 0 does, for all.
    ///
    /// # Errors
    /// Those of [`Snapshot::take`]. States of other ranks that cannot be had.
    pub(super) fn save_beside(&self, model: &Trainee, progress: &mut Progressing) -> Result<()> {
        if let Some((snapshot, step)) = self.snapshot(model, progress)? {
            progress.keeper.write(snapshot, step);
        }
        Ok(())
    }

    /// Saves everything after an error of data or disk, and adds to the error which checkpoint is
    /// left.
    pub(super) fn rescued(
        &self,
        error: Error,
        model: &Trainee,
        progress: &mut Progressing,
    ) -> Error {
        let saved = self.save(model, progress);
        if !is_first(&*self.ranks) {
            return error;
        }
        match saved {
            Ok(()) => {
                let error = error.and(&progress.keeper.kept());
                let remedy = match error.remedy() {
                    Some(Remedy::LeaveOut { key, tolerate, .. }) => {
                        Remedy::LeaveOut { key, tolerate: tolerate.clone(), resume: true }
                    }
                    _ => Remedy::Resume,
                };
                error.with(remedy)
            }
            Err(e) => e.retold(|text| error.and(&format!("and {text}"))),
        }
    }

    /// The error of a requested stop, or of a failure of burn-train.
    fn interrupted(&self, interrupter: &Interrupter, epoch: usize) -> Error {
        let kept = format!("everything is in {}", self.out.join(NEWEST).display());
        let error = match interrupter.error() {
            Some(e) => Error::Training(format!("burn-train failed in epoch {epoch}: {e}; {kept}")),
            None => Error::Interrupted(format!("stopped in epoch {epoch}; {kept}")),
        };
        error.with(Remedy::Resume)
    }
}

/// Says which checkpoint is left of a training that fails.
pub(super) fn kept(progress: &mut Progressing) -> String {
    progress.keeper.wait();
    progress.keeper.kept()
}
