//! Where the ranks of a training meet: three times a step, and at the ends of epochs.
//!
//! | when | what they tell each other |
//! |---|---|
//! | a batch is fetched | whether it is there; which audio could not be read |
//! | before the optimizer | failures, loss, accuracy, running statistics; then gradients |
//! | after it | failures, and whether to stop |
//!
//! A step needs all three on all ranks, or is made on none. Running statistics become their mean
//! over ranks in every step, so that they do not depend on when checkpoints are written.
//!
//! Sums of reversible bodies' gradients begin earlier, in the backward pass, and are waited for
//! with the others. A pass that has begun some and fails does not come to the meeting: it panics,
//! and the rank tells the others when it ends.

use burn::data::dataset::DatasetError;
use burn::optim::GradientsParams;

use super::slot::Slot;
use super::steps::{Facts, Passed};
use super::{Loop, unwrapped};
use crate::backend::collective::{Buckets, agree};
use crate::backend::norm::synchronised;
use crate::error::Result;
use crate::train::ahead::Turn;
use crate::train::ranks::is_alone;
use crate::train::step::{Pending, StepOutcome};
use crate::train::{Batch, Trainee};

impl Loop {
    /// The pass over this rank's part of a batch: its outcome, the gradients that are still here,
    /// and those on their way to the other ranks. BatchNorm takes the moments of all ranks if the
    /// recipe wants it.
    ///
    /// # Errors
    /// A device that fails.
    pub(super) fn own_part(
        &self,
        model: &Trainee,
        batch: Batch,
        scale: f32,
    ) -> Result<(Pending, GradientsParams, Buckets)> {
        let (parts, ranks, buckets) = (&self.parts, &self.ranks, Buckets::default());
        if is_alone(&**ranks) {
            let (pending, gradients) = parts.step(model, batch, scale)?;
            return Ok((pending, gradients, buckets));
        }
        let pass = || parts.step_sending(model, batch, scale, ranks, buckets);
        match self.recipe.train.sync_batch_norm {
            true => synchronised(ranks, pass),
            false => pass(),
        }
    }

    /// A batch that is there on all ranks.
    ///
    /// # Errors
    /// The failure of any rank to load its part. Audio that cannot be read, if it is too much on
    /// all ranks together.
    pub(super) fn fetched(&self, turn: Result<Turn, DatasetError>) -> Result<Turn> {
        let (ranks, turn) = (&*self.ranks, turn.map_err(|e| unwrapped(&e)));
        if is_alone(ranks) {
            return turn;
        }
        let failed = f64::from(u8::from(turn.is_err()));
        let sums = ranks.sum_f64(&[failed, self.set.count_news() as f64])?;
        let turn = if sums[0] > 0.0 { agree(ranks, turn) } else { turn };
        let turn = turn?;
        if sums[1] > 0.0 {
            agree(ranks, self.set.share_news(ranks))?;
        }
        Ok(turn)
    }

    /// What a pass found out: outcome and gradients of the whole batch. It waits for the device.
    ///
    /// # Errors
    /// The failure of any rank's pass.
    pub(super) fn joined(
        &self,
        slot: &mut Slot,
        passed: Result<Passed>,
    ) -> Result<(Facts, StepOutcome, GradientsParams)> {
        let ranks = &*self.ranks;
        let read = passed.map(|(facts, pending, gradients, buckets)| {
            (facts, pending.read(), gradients, buckets)
        });
        if is_alone(ranks) {
            return read.map(|(facts, outcome, gradients, _)| (facts, outcome, gradients));
        }
        let mut ours = match &read {
            Ok((_, outcome, _, _)) => vec![0.0, outcome.loss, outcome.accuracy],
            Err(_) => vec![1.0, 0.0, 0.0],
        };
        let told = ours.len();
        ours.extend(slot.get().statistics());
        let sums = ranks.sum_f64(&ours)?;
        let read = if sums[0] > 0.0 { agree(ranks, read) } else { read };
        let (mut facts, outcome, gradients, buckets) = read?;
        // Equal values stay what they are: their sum in f64 is exact.
        let mean: Vec<f64> = sums[told..].iter().map(|sum| sum / ranks.size() as f64).collect();
        slot.change(|model| model.with_statistics(&mean));
        let outcome = StepOutcome { loss: sums[1], accuracy: sums[2], ..outcome };
        if !outcome.loss.is_finite() {
            let all = ranks.gather(facts.ids.join(" ").into_bytes())?;
            facts.ids = all.iter().map(|ids| String::from_utf8_lossy(ids).into_owned()).collect();
        }
        let gradients = buckets.finish(ranks, gradients, slot.get())?;
        Ok((facts, outcome, gradients))
    }
}
