//! A batch in parts: among ranks, on several devices of each at once, and on each device in several
//! turns. The gradient is that of the whole batch, except for BatchNorm: each part is normalised by
//! its own statistics, and running statistics follow the parts of the first device.
//!
//! burn-train's strategies for several devices take a batch for each device and count learning
//! rates in their own way. Here the batch is the recipe's, whatever it is divided among.

mod worker;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Device;

use self::worker::{Begun, Worker};
use super::step::Pending;
use super::{Batch, Trainee};
use crate::backend::collective::{Buckets, Communicator, Sending};
use crate::backend::failure;
use crate::backend::reversible::delivering;
use crate::bytes::counted;
use crate::error::{Error, Result};

/// How batches are divided.
pub struct Parts {
    /// The first is where the model is.
    devices: Vec<Device>,
    /// Turns of each device.
    accumulate: usize,
    /// Examples of the whole batch.
    size: usize,
    /// This rank, and the number of ranks.
    rank: [usize; 2],
    /// Those of the further devices, in their order.
    workers: Vec<Worker<Job, Partial>>,
}

/// Outcome and gradients of one part or of several.
type Partial = (Pending, GradientsParams);

/// The parts of a further device.
struct Job {
    /// In evaluation state, on the first device.
    model: Trainee,
    device: Device,
    batch: Arc<Batch>,
    ranges: Vec<Range<usize>>,
    /// Examples of the whole batch.
    size: usize,
    scale: f32,
}

/// One of so many parts of a batch of a size. Sizes of parts differ by 1 at most. The parts of a
/// device are neighbours; so are those of a rank, which together are what is its part among ranks.
pub(super) fn part(i: usize, parts: usize, size: usize) -> Range<usize> {
    i * size / parts..(i + 1) * size / parts
}

impl Parts {
    /// Batches of a size, divided among ranks, devices and turns.
    ///
    /// # Errors
    /// Parts of fewer than two examples: BatchNorm needs two. No device or no turn. No thread to be
    /// had for a further device.
    pub fn new(
        devices: Vec<Device>,
        accumulate: usize,
        batch_size: usize,
        ranks: &dyn Communicator,
    ) -> Result<Self> {
        let rank = [ranks.rank(), ranks.size()];
        let parts = devices.len() * accumulate * ranks.size();
        if parts == 0 {
            return Err(Error::invalid("at least one device and one turn are needed"));
        }
        if parts > 1 && batch_size < 2 * parts {
            let of = match ranks.size() {
                1 => String::new(),
                several => format!("{several} ranks of "),
            };
            return Err(Error::Invalid(format!(
                "train.batch_size = {batch_size} cannot be divided among {of}{} and {}: each part \
                 needs 2 examples",
                counted(devices.len(), "device"),
                counted(accumulate, "turn")
            )));
        }
        let workers = (1..devices.len()).map(|d| Worker::new(format!("device {d}"), Job::run));
        let workers = workers.collect::<Result<Vec<_>>>()?;
        Ok(Self { devices, accumulate, size: batch_size, rank, workers })
    }

    /// How many parts this rank has of a batch.
    pub fn count(&self) -> usize {
        self.devices.len() * self.accumulate
    }

    /// The ranges of this rank's parts, among its own examples.
    fn ranges(&self) -> Vec<Range<usize>> {
        let [rank, ranks] = self.rank;
        let (ours, start) = (self.count(), part(rank, ranks, self.size).start);
        let range = |i: usize| {
            let whole = part(rank * ours + i, ranks * ours, self.size);
            whole.start - start..whole.end - start
        };
        (0..ours).map(range).collect()
    }

