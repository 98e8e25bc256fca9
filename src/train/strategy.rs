//! The training loop, as a burn-train strategy: burn-train brings metrics, dashboard and
//! interruption, the loop decides what happens when: margin and learning rate at every iteration, a
//! stop before a loss that is not a number reaches the weights, checkpoints by time, after every
//! epoch and before the run ends for any reason, tests on the dev trials.

mod saving;
mod slot;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use burn::data::dataloader::Progress;
use burn::data::dataset::DatasetError;
use burn::module::Module;
use burn::optim::module_optimizer::ModuleOptimizer;
use burn::tensor::TensorData;
use burn::train::{
    EventProcessorTraining, InferenceStep, Learner, LearnerEvent, SupervisedLearningStrategy,
    SupervisedTrainingEventProcessor, TrainLoader, TrainingComponents, TrainingItem, ValidLoader,
};
use serde_json::json;

use self::saving::kept;
use self::slot::Slot;
use super::checkpoint::{Average, Keeper, State};
use super::finite;
use super::parts::Parts;
use super::schedule::ExponentialDecrease;
use super::stopping::ended;
use super::{Recipe, Trainee};
use crate::error::{Error, Result};
use crate::fs;
use crate::model_file::Header;
use crate::nn::collect_named;
use crate::quant::Quantizer;

/// Names of the files of a run.
pub(super) const MODEL: &str = "model.safetensors";
pub(super) const METRICS: &str = "metrics.jsonl";

/// Everything that changes while training.
pub(super) struct Progressing {
    pub optimizer: ModuleOptimizer,
    pub average: Average,
    pub state: State,
    pub keeper: Keeper,
}

/// The loop.
pub(super) struct Loop {
    pub recipe: Recipe,
    pub out: PathBuf,
    pub header: Header,
    pub rate: ExponentialDecrease,
    pub steps: usize,
    pub stop: Arc<AtomicBool>,
    pub warn: Arc<dyn Fn(&str) + Send + Sync>,
    pub quantizer: Option<Quantizer>,
    pub parts: Parts,
    /// What the loop begins with, and what it leaves.
    pub progress: Mutex<Option<Progressing>>,
    pub outcome: Mutex<Result<()>>,
}

type Processor = SupervisedTrainingEventProcessor<Trainee>;

impl SupervisedLearningStrategy<Trainee> for Loop {
    fn fit(
        &self,
        mut components: TrainingComponents<Trainee>,
        learner: Learner<Trainee>,
        train: TrainLoader<Trainee>,
        valid: ValidLoader<Trainee>,
        _starting_epoch: usize,
    ) -> (Trainee, Processor) {
        let mut progress =
            self.progress.lock().expect("no holder panics").take().expect("a loop runs once");
        let mut slot = Slot::new(learner.model());
        // The learner's clone would keep the first weights in memory to the end.
        drop(learner);
        let result = self.epochs(&mut slot, &mut progress, &mut components, &train, &valid);
        // The thread that writes must not outlive the run, whatever its end.
        progress.keeper.wait();
        *self.progress.lock().expect("no holder panics") = Some(progress);
        *self.outcome.lock().expect("no holder panics") = result;
        (slot.into_model(), components.event_processor)
    }
}

impl Loop {
    fn epochs(
        &self,
        slot: &mut Slot,
        progress: &mut Progressing,
        components: &mut TrainingComponents<Trainee>,
        train: &TrainLoader<Trainee>,
        valid: &ValidLoader<Trainee>,
    ) -> Result<()> {
        if progress.keeper.has_none() {
            // A run that is cut off in its first epoch can go on, and a full disk shows at once.
            self.save(slot.get(), progress)?;
        }
        while ended(&self.recipe, &progress.state).is_none() {
            let epoch = progress.state.epoch;
            let begun = Instant::now();
            self.begin_stage(slot, progress)?;
            self.train_epoch(slot, progress, components, train)?;
            if let Err(e) = self.end_epoch(slot.get(), progress, components, valid, begun) {
                return Err(self.rescued(e, slot.get(), progress));
            }
            send(components.event_processor.process_train(LearnerEvent::EndEpoch(epoch)))?;
            let over = ended(&self.recipe, &progress.state).is_some();
            let stop = self.stop.load(Ordering::Relaxed) || components.interrupter.should_stop();
            if over {
                self.save(slot.get(), progress)?;
            } else if stop {
                return Err(self.stopped(&components.interrupter, epoch + 1, slot.get(), progress));
            } else if progress.keeper.is_free() {
                self.save_beside(slot.get(), progress)?;
            } else {
                progress.keeper.wants();
            }
        }
        Ok(())
    }

