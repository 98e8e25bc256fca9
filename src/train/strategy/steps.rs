//! The steps of an epoch: at once on CPUs, one step late on GPUs, and on both in the backward pass
//! where gradients are released.

use burn::data::dataloader::Progress;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use burn::train::{EventProcessorTraining, LearnerEvent, TrainingItem};

use super::saving::kept;
use super::slot::Slot;
use super::{Components, Loop, Progressing, send};
use crate::backend::collective::Buckets;
use crate::error::{Error, Result};
use crate::optim::{Gate, Left};
use crate::train::ahead::{Ahead, Staged, Turn};
use crate::train::checkpoint::State;
use crate::train::step::{Pending, Shares, StepOutcome};
use crate::train::{LossScale, Trainee, finite};

/// What the host knows of a step before its outcome.
pub(in crate::train) struct Facts {
    iteration: usize,
    margin: f64,
    rate: f64,
    /// What the loss was multiplied by.
    scale: f32,
    pub(super) ids: Vec<String>,
    progress: Progress,
}

/// A pass whose outcome is still on the device, and the gradients that are on their way to other
/// ranks.
pub(super) type Passed = (Facts, Pending, GradientsParams, Buckets);

/// A step whose outcome is under way.
pub(in crate::train) struct Issued {
    facts: Facts,
    shares: Shares,
}

/// A step with its outcome. It was made if `bad`, the number of its gradients' values that are not
/// finite, is 0.
struct Done {
    facts: Facts,
    outcome: StepOutcome,
    bad: u64,
    /// Parameters that it left as they were. None if it was made or left out as a whole.
    left: Option<usize>,
}

impl From<(Vec<f32>, Issued)> for Done {
    fn from((values, Issued { facts, shares }): (Vec<f32>, Issued)) -> Self {
        let (outcome, bad) = shares.read(&values);
        Self { facts, outcome, bad, left: None }
    }
}

impl Loop {
    /// A step whose outcome is known before the optimizer changes anything. The inner result is of
    /// what this rank did after that by itself.
    ///
    /// # Errors
    /// What ends the training on all ranks.
    pub(super) fn step_at_once(
        &self,
        slot: &mut Slot,
        progress: &mut Progressing,
        components: &mut Components,
        turn: Turn,
    ) -> Result<Result<()>> {
        let passed = self.pass(slot.get(), progress, turn);
        let (facts, outcome, gradients) = self.joined(slot, passed)?;
        check_loss(progress, &facts, &outcome)?;
        let bad = finite::not_finite(slot.get(), &gradients);
        if bad == 0 {
            let gate = Gate::Open(1.0 / facts.scale);
            self.update(slot, progress, facts.rate, gradients, gate)?;
        }
        self.tidy(progress);
        Ok(self.receive(slot, progress, components, Done { facts, outcome, bad, left: None }))
    }

    /// A step whose parameters are changed one by one during the backward pass. The loss is read
    /// before that.
    pub(super) fn step_released(
        &self,
        slot: &mut Slot,
        progress: &mut Progressing,
        components: &mut Components,
        turn: Turn,
    ) -> Result<()> {
        let Turn { batch, iteration, margin, ids, progress: so_far } = turn;
        let batch = match batch {
            Staged::Host(batch) => batch.upload(&slot.get().device().autodiff()),
            Staged::Device(batch) => *batch,
        };
        let rate = self.schedules.at(iteration).rate;
        let facts = Facts { iteration, margin, rate, scale: 1.0, ids, progress: so_far };
        let (pending, halfway) = slot.get().halfway(batch);
        let outcome = pending.read();
        check_loss(progress, &facts, &outcome)?;
        let mut checks = None;
        slot.change(|model| {
            let (model, found) = halfway.step(model, &mut progress.optimizer, rate);
            checks = Some(found);
            model
        });
        let left = checks.map(|checks| checks.read(&mut progress.optimizer)).unwrap_or_default();
        self.tidy(progress);
        let done = Done { facts, outcome, bad: left.values, left: Some(left.parameters) };
        self.receive(slot, progress, components, done)
    }