    /// A step's outcome and gradients, both on the first device, of this rank's examples of a
    /// batch. The gradients are those of `scale` times the loss, the outcome is that of the loss
    /// itself; both are shares of the whole batch's, which are sums over ranks. It waits for the
    /// further devices' threads, but reads nothing from any device.
    ///
    /// # Errors
    /// A device that fails.
    pub fn step(&self, model: &Trainee, batch: Batch, scale: f32) -> Result<Partial> {
        let (ranges, size) = (self.ranges(), self.size);
        if let [all] = &*ranges {
            return Ok(model.weighed(batch, share(all, size), scale));
        }
        let of = |device: usize| &ranges[device * self.accumulate..(device + 1) * self.accumulate];
        let batch = Arc::new(batch);
        let job = |d: usize| Job {
            // A clone shares running statistics with its original: moving them as they are would
            // move those of the first device.
            model: model.valid(),
            device: self.devices[d].clone(),
            batch: batch.clone(),
            ranges: of(d).to_vec(),
            size,
            scale,
        };
        let begun: Vec<_> =
            self.workers.iter().enumerate().map(|(i, worker)| worker.begin(job(i + 1))).collect();
        let (mut total, gradients) = turns(model, &batch, of(0), size, scale);
        let others: Vec<_> = begun.into_iter().map(Begun::answer).collect();
        let mut sum = GradientsAccumulator::new();
        sum.accumulate(model, gradients);
        for (device, part) in self.devices[1..].iter().zip(others) {
            let (outcome, gradients) = part.map_err(|words| failed(device, &words))?;
            total = total.add(outcome.moved_to(&self.devices[0]));
            sum.accumulate(model, gradients.to_device(&self.devices[0], model));
        }
        Ok((total, sum.grads()))
    }

    /// [`Parts::step`] for one of several ranks. Gradients of reversible bodies go into buckets and
    /// to the other ranks while the last turn's backward pass goes on. It gives back the gradients
    /// that are left, and the buckets.
    ///
    /// Nothing is sent before a rank's own sum is complete. So with several devices, whose sums are
    /// made at the end of the step, all gradients are left; so they are without reversible bodies.
    ///
    /// # Errors
    /// A device that fails. Nothing has been sent then.
    ///
    /// # Panics
    /// Those of [`Sending`]. The other ranks wait for sums then, until they are told of the fault.
    pub fn step_sending(
        &self,
        model: &Trainee,
        batch: Batch,
        scale: f32,
        ranks: &Arc<dyn Communicator>,
        buckets: Buckets,
    ) -> Result<(Pending, GradientsParams, Buckets)> {
        let (ranges, size) = (self.ranges(), self.size);
        let Some((last, before)) = ranges.split_last().filter(|_| self.devices.len() == 1) else {
            let (outcome, gradients) = self.step(model, batch, scale)?;
            return Ok((outcome, gradients, buckets));
        };
        let (earlier, sum, part) = match before.is_empty() {
            true => (None, GradientsParams::new(), batch),
            false => {
                let (outcome, sum) = turns(model, &batch, before, size, scale);
                (Some(outcome), sum, batch.part(last.clone()))
            }
        };
        let sending = Sending::new(ranks, buckets, sum, model);
        let pass = || model.weighed(part, share(last, size), scale);
        let (sending, (outcome, gradients)) = delivering(sending, pass);
        let (gradients, buckets) = sending.end(gradients, model);
        let total = match earlier {
            Some(earlier) => earlier.add(outcome),
            None => outcome,
        };
        Ok((total, gradients, buckets))
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = f.debug_struct("Parts");
        told.field("devices", &self.devices).field("accumulate", &self.accumulate);
        told.finish_non_exhaustive()
    }
}

impl Job {
    /// Moves the model to the device and does the parts there.
    fn run(self) -> Partial {
        let model = self.model.fork(&self.device).train();
        turns(&model, &self.batch, &self.ranges, self.size, self.scale)
    }
}

/// The error of a further device, whose thread said this when it panicked.
fn failed(device: &Device, words: &str) -> Error {
    let error = failure(words);
    if matches!(error.bare(), Error::OutOfMemory { .. } | Error::DeviceLost { .. }) {
        return error.and(&format!("{device:?}, in the middle of a step"));
    }
    let told = format!("{device:?} failed in the middle of a step: {words}");
    error.retold(|_| Error::Backend(told))
}

/// The share that a range has of a batch.
fn share(range: &Range<usize>, size: usize) -> f64 {
    range.len() as f64 / size as f64
}

/// The parts of one device, one after another. Each is weighed by its share of the batch, so that
/// sums are means over the whole batch.
fn turns(
    model: &Trainee,
    batch: &Batch,
    ranges: &[Range<usize>],
    size: usize,
    scale: f32,
) -> Partial {
    let mut sum = GradientsAccumulator::new();
    let mut total: Option<Pending> = None;
    for range in ranges {
        let (outcome, gradients) =
            model.weighed(batch.part(range.clone()), share(range, size), scale);
        total = Some(match total {
            Some(total) => total.add(outcome),
            None => outcome,
        });
        sum.accumulate(model, gradients);
    }
    (total.expect("a device has a turn"), sum.grads())
}

#[cfg(test)]
mod tests;
