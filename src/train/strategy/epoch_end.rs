//! The end of an epoch: the test on the dev trials, the line in the log, the running average.

use std::time::Instant;

use burn::data::dataloader::Progress;
use burn::module::Module;
use burn::tensor::TensorData;
use burn::train::{EventProcessorTraining, InferenceStep, LearnerEvent, TrainingItem, ValidLoader};
use serde_json::json;

use super::{Components, Loop, METRICS, Progressing, send};
use crate::backend::collective::agree;
use crate::error::{Error, Result};
use crate::fs;
use crate::nn::collect_named;
use crate::train::Trainee;
use crate::train::ranks::{by_first, is_first, of_first};
use crate::train::recipe::TrainConfig;

/// How many of the epochs before this one belong to the mean of a run's last epochs.
pub(in crate::train) fn summed_before(train: &TrainConfig, epoch: usize) -> usize {
    match train.average_last {
        1 => 0,
        last => (epoch + last).saturating_sub(train.epochs + 1),
    }
}

/// EER, minDCFs, and trials that were left out.
type Rates = (f64, [f64; 2], usize);

impl Loop {
    /// The test after an epoch's batches, and its line in the log: rank 0's work, whose rates all
    /// ranks learn. Until all of it is done, the state stays that of the last batch, so that a
    /// resumed run begins the test again.
    pub(super) fn end_epoch(
        &self,
        model: &Trainee,
        progress: &mut Progressing,
        components: &mut Components,
        valid: &ValidLoader<Trainee>,
        begun: Instant,
    ) -> Result<()> {
        let (epoch, epochs) = (progress.state.epoch, self.recipe.train.epochs);
        let ranks = &*self.ranks;
        let mut best = progress.state.best;
        let tested = epoch.is_multiple_of(self.recipe.train.validate_every) || epoch == epochs;
        let rates = match tested {
            true => Some(self.tested(model, &mut best, epoch, components, valid)?),
            false => None,
        };
        if progress.state.skipped >= self.steps {
            let what = match self.recipe.train.release_gradients {
                true => "left parameters as they were in every step: their gradients were",
                false => "changed nothing: in each of its steps the gradients were",
            };
            (self.warn)(&format!("epoch {epoch} {what} not finite"));
        }
        let last = self.schedules.at(epoch * self.steps - 1);
        let mut line = json!({
            "epoch": epoch,
            "step": epoch * self.steps,
            "loss": progress.state.loss_sum / self.steps as f64,
            "accuracy": progress.state.accuracy_sum / self.steps as f64,
            "lr": last.rate,
            "margin": last.margin,
            "eer": rates.map(|r| r.0),
            "skipped_steps": progress.state.skipped,
            "min_dcf": rates.map(|r| json!({"0.01": r.1[0], "0.05": r.1[1]})),
            "trials_left_out": rates.map(|r| r.2),
            "seconds": begun.elapsed().as_secs_f64(),
        });
        if let Some(scale) = &progress.state.loss_scale {
            line["loss_scale"] = json!(scale.factor());
        }
        let logged = match is_first(ranks) {
            true => fs::append_line(self.out.join(METRICS), &line.to_string()),
            false => Ok(()),
        };
        agree(ranks, logged)?;
        self.accumulate(model, progress, epoch);
        let state = &mut progress.state;
        (state.epoch, state.batch, state.loss_sum, state.accuracy_sum) = (epoch + 1, 0, 0.0, 0.0);
        (state.skipped, state.best) = (0, best);
        Ok(())
    }

    /// [`Loop::test`] by rank 0, for all.
    fn tested(
        &self,
        model: &Trainee,
        best: &mut Option<(f64, usize)>,
        epoch: usize,
        components: &mut Components,
        valid: &ValidLoader<Trainee>,
    ) -> Result<Rates> {
        let (ranks, before) = (&*self.ranks, *best);
        let found = by_first(ranks, || self.test(model, before, epoch, components, valid))?;
        let (eer, [a, b], left_out) = found.unwrap_or_default();
        let [eer, a, b, left_out] = of_first(ranks, [eer, a, b, left_out as f64])?;
        if self.is_better(eer, before, epoch) {
            *best = Some((eer, epoch));
        }
        Ok((eer, [a, b], left_out as usize))
    }

    /// Whether an epoch's model becomes the best one. Before the last stage a part of the network
    /// is not quantized yet.
    fn is_better(&self, eer: f64, best: Option<(f64, usize)>, epoch: usize) -> bool {
        self.is_last_stage(epoch) && best.is_none_or(|(best, _)| eer < best)
    }

    /// Tests the model. A better one than `best` becomes the run's model file.
    fn test(
        &self,
        model: &Trainee,
        best: Option<(f64, usize)>,
        epoch_number: usize,
        components: &mut Components,
        valid: &ValidLoader<Trainee>,
    ) -> Result<Rates> {
        let processor = &mut components.event_processor;
        send(processor.process_valid(LearnerEvent::StartSplit { epoch_number, total_items: 1 }))?;
        let model = model.valid();
        let mut rates = (f64::NAN, [f64::NAN; 2], 0);
        for set in valid.iter() {
            let outcome =
                InferenceStep::step(&model, set.map_err(|e| Error::Training(e.to_string()))?);
            if let Some(Err(e)) = outcome.take() {
                return Err(e);
            }
            let (eer, min_dcf) = outcome.rates();
            rates = (eer, min_dcf, outcome.left_out());
            let item =
                TrainingItem::new(outcome, Progress::new(1, 1, None), Some(epoch_number), None);
            send(processor.process_valid(LearnerEvent::ProcessedItem(item)))?;
        }
        send(processor.process_valid(LearnerEvent::EndSplit(epoch_number)))?;
        if self.recipe.train.average_last == 1 && self.is_better(rates.0, best, epoch_number) {
            self.save_model(&model, epoch_number)?;
        }
        Ok(rates)
    }

    /// Adds this epoch's weights to the running average, if it is one of the last epochs.
    fn accumulate(&self, model: &Trainee, progress: &mut Progressing, epoch: usize) {
        if summed_before(&self.recipe.train, epoch + 1) == 0 {
            return;
        }
        progress.state.averaged += 1;
        for (name, data) in collect_named(&model.valid()) {
            let shape = data.shape().to_vec();
            let values = data.convert::<f32>().try_to_vec::<f32>().expect("just converted to f32");
            let sum = match progress.average.remove(&name) {
                None => values,
                Some(old) => {
                    let old = old.try_to_vec::<f32>().expect("sums are f32");
                    old.iter().zip(&values).map(|(a, b)| a + b).collect()
                }
            };
            progress.average.insert(name, TensorData::new(sum, shape));
        }
    }
}