    /// Queues a step. The device decides whether it changes anything. Then the next batch is
    /// fetched, and only then the host waits: for the outcome of the step before.
    pub(super) fn step_late(
        &self,
        slot: &mut Slot,
        progress: &mut Progressing,
        components: &mut Components,
        turn: Turn,
        batches: &mut Ahead,
    ) -> Result<()> {
        // There are no other ranks.
        let (facts, pending, gradients, _) = self.pass(slot.get(), progress, turn)?;
        let (gate, bad) = finite::gate(slot.get(), &gradients, &pending.loss, 1.0 / facts.scale);
        let gate = Gate::Device(gate);
        slot.change(|model| progress.optimizer.step(facts.rate, model, gradients, gate));
        let (values, shares) = pending.with(bad);
        // Codebooks follow the weights of their own step, which the host reads for them.
        let renews = self.quantizer.as_ref().is_some_and(|q| q.is_due(facts.iteration));
        progress.late.push(values, Issued { facts, shares });
        if !progress.tidied {
            self.settle(slot, progress, components)?;
            self.tidy(progress);
        }
        if renews {
            self.settle(slot, progress, components)?;
        }
        batches.fetch();
        while let Some(arrived) = progress.late.ripe()? {
            self.arrive(slot, progress, components, arrived.into())?;
        }
        Ok(())
    }

    /// Tidies memory up after the run's first step, which tries kernels out: what their trials
    /// needed, no later step needs.
    fn tidy(&self, progress: &mut Progressing) {
        if !progress.tidied {
            self.devices.iter().for_each(Device::memory_cleanup);
            progress.tidied = true;
        }
    }

    /// Waits for every outcome, so that the state is that of the weights.
    pub(super) fn settle(
        &self,
        slot: &mut Slot,
        progress: &mut Progressing,
        components: &mut Components,
    ) -> Result<()> {
        while let Some(arrived) = progress.late.oldest()? {
            self.arrive(slot, progress, components, arrived.into())?;
        }
        Ok(())
    }

    /// Forward and backward pass. Nothing waits for the device.
    fn pass(&self, model: &Trainee, progress: &Progressing, turn: Turn) -> Result<Passed> {
        let Turn { batch, iteration, margin, ids, progress: so_far } = turn;
        let rate = self.schedules.at(iteration).rate;
        let scale = progress.state.loss_scale.as_ref().map_or(1.0, LossScale::factor);
        let (pending, gradients, buckets) = match batch {
            Staged::Host(batch) => self.own_part(model, batch, scale)?,
            Staged::Device(batch) => {
                let (pending, gradients) = model.weigh(*batch, 1.0, scale);
                (pending, gradients, Buckets::default())
            }
        };
        #[cfg(test)]
        let gradients = match self.spoiled.contains(&iteration) {
            true => super::tests::spoiled(model, gradients),
            false => gradients,
        };
        let facts = Facts { iteration, margin, rate, scale, ids, progress: so_far };
        Ok((facts, pending, gradients, buckets))
    }

    /// Takes in an outcome that comes late.
    fn arrive(
        &self,
        slot: &mut Slot,
        progress: &mut Progressing,
        components: &mut Components,
        done: Done,
    ) -> Result<()> {
        check_loss(progress, &done.facts, &done.outcome)?;
        if done.bad > 0 {
            progress.optimizer.take_back();
        }
        self.receive(slot, progress, components, done)
    }

