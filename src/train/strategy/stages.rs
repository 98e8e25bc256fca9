//! Training through a quantizer: stages and codebooks.

use super::saving::kept;
use super::slot::Slot;
use super::{Loop, Progressing};
use crate::error::{Error, Result};
use crate::train::Trainee;

impl Loop {
    /// Whether every layer that is to be quantized is quantized in an epoch.
    pub(super) fn is_last_stage(&self, epoch: usize) -> bool {
        let epochs = self.recipe.train.epochs;
        self.quantizer.as_ref().is_none_or(|q| q.stage(epoch, epochs) + 1 == q.stages())
    }

    /// Sets the quantizer to the epoch's stage. Layers whose turn it is get codebooks of their
    /// present weights.
    ///
    /// # Errors
    /// A tensor that cannot be quantized, with the reason. The model stays as it is.
    pub(super) fn begin_stage(&self, slot: &mut Slot, progress: &mut Progressing) -> Result<()> {
        let Some(quantizer) = &self.quantizer else { return Ok(()) };
        let stage = |epoch| quantizer.stage(epoch, self.recipe.train.epochs);
        let (epoch, batch) = (progress.state.epoch, progress.state.batch);
        let now = stage(epoch);
        if epoch > 1 && batch == 0 && now != stage(epoch - 1) {
            let books = quantizer.begin(&slot.get().network, now).map_err(|e| {
                let (stage, stages) = (now + 1, quantizer.stages());
                let kept = kept(progress);
                Error::Training(format!(
                    "stage {stage} of {stages} cannot begin (epoch {epoch}): {e}; {kept}"
                ))
            })?;
            slot.change(|model| Trainee { network: books.apply(model.network), ..model });
        }
        quantizer.set_stage(now);
        Ok(())
    }

    /// Renews the codebooks after a step, if the quantizer is due.
    ///
    /// # Errors
    /// A tensor that cannot be quantized, with the reason.
    pub(super) fn refresh_books(
        &self,
        slot: &mut Slot,
        progress: &mut Progressing,
        iteration: usize,
        rate: f64,
    ) -> Result<()> {
        let Some(quantizer) = self.quantizer.as_ref().filter(|q| q.is_due(iteration)) else {
            return Ok(());
        };
        let books = quantizer.refresh(&slot.get().network).map_err(|e| {
            let (epoch, kept) = (progress.state.epoch, kept(progress));
            Error::Training(format!(
                "after step {iteration} (epoch {epoch}), learning rate {rate:e}: {e}; {kept}"
            ))
        })?;
        slot.change(|model| Trainee { network: books.apply(model.network), ..model });
        Ok(())
    }
}
