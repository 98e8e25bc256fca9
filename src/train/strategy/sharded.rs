//! What a loop does otherwise if its ranks divide the optimizer's states among them. They meet at
//! two more points of each step:
//!
//! | when | what they tell each other |
//! |---|---|
//! | in the optimizer's step | new values of parameters |
//! | at the end of the step | whether a checkpoint is due |

use burn::optim::GradientsParams;

use super::slot::Slot;
use super::{Loop, Progressing};
use crate::error::Result;
use crate::optim::Gate;
use crate::train::ranks::of_first;

impl Loop {
    /// The optimizer's step with gradients of the whole batch. Where ranks divide the states, each
    /// steps its own parameters, and gets the new values of the others'.
    ///
    /// # Errors
    /// What ends the training on all ranks. Then the weights are not those of one step.
    pub(super) fn update(
        &self,
        slot: &mut Slot,
        progress: &mut Progressing,
        rate: f64,
        gradients: GradientsParams,
        gate: Gate,
    ) -> Result<()> {
        let Some(shards) = &self.shards else {
            slot.change(|model| progress.optimizer.step(rate, model, gradients, gate));
            return Ok(());
        };
        let gradients = shards.own_gradients(slot.get(), gradients);
        slot.change(|model| progress.optimizer.step(rate, model, gradients, gate));
        for round in 0..shards.rounds() {
            let values = shards.exchanged(round, slot.get())?;
            slot.change(|model| values.put(model));
        }
        Ok(())
    }

    /// Whether a checkpoint is to be written. Where ranks divide the states, all take part in it,
    /// and what rank 0 says counts: their clocks differ.
    ///
    /// # Errors
    /// A fault of the connection.
    pub(super) fn decided(&self, ours: bool) -> Result<bool> {
        match &self.shards {
            Some(_) => Ok(of_first(&*self.ranks, [f64::from(u8::from(ours))])? == [1.0]),
            None => Ok(ours),
        }
    }
}
