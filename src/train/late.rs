//! Outcomes that arrive one step late, so that a GPU is never without work.
//!
//! A GPU works through a queue that the host fills. If the host waited for the outcome of a step
//! before it queues the next one, the GPU would have nothing to do meanwhile. So the copy of an
//! outcome to the host is queued right behind its step, and the host waits for it only when the
//! next step is queued too.
//!
//! CPU backends compute while they are called. There is nothing to wait for, and the training loop
//! reads at once.

#[cfg(feature = "cube")]
mod cube;
mod reading;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use burn::tensor::Tensor;

use self::reading::Reading;
use crate::error::Result;

/// Steps that are queued behind the one whose outcome the host waits for.
const DEPTH: usize = 1;

/// What the host has read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Reads {
    /// Reads that were started.
    pub started: usize,
    /// Reads that the host waited for while no younger step was queued: the device had nothing to
    /// do. Training needs them where it saves or tests.
    pub idle: usize,
}

/// Outcomes that are on their way to the host, oldest first, each with what the host knows of its
/// step.
pub(crate) struct Late<T> {
    under_way: VecDeque<(Reading, T)>,
    reads: Reads,
}

impl<T> Late<T> {
    /// No outcomes.
    pub fn new() -> Self {
        Self { under_way: VecDeque::with_capacity(DEPTH + 1), reads: Reads::default() }
    }

    /// How many outcomes are under way.
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// What was read so far.
    #[cfg(test)]
    pub fn reads(&self) -> Reads {
        self.reads
    }

    /// Queues the copy of a step's values `[n]` to the host, behind the step.
    pub fn push(&mut self, values: Tensor<1>, step: T) {
        self.reads.started += 1;
        self.under_way.push_back((Reading::start(values), step));
    }

    /// Waits for the oldest outcome if a younger step is queued.
    ///
    /// # Errors
    /// A device that fails.
    pub fn ripe(&mut self) -> Result<Option<(Vec<f32>, T)>> {
        if self.under_way.len() > DEPTH { self.oldest() } else { Ok(None) }
    }

    /// Waits for the oldest outcome, if there is one.
    ///
    /// # Errors
    /// A device that fails.
    pub fn oldest(&mut self) -> Result<Option<(Vec<f32>, T)>> {
        let Some((reading, step)) = self.under_way.pop_front() else { return Ok(None) };
        if self.under_way.is_empty() {
            self.reads.idle += 1;
        }
        Ok(Some((reading.wait()?, step)))
    }
}
