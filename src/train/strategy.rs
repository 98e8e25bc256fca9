//! The training loop, as a strategy of burn-train.
//!
//! burn-train brings metrics, dashboard and interruption. The loop decides the rest: margin and
//! learning rate of every iteration; a stop before a loss that is not finite reaches the weights;
//! tests on the dev trials; checkpoints by time, after every epoch, and before the run ends for any
//! reason.
//!
//! On GPUs the host never waits for a step before the next one is queued (see `late`). It learns
//! one step late what a step has found out; the device itself leaves out a step whose values are
//! not finite. Before anything is saved or tested, every outcome is in. Several ranks settle each
//! step before the next one. So does a training that releases gradients, because the loss must be
//! known to be finite before the first weight changes.

mod epoch_end;
mod saving;
mod sharded;
mod slot;
mod stages;
mod steps;
#[cfg(test)]
mod tests;
mod together;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use burn::data::dataset::DatasetError;
use burn::tensor::Device;
use burn::train::{
    EventProcessorTraining, Learner, LearnerEvent, SupervisedLearningStrategy,
    SupervisedTrainingEventProcessor, TrainLoader, TrainingComponents, ValidLoader,
};

pub(super) use self::epoch_end::summed_before;
use self::slot::Slot;
use self::steps::Issued;
use super::ahead::Ahead;
use super::checkpoint::{Average, Keeper, State};
use super::late::Late;
use super::parts::Parts;
use super::ranks::{Shards, meet};
use super::schedule::Schedules;
use super::stopping::ended;
use super::{Recipe, TrainSet, Trainee};
use crate::backend::collective::{Communicator, agree};
use crate::error::{Error, Result};
use crate::model_file::Header;
use crate::optim::Stepper;
use crate::quant::Quantizer;

/// The run's model.
pub(super) const MODEL: &str = "model.safetensors";
/// The run's log, a line an epoch.
pub(super) const METRICS: &str = "metrics.jsonl";

/// Everything that changes while training, except the model.
pub(super) struct Progressing {
    pub optimizer: Stepper,
    pub average: Average,
    pub state: State,
    pub keeper: Keeper,
    /// Outcomes that are not in `state` yet.
    pub late: Late<Issued>,
    /// Whether memory was tidied up after the run's first step.
    pub tidied: bool,
}

impl Progressing {
    /// The progress of a loop that has not begun.
    pub fn new(optimizer: Stepper, average: Average, state: State, keeper: Keeper) -> Self {
        Self { optimizer, average, state, keeper, late: Late::new(), tidied: false }
    }
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
    /// Every device that batches are divided among.
    pub devices: Vec<Device>,
    /// Whether outcomes are read one step late, as GPUs want it. The CPU backends' are read at
    /// once. The results are the same.
    pub late: bool,
    /// Iterations whose gradients are spoiled.
    #[cfg(test)]
    pub spoiled: Vec<usize>,
    /// The processes that train the same model together.
    pub ranks: Arc<dyn Communicator>,
    /// Their division of the optimizer's states, if there is one. Then the loop's optimizer has
    /// those of this rank.
    pub shards: Option<Shards>,
    pub set: Arc<TrainSet>,
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
            agree(&*self.ranks, self.save(slot.get(), progress))?;
        }
        while ended(&self.recipe, &progress.state).is_none() {
            let epoch = progress.state.epoch;
            let begun = Instant::now();
            self.begin_stage(slot, progress)?;
            self.train_epoch(slot, progress, components, train)?;
            if let Err(e) = self.end_epoch(slot.get(), progress, components, valid, begun) {
                return Err(self.rescued(e, slot.get(), progress));
            }
            let told = components.event_processor.process_train(LearnerEvent::EndEpoch(epoch));
            let should_stop = self.should_stop(components);
            let should_stop = meet(&*self.ranks, send(told), should_stop)?;
            if ended(&self.recipe, &progress.state).is_some() {
                agree(&*self.ranks, self.save(slot.get(), progress))?;
            } else if should_stop {
                return Err(self.stopped(&components.interrupter, epoch + 1, slot.get(), progress));
            } else if self.decided(progress.keeper.is_free())? {
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
        agree(&*self.ranks, send(components.event_processor.process_train(split)))?;
        // Parts of a batch go to their devices in their turns.
        let device = (self.late && self.parts.count() == 1).then(|| slot.get().device().autodiff());
        let mut batches = Ahead::new(train.iter(), device);
        while let Some(turn) = batches.next() {
            let turn = match self.fetched(turn) {
                Ok(turn) => turn,
                Err(e) => {
                    self.settle(slot, progress, components)?;
                    return Err(self.rescued(e, slot.get(), progress));
                }
            };
            let done = match (self.recipe.train.release_gradients, self.late) {
                (true, _) => self.step_released(slot, progress, components, turn),
                (false, true) => self.step_late(slot, progress, components, turn, &mut batches),
                (false, false) => self.step_at_once(slot, progress, components, turn)?,
            };
            let should_stop = self.should_stop(components);
            if meet(&*self.ranks, done, should_stop)? {
                self.settle(slot, progress, components)?;
                let model = slot.get();
                return Err(self.stopped(&components.interrupter, epoch_number, model, progress));
            }
            let step = progress.state.step(self.steps) + progress.late.under_way();
            if self.decided(progress.keeper.is_due(step))? {
                self.settle(slot, progress, components)?;
                self.save_beside(slot.get(), progress)?;
            }
        }
        self.settle(slot, progress, components)?;
        let told = components.event_processor.process_train(LearnerEvent::EndSplit(epoch_number));
        agree(&*self.ranks, send(told))
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