    /// The test after an epoch's batches, and its line in the log. Until all of it is done the
    /// state stays that of the last batch, with which a resumed run begins the test again.
    fn end_epoch(
        &self,
        model: &Trainee,
        progress: &mut Progressing,
        components: &mut TrainingComponents<Trainee>,
        valid: &ValidLoader<Trainee>,
        begun: Instant,
    ) -> Result<()> {
        let (epoch, epochs) = (progress.state.epoch, self.recipe.train.epochs);
        let mut best = progress.state.best;
        let tested = epoch.is_multiple_of(self.recipe.train.validate_every) || epoch == epochs;
        let rates = match tested {
            true => Some(self.test(model, &mut best, epoch, components, valid)?),
            false => None,
        };
        let line = json!({
            "epoch": epoch,
            "step": epoch * self.steps,
            "loss": progress.state.loss_sum / self.steps as f64,
            "accuracy": progress.state.accuracy_sum / self.steps as f64,
            "lr": self.rate_at(epoch * self.steps - 1),
            "margin": self.recipe.margin(self.steps).at(epoch * self.steps - 1),
            "eer": rates.map(|r| r.0),
            "skipped_steps": progress.state.skipped,
            "min_dcf": rates.map(|r| json!({"0.01": r.1[0], "0.05": r.1[1]})),
            "seconds": begun.elapsed().as_secs_f64(),
        });
        fs::append_line(self.out.join(METRICS), &line.to_string())?;
        self.accumulate(model, progress, epoch);
        let state = &mut progress.state;
        (state.epoch, state.batch, state.loss_sum, state.accuracy_sum) = (epoch + 1, 0, 0.0, 0.0);
        (state.skipped, state.best) = (0, best);
        Ok(())
    }

    /// Whether every layer that is to be quantized is, in an epoch.
    fn is_last_stage(&self, epoch: usize) -> bool {
        let epochs = self.recipe.train.epochs;
        self.quantizer.as_ref().is_none_or(|q| q.stage(epoch, epochs) + 1 == q.stages())
    }

    /// The learning rate of an iteration; where stages restart it, that of a training as long as
    /// the stage.
    fn rate_at(&self, iteration: usize) -> f64 {
        let Some(q) = self.quantizer.as_ref().filter(|q| q.config().restart_rate) else {
            return self.rate.at(iteration);
        };
        let (epoch, epochs) = (iteration / self.steps + 1, self.recipe.train.epochs);
        let stage = q.stage(epoch, epochs);
        let first = (1..=epoch).find(|&e| q.stage(e, epochs) == stage).expect("the epoch itself");
        let count = (first..=epochs).take_while(|&e| q.stage(e, epochs) == stage).count();
        let rate = ExponentialDecrease { iterations: count * self.steps, ..self.rate.clone() };
        rate.at(iteration - (first - 1) * self.steps)
    }