    /// Counts a step, and delivers it to burn-train.
    fn receive(
        &self,
        slot: &mut Slot,
        progress: &mut Progressing,
        components: &mut Components,
        done: Done,
    ) -> Result<()> {
        self.count(slot, progress, &done)?;
        let Facts { iteration, rate, progress: so_far, .. } = done.facts;
        let item = TrainingItem::new(done.outcome, so_far, Some(iteration + 1), Some(rate.into()));
        let event = LearnerEvent::ProcessedItem(item);
        let Err(e) = send(components.event_processor.process_train(event)) else { return Ok(()) };
        // The others have not failed yet, and a checkpoint needs their states.
        if self.shards.is_some() {
            return Err(e.and(&kept(progress)));
        }
        // What is saved is whole: steps that are queued are counted, though nobody hears of them.
        while let Some(arrived) = progress.late.oldest()? {
            let done = Done::from(arrived);
            check_loss(progress, &done.facts, &done.outcome)?;
            self.count(slot, progress, &done)?;
        }
        Err(self.rescued(e, slot.get(), progress))
    }

    /// Counts a step that was made, or left out, as a whole or in parts, because its gradients are
    /// not finite.
    fn count(&self, slot: &mut Slot, progress: &mut Progressing, done: &Done) -> Result<()> {
        let Done { facts, outcome, bad, left } = done;
        let too_large = rescale(&mut progress.state, facts.scale, *bad == 0);
        if *bad == 0 || left.is_some() {
            self.refresh_books(slot, progress, facts.iteration, facts.rate)?;
        }
        let (state, warn) = (&mut progress.state, &*self.warn);
        match (*bad, *left) {
            (0, _) => state.skipped_in_a_row = 0,
            (values, Some(parameters)) => {
                finite::leave(state, facts.iteration, Left { parameters, values }, warn)?;
            }
            (_, None) if too_large => state.skipped += 1,
            (values, None) => finite::skip(state, facts.iteration, values, warn)?,
        }
        progress.state.batch += 1;
        progress.state.loss_sum += outcome.loss;
        progress.state.accuracy_sum += outcome.accuracy;
        Ok(())
    }
}

/// Tells the loss scale, if there is one, of a step that it was used in. Says whether the scale was
/// too large for that step: such steps belong to the search for the right one.
fn rescale(state: &mut State, used: f32, finite: bool) -> bool {
    let Some(scale) = &mut state.loss_scale else { return false };
    // A step that was queued before the scale fell says nothing about the present one.
    if finite || used == scale.factor() {
        scale.after(finite);
    }
    !finite && scale.factor() < used
}

/// Ends the training at a loss that is not finite.
fn check_loss(progress: &mut Progressing, facts: &Facts, outcome: &StepOutcome) -> Result<()> {
    if outcome.loss.is_finite() {
        return Ok(());
    }
    let kept = kept(progress);
    let Facts { iteration, margin, rate, ids, .. } = facts;
    Err(Error::Training(format!(
        "the loss is {} at step {iteration} (epoch {}), \
         learning rate {rate:e}, margin {margin}; {kept}; the batch was: {}",
        outcome.loss,
        progress.state.epoch,
        ids.join(" ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Identity;

    /// Two steps were queued with a scale that is too large for both. It falls once.
    #[test]
    fn a_scale_falls_once_for_each_time_it_was_too_large() {
        let mut state = State::start(Identity::default());
        assert!(!rescale(&mut state, 1.0, false), "without a scale there is nothing to search");
        state.loss_scale = Some(LossScale::new());
        let factor = |state: &State| state.loss_scale.as_ref().unwrap().factor();
        let first = factor(&state);
        assert!(rescale(&mut state, first, false) && rescale(&mut state, first, false));
        assert_eq!(factor(&state), first / 2.0);
        let second = factor(&state);
        assert!(!rescale(&mut state, second, true));
        assert!(rescale(&mut state, second, false));
        assert_eq!(factor(&state), first / 4.0);
        // At the least scale the gradients themselves are at fault.
        let least = |state: &State| state.loss_scale.as_ref().unwrap().is_least();
        while !least(&state) {
            let used = factor(&state);
            assert!(rescale(&mut state, used, false));
        }
        assert!(!rescale(&mut state, 1.0, false));
    }
}
