//! The training loop, as a strategy of burn-train.
//!
//! burn-train brings metrics, dashboard and interruption. The loop decides the rest: margin and
//! learning rate of every iteration; a stop before a loss that is not finite reaches the weights;
//! tests on the dev trials; checkpoints by time, after every epoch, and before the run ends for any
//! reason.

mod epoch_end;
mod saving;
mod slot;
mod stages;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use burn::data::dataset::DatasetError;
use burn::optim::GradientsParams;
use burn::optim::module_optimizer::ModuleOptimizer;
use burn::train::{
    EventProcessorTraining, Learner, LearnerEvent, SupervisedLearningStrategy,
    SupervisedTrainingEventProcessor, TrainLoader, TrainingComponents, TrainingItem, ValidLoader,
};

use self::saving::kept;
use self::slot::Slot;
use super::checkpoint::{Average, Keeper, State};
use super::finite;
use super::parts::Parts;
use super::schedule::Schedules;
use super::stopping::ended;
use super::{Recipe, Trainee};
use crate::error::{Error, Result};
use crate::model_file::Header;
use crate::quant::Quantizer;

/// The run's model.
pub(super) const MODEL: &str = "model.safetensors";
/// The run's log, a line an epoch.
pub(super) const METRICS: &str = "metrics.jsonl";

/// Everything that changes while training, except the model.
pub(super) struct Progressing {
    pub optimizer: ModuleOptimizer,
    pub average: Average,
    pub state: State,
    pub keeper: Keeper,
}

/// The training loop of a run.
pub(super) struct Loop {
    pub recipe: Recipe,
    pub out: PathBuf,
    /// The header of the run's model file.
    pub header: Header,
    pub schedules: Arc<Schedules>,
    /// Steps of an epoch.
    pub steps: usize,
    pub stop: Arc<AtomicBool>,
    pub warn: Arc<dyn Fn(&str) + Send + Sync>,
    pub quantizer: Option<Quantizer>,
    pub parts: Parts,
    /// State before and after the loop.
    pub progress: Mutex<Option<Progressing>>,
    pub outcome: Mutex<Result<()>>,
}

type Processor = SupervisedTrainingEventProcessor<Trainee>;
type Components = TrainingComponents<Trainee>;

impl SupervisedLearningStrategy<Trainee> for Loop {
    fn fit(
        &self,
        mut components: Components,
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
        // The thread that writes checkpoints must not outlive the run.
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
        components: &mut Components,
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
            if ended(&self.recipe, &progress.state).is_some() {
                self.save(slot.get(), progress)?;
            } else if self.should_stop(components) {
                return Err(self.stopped(&components.interrupter, epoch + 1, slot.get(), progress));
            } else if progress.keeper.is_free() {
                self.save_beside(slot.get(), progress)?;
            } else {
                progress.keeper.wants();
            }
        }
        Ok(())
    }

    fn should_stop(&self, components: &Components) -> bool {
        self.stop.load(Ordering::Relaxed) || components.interrupter.should_stop()
    }

    fn train_epoch(
        &self,
        slot: &mut Slot,
        progress: &mut Progressing,
        components: &mut Components,
        train: &TrainLoader<Trainee>,
    ) -> Result<()> {
        let epoch_number = progress.state.epoch;
        let split = LearnerEvent::StartSplit { epoch_number, total_items: train.num_items() };
        send(components.event_processor.process_train(split))?;
        let mut batches = train.iter();
        while let Some(batch) = batches.next() {
            let batch = match batch {
                Ok(batch) => batch,
                Err(e) => return Err(self.rescued(unwrapped(&e), slot.get(), progress)),
            };
            let (iteration, margin) = (batch.iteration, batch.margin);
            let rate = self.schedules.at(iteration).rate;
            let ids = batch.ids.clone();
            let (outcome, gradients) = self.parts.step(slot.get(), batch)?;
            if !outcome.loss.is_finite() {
                let kept = kept(progress);
                return Err(Error::Training(format!(
                    "the loss is {} at step {iteration} (epoch {epoch_number}), \
                     learning rate {rate:e}, margin {margin}; {kept}; the batch was: {}",
                    outcome.loss,
                    ids.join(" ")
                )));
            }
            self.advance(slot, progress, iteration, rate, gradients)?;
            progress.state.batch += 1;
            progress.state.loss_sum += outcome.loss;
            progress.state.accuracy_sum += outcome.accuracy;
            let item = TrainingItem::new(
                outcome,
                batches.progress(),
                Some(iteration + 1),
                Some(rate.into()),
            );
            let event = LearnerEvent::ProcessedItem(item);
            if let Err(e) = send(components.event_processor.process_train(event)) {
                return Err(self.rescued(e, slot.get(), progress));
            }
            if self.should_stop(components) {
                let model = slot.get();
                return Err(self.stopped(&components.interrupter, epoch_number, model, progress));
            }
            if progress.keeper.is_due(progress.state.step(self.steps)) {
                self.save_beside(slot.get(), progress)?;
            }
        }
        send(components.event_processor.process_train(LearnerEvent::EndSplit(epoch_number)))
    }

    /// Makes the optimizer's step, or leaves it out if gradients are not finite.
    fn advance(
        &self,
        slot: &mut Slot,
        progress: &mut Progressing,
        iteration: usize,
        rate: f64,
        gradients: GradientsParams,
    ) -> Result<()> {
        let bad = finite::not_finite(slot.get(), &gradients);
        if bad > 0 {
            return finite::skip(&mut progress.state, iteration, bad, &*self.warn);
        }
        slot.change(|model| progress.optimizer.step(rate, model, gradients));
        self.refresh_books(slot, progress, iteration, rate)?;
        progress.state.skipped_in_a_row = 0;
        Ok(())
    }
}

/// A loader's error out of Burn's wrapper.
fn unwrapped(error: &DatasetError) -> Error {
    match std::error::Error::source(error).and_then(|e| e.downcast_ref::<Error>()) {
        Some(error) => copied(error),
        None => Error::Training(error.to_string()),
    }
}

/// A copy of a loader's error, with the place that it names.
fn copied(error: &Error) -> Error {
    match error {
        Error::Line { path, line, message } => Error::line(path, *line, message),
        Error::File { path, message } => Error::file(path, message),
        Error::Io { path, action, source } => {
            Error::file(path, format!("cannot {action}: {source}"))
        }
        Error::Remedied { error, remedy } => copied(error).with(remedy.clone()),
        Error::Shape { .. }
        | Error::Undefined(_)
        | Error::Invalid(_)
        | Error::Backend(_)
        | Error::OutOfMemory { .. }
        | Error::DeviceLost { .. }
        | Error::Training(_)
        | Error::Interrupted(_) => Error::Training(error.to_string()),
    }
}

/// Delivers an event to burn-train.
fn send<E: std::fmt::Display>(sent: std::result::Result<(), E>) -> Result<()> {
    sent.map_err(|e| Error::Training(format!("burn-train failed: {e}")))
}