    /// Sets the quantizer to the epoch's stage; layers whose turn it is get codebooks of their
    /// weights as they are now.
    ///
    /// # Errors
    /// Names the tensor that cannot be quantized, and why; the model stays as it is.
    fn begin_stage(&self, slot: &mut Slot, progress: &mut Progressing) -> Result<()> {
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

    fn train_epoch(
        &self,
        slot: &mut Slot,
        progress: &mut Progressing,
        components: &mut TrainingComponents<Trainee>,
        train: &TrainLoader<Trainee>,
    ) -> Result<()> {
        let epoch_number = progress.state.epoch;
        let processor = &mut components.event_processor;
        send(processor.process_train(LearnerEvent::StartSplit {
            epoch_number,
            total_items: train.num_items(),
        }))?;
        let mut batches = train.iter();
        while let Some(batch) = batches.next() {
            let batch = match batch {
                Ok(batch) => batch,
                Err(e) => return Err(self.rescued(unwrapped(&e), slot.get(), progress)),
            };
            let (iteration, margin) = (batch.iteration, batch.margin);
            let rate = self.rate_at(iteration);
            let ids = batch.ids.clone();
            let (outcome, gradients) = self.parts.step(slot.get(), batch)?;
            if !outcome.loss.is_finite() {
                let kept = kept(progress);
                return Err(Error::Training(format!(
                    "the loss is {} at step {iteration} (epoch {epoch_number}), learning rate {rate:e}, margin {margin}; \
                     {kept}; the batch was: {}",
                    outcome.loss,
                    ids.join(" ")
                )));
            }
            let bad = finite::not_finite(slot.get(), &gradients);
            if bad == 0 {
                slot.change(|model| progress.optimizer.step(rate, model, gradients));
                if let Some(quantizer) = self.quantizer.as_ref().filter(|q| q.is_due(iteration)) {
                    let books = quantizer.refresh(&slot.get().network).map_err(|e| {
                        let kept = kept(progress);
                        Error::Training(format!(
                            "after step {iteration} (epoch {epoch_number}), learning rate {rate:e}: {e}; {kept}"
                        ))
                    })?;
                    slot.change(|model| Trainee { network: books.apply(model.network), ..model });
                }
                progress.state.skipped_in_a_row = 0;
            } else {
                finite::skip(&mut progress.state, iteration, bad, &*self.warn)?;
            }
            progress.state.batch += 1;
            progress.state.loss_sum += outcome.loss;
            progress.state.accuracy_sum += outcome.accuracy;
            let item = TrainingItem::new(
                outcome,
                batches.progress(),
                Some(iteration + 1),
                Some(rate.into()),
            );
            if let Err(e) = send(processor.process_train(LearnerEvent::ProcessedItem(item))) {
                return Err(self.rescued(e, slot.get(), progress));
            }
            if self.stop.load(Ordering::Relaxed) || components.interrupter.should_stop() {
                return Err(self.stopped(
                    &components.interrupter,
                    epoch_number,
                    slot.get(),
                    progress,
                ));
            }
            if progress.keeper.is_due(progress.state.step(self.steps)) {
                self.save_beside(slot.get(), progress)?;
            }
        }
        send(processor.process_train(LearnerEvent::EndSplit(epoch_number)))
    }

    /// Tests the model; a better one than `best` becomes the run's model file.
    fn test(
        &self,
        model: &Trainee,
        best: &mut Option<(f64, usize)>,
        epoch_number: usize,
        components: &mut TrainingComponents<Trainee>,
        valid: &ValidLoader<Trainee>,
    ) -> Result<(f64, [f64; 2])> {
        let processor = &mut components.event_processor;
        send(processor.process_valid(LearnerEvent::StartSplit { epoch_number, total_items: 1 }))?;
        let model = model.valid();
        let mut rates = (f64::NAN, [f64::NAN; 2]);
        for set in valid.iter() {
            let outcome =
                InferenceStep::step(&model, set.map_err(|e| Error::Training(e.to_string()))?);
            if let Some(Err(e)) = outcome.take() {
                return Err(e);
            }
            rates = outcome.rates();
            let item =
                TrainingItem::new(outcome, Progress::new(1, 1, None), Some(epoch_number), None);
            send(processor.process_valid(LearnerEvent::ProcessedItem(item)))?;
        }
        send(processor.process_valid(LearnerEvent::EndSplit(epoch_number)))?;
        // A network of which a part is not quantized yet is not what is asked for.
        if self.is_last_stage(epoch_number) && best.is_none_or(|(best, _)| rates.0 < best) {
            *best = Some((rates.0, epoch_number));
            if self.recipe.train.average_last == 1 {
                self.save_model(&model, epoch_number)?;
            }
        }
        Ok(rates)
    }

    /// Adds this epoch's weights to the running average, if it is one of the last.
    fn accumulate(&self, model: &Trainee, progress: &mut Progressing, epoch: usize) {
        let last = self.recipe.train.average_last;
        if last == 1 || epoch + last <= self.recipe.train.epochs {
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

/// A loader's error, with the file and the line that it names, out of Burn's wrapper.
fn unwrapped(error: &DatasetError) -> Error {
    match std::error::Error::source(error).and_then(|e| e.downcast_ref::<Error>()) {
        Some(Error::Line { path, line, message }) => Error::line(path, *line, message),
        Some(Error::File { path, message }) => Error::file(path, message),
        Some(Error::Io { path, action, source }) => {
            Error::file(path, format!("cannot {action}: {source}"))
        }
        _ => Error::Training(error.to_string()),
    }
}

/// Delivers an event to burn-train.
fn send<E: std::fmt::Display>(sent: std::result::Result<(), E>) -> Result<()> {
    sent.map_err(|e| Error::Training(format!("burn-train failed: {e}")))
}
