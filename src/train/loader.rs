//! Batches prepared ahead by threads and delivered in order.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::Device;
use crossbeam_channel::{Receiver, bounded};
use rayon::prelude::*;

use super::parts;
use super::schedule::Schedules;
use super::{OnDevice, TrainSet};
use crate::backend::collective::Communicator;
use crate::error::{Error, Result};

/// A batch on its way to the device.
#[derive(Debug, Clone)]
pub struct Batch {
    /// `[batch, frames, mels]`, row-major; `[batch, samples, 1]` where the device makes features.
    pub features: Vec<f32>,
    /// Shape of `features`.
    pub shape: [usize; 3],
    /// What features on the device need besides samples.
    pub on_device: Option<OnDevice>,
    /// Classes, `[batch]`.
    pub labels: Vec<i64>,
    /// Utterance ids, `[batch]`.
    pub ids: Vec<String>,
    /// Iteration of the training, from 0.
    pub iteration: usize,
    /// The margin of that iteration.
    pub margin: f64,
}

/// Where the next pass over the data begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Batch within it, from 0.
    pub batch: usize,
}

/// The training data as batches. Each call of `iter` delivers one epoch, or what is left of it, and
/// moves on to the next one.
pub struct Loader {
    set: Arc<TrainSet>,
    batch_size: usize,
    /// The examples of each batch that are loaded.
    part: Range<usize>,
    threads: usize,
    schedules: Arc<Schedules>,
    next: Mutex<Position>,
}

/// Batches that each thread prepares ahead of the training.
const AHEAD: usize = 2;
/// Examples ahead of a batch whose tar files are announced to the system.
const ANNOUNCED: usize = 2048;

impl Loader {
    /// A loader that begins at `start`. It leaves out the last batch of an epoch if that is smaller
    /// than the others.
    pub fn new(
        set: Arc<TrainSet>,
        batch_size: usize,
        threads: usize,
        schedules: Arc<Schedules>,
        start: Position,
    ) -> Self {
        let part = 0..batch_size;
        Self { set, batch_size, part, threads, schedules, next: Mutex::new(start) }
    }

    /// The same with this rank's examples of each batch only. What an example holds does not depend
    /// on the number of ranks.
    #[must_use]
    pub fn of_rank(self, ranks: &dyn Communicator) -> Self {
        Self { part: parts::part(ranks.rank(), ranks.size(), self.batch_size), ..self }
    }

    /// Batches of an epoch.
    pub fn steps(set: &TrainSet, batch_size: usize) -> usize {
        set.len() / batch_size
    }
}

/// The first batches of the first epoch, under one margin.
///
/// # Errors
/// Audio that cannot be read; fewer examples than wanted.
pub(super) fn first_batches(
    set: &TrainSet,
    count: usize,
    batch_size: usize,
    margin: f64,
) -> Result<Vec<Batch>> {
    let order = set.order(1);
    let parts: Vec<_> = order.chunks_exact(batch_size).take(count).enumerate().collect();
    if parts.len() < count {
        let message = format!(
            "{} training examples do not fill {count} batches of {batch_size}",
            order.len()
        );
        return Err(Error::Invalid(message));
    }
    parts.into_par_iter().map(|(i, part)| assemble(set, part, 1, i, margin)).collect()
}

/// Computes one batch.
fn assemble(
    set: &TrainSet,
    order: &[(u32, u32)],
    epoch: usize,
    iteration: usize,
    margin: f64,
) -> Result<Batch> {
    let [values, each] = set.values();
    let mut batch = Batch {
        features: Vec::with_capacity(order.len() * values * each),
        shape: [order.len(), values, each],
        on_device: set.on_device(),
        labels: Vec::with_capacity(order.len()),
        ids: Vec::with_capacity(order.len()),
        iteration,
        margin,
    };
    for &(utterance, pass) in order {
        let example = set.example(epoch, utterance as usize, pass as usize)?;
        batch.features.extend(example.values);
        if let Some(more) = &mut batch.on_device {
            more.dither.extend(example.dither);
            more.masks.extend(example.masks);
        }
        batch.labels.push(example.label as i64);
        batch.ids.push(example.id);
    }
    Ok(batch)
}

struct Batches {
    /// Thread t delivers batches t, t + threads, ... of the pass.
    receivers: Vec<Receiver<Result<Batch>>>,
    done: usize,
    first: usize,
    steps: usize,
    batch_size: usize,
}

impl Iterator for Batches {
    type Item = Result<Batch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.first + self.done >= self.steps {
            return None;
        }
        let received = self.receivers[self.done % self.receivers.len()].recv();
        self.done += 1;
        Some(match received {
            Ok(batch) => batch.map_err(DatasetError::new),
            Err(_) => Err(DatasetError::new(std::io::Error::other("a loader thread ended early"))),
        })
    }
}

impl DataLoaderIterator<Batch> for Batches {
    fn progress(&self) -> Progress {
        let examples = |batches: usize| batches * self.batch_size;
        Progress::new(
            examples(self.first + self.done),
            examples(self.steps),
            Some("utterances".to_owned()),
        )
    }
}

impl DataLoader<Batch> for Loader {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<Batch> + 'a> {
        let mut next = self.next.lock().expect("no holder panics");
        let Position { epoch, batch: first } = *next;
        *next = Position { epoch: epoch + 1, batch: 0 };
        let steps = Self::steps(&self.set, self.batch_size);
        let order = Arc::new(self.set.order(epoch));
        let receivers = (0..self.threads)
            .map(|thread| {
                let (sender, receiver) = bounded(AHEAD);
                let (set, order) = (self.set.clone(), order.clone());
                let schedules = self.schedules.clone();
                let (batch_size, threads) = (self.batch_size, self.threads);
                let part = self.part.clone();
                std::thread::spawn(move || {
                    for b in (first + thread..steps).step_by(threads) {
                        let iteration = (epoch - 1) * steps + b;
                        let ahead = order.len().min(b * batch_size + ANNOUNCED);
                        for batch in order[b * batch_size..ahead].chunks(batch_size) {
                            let end = part.end.min(batch.len());
                            set.announce(epoch, &batch[part.start.min(end)..end]);
                        }
                        let margin = schedules.at(iteration).margin;
                        let ours = &order[b * batch_size..][part.clone()];
                        let batch = assemble(&set, ours, epoch, iteration, margin);
                        // The receiver is gone when the training stops early.
                        if sender.send(batch).is_err() {
                            break;
                        }
                    }
                });
                receiver
            })
            .collect();
        Box::new(Batches { receivers, done: 0, first, steps, batch_size: self.batch_size })
    }

    fn num_items(&self) -> usize {
        Self::steps(&self.set, self.batch_size) * self.batch_size
    }

    fn to_device(&self, _device: &Device) -> Arc<dyn DataLoader<Batch>> {
        // Batches stay on the host; the training step moves them.
        let next = Mutex::new(*self.next.lock().expect("no holder panics"));
        let (set, schedules, part) = (self.set.clone(), self.schedules.clone(), self.part.clone());
        Arc::new(Self { set, schedules, part, next, ..*self })
    }

    fn slice(&self, _start: usize, _end: usize) -> Arc<dyn DataLoader<Batch>> {
        unreachable!("only multi-device strategies slice, and this training runs on one device")
    }
}
