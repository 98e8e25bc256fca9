//! Feature sets through the network, those of one length together; on GPUs those of one shape.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use super::Features;
use super::shapes::{Shapes, full, masked, size};
use crate::infer::Runtime;
use crate::nn::Mode;
use crate::zoo::Network;

/// Most values of a batch's input, so that memory stays bounded whatever the lengths.
const BATCH_VALUES: usize = 1 << 21;

/// How a batch runs.
#[derive(Clone, Copy)]
pub(super) enum Way<'a> {
    /// Without Burn: each feature set by itself, on several threads.
    Runtime(&'a Runtime),
    /// By Burn, all feature sets together.
    Burn(&'a Network, &'a Device),
    /// By Burn, all feature sets together, padded to a few shapes.
    Padded(&'a Network, &'a Device, Shapes<'a>),
}

/// Feature sets on their way through the network. Those of equal length (on GPUs, of equal length
/// when they are padded) run together, as soon as there are enough of them: what runs together
/// depends on their order alone.
pub(super) struct Batches<'a, F> {
    way: Way<'a>,
    /// Values of a batch, unless a single feature set has more.
    most: usize,
    /// Called with the number of feature sets of each batch that has run.
    done: &'a dyn Fn(usize),
    /// By numbers of frames (padded) and mels: feature sets, and how many came before.
    waiting: BTreeMap<[usize; 2], Vec<(usize, F)>>,
    /// The embedding of each feature set, empty where it waits.
    rows: Vec<Vec<f32>>,
}

impl<'a, F: Borrow<Features>> Batches<'a, F> {
    pub fn new(way: Way<'a>, done: &'a dyn Fn(usize)) -> Self {
        let (most, waiting, rows) = (BATCH_VALUES, BTreeMap::new(), Vec::new());
        Self { way, most, done, waiting, rows }
    }

    /// Number of feature sets since the last [`Batches::finish`].
    pub fn count(&self) -> usize {
        self.rows.len()
    }

    /// Takes a feature set.
    pub fn add(&mut self, features: F) {
        let Features { frames, mels, .. } = *Borrow::<Features>::borrow(&features);
        let length = match self.way {
            Way::Padded(.., shapes) => shapes.length(frames),
            Way::Runtime(_) | Way::Burn(..) => frames,
        };
        let shape = [length, mels];
        let most = self.most(shape);
        let waiting = self.waiting.entry(shape).or_default();
        waiting.push((self.rows.len(), features));
        self.rows.push(Vec::new());
        if waiting.len() >= most {
            let batch = self.waiting.remove(&shape).unwrap_or_default();
            self.run(shape, &batch);
        }
    }

    /// Forgets all feature sets but the first ones.
    pub fn truncate(&mut self, count: usize) {
        self.rows.truncate(count);
        self.waiting.values_mut().for_each(|waiting| waiting.retain(|(place, _)| *place < count));
    }

    /// Takes the embedding of the feature set at a place away, if it has run.
    pub fn take(&mut self, place: usize) -> Option<Vec<f32>> {
        let row = self.rows.get_mut(place)?;
        (!row.is_empty()).then(|| std::mem::take(row))
    }

    /// The embedding `[dim]` of each feature set, in their order. It is empty where it was taken
    /// away.
    pub fn finish(&mut self) -> Vec<Vec<f32>> {
        while let Some((shape, batch)) = self.waiting.pop_first() {
            self.run(shape, &batch);
        }
        std::mem::take(&mut self.rows)
    }

    /// How many feature sets of one shape `[frames, mels]` run at once.
    fn most(&self, [frames, mels]: [usize; 2]) -> usize {
        let most = self.most / (frames * mels).max(1);
        match self.way {
            Way::Padded(..) => full(most),
            Way::Runtime(_) | Way::Burn(..) => most,
        }
    }

    /// Runs feature sets of one shape `[frames, mels]`.
    fn run(&mut self, shape: [usize; 2], batch: &[(usize, F)]) {
        match self.way {
            Way::Runtime(runtime) => self.keep(each(runtime, batch), batch),
            Way::Burn(network, device) => {
                self.keep(as_they_are(network, device, shape, batch), batch);
            }
            Way::Padded(network, device, shapes) => {
                let mut left = batch;
                while !left.is_empty() {
                    let size = size(left.len(), self.most(shape));
                    let (now, later) = left.split_at(size.min(left.len()));
                    self.keep(padded(network, device, shapes, shape, size, now), now);
                    left = later;
                }
            }
        }
    }

    /// Keeps the first rows as the embeddings of these feature sets.
    fn keep(&mut self, rows: Vec<Vec<f32>>, batch: &[(usize, F)]) {
        for ((place, _), row) in batch.iter().zip(rows) {
            self.rows[*place] = row;
        }
        (self.done)(batch.len());
    }
}

/// The embeddings of feature sets without Burn. Each pass has an arena. No more passes run at one
/// time than the batch has feature sets, so together their arenas are about as large as the arena
/// of one feature set with as many values as the batch.
fn each<F: Borrow<Features>>(runtime: &Runtime, batch: &[(usize, F)]) -> Vec<Vec<f32>> {
    let sets: Vec<&Features> =
        batch.iter().map(|(_, features)| Borrow::<Features>::borrow(features)).collect();
    let embed = |set: &&Features| {
        let embedding = runtime.embed(&set.values, set.frames);
        embedding.expect("feature sets have the network's mels, and as many frames as it takes")
    };
    // A thread that waits for others within a pass may begin another pass. In a lot there is one
    // for each thread at most.
    let lots = sets.chunks(rayon::current_num_threads());
    lots.flat_map(|lot| lot.par_iter().map(embed).collect::<Vec<_>>()).collect()
}

/// The embeddings of feature sets of one shape `[frames, mels]`.
fn as_they_are<F: Borrow<Features>>(
    network: &Network,
    device: &Device,
    [frames, mels]: [usize; 2],
    batch: &[(usize, F)],
) -> Vec<Vec<f32>> {
    let values: Vec<f32> = batch
        .iter()
        .flat_map(|(_, features)| Borrow::<Features>::borrow(features).values.iter().copied())
        .collect();
    let input = TensorData::new(values, [batch.len(), frames, mels]);
    rows(network.forward(Tensor::<3>::from_data(input, device), Mode::Eval))
}

/// The embeddings of feature sets, padded to `[frames, mels]`, in the first rows of a batch of this
/// size.
fn padded<F: Borrow<Features>>(
    network: &Network,
    device: &Device,
    shapes: Shapes,
    [length, mels]: [usize; 2],
    size: usize,
    batch: &[(usize, F)],
) -> Vec<Vec<f32>> {
    let mut input = vec![0.0f32; size * length * mels];
    let mut lengths = Vec::with_capacity(size);
    for ((_, features), row) in batch.iter().zip(input.chunks_exact_mut(length * mels)) {
        let Features { values, frames, mels } = Borrow::<Features>::borrow(features);
        row[..frames * mels].copy_from_slice(values);
        lengths.push(*frames);
    }
    shapes.count(size, length, lengths.iter().sum());
    // An empty place is an utterance of zeros, whose embedding nobody reads.
    lengths.resize(size, length);
    let input = TensorData::new(input, [size, length, mels]);
    rows(masked(network, Tensor::<3>::from_data(input, device), lengths))
}

/// `[batch, dim]` as rows.
fn rows(output: Tensor<2>) -> Vec<Vec<f32>> {
    let dim = output.dims()[1];
    let output = output.into_data().convert::<f32>();
    let values = output.as_slice::<f32>().expect("just converted to f32");
    values.chunks_exact(dim).map(<[f32]>::to_vec).collect()
}

/// The embedding of a recording, from those of its windows: the mean of these, each scaled to unit
/// length. That of a single window stays as it is.
#[derive(Debug, Default)]
pub(super) struct OfWindows {
    first: Vec<f32>,
    /// Of unit vectors.
    sum: Vec<f64>,
    count: usize,
}

impl OfWindows {
    /// Takes the embedding of the next window.
    pub fn add(&mut self, row: Vec<f32>) {
        let length =
            row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
        self.sum.resize(row.len(), 0.0);
        self.sum.iter_mut().zip(&row).for_each(|(s, &x)| *s += f64::from(x) / length);
        if self.count == 0 {
            self.first = row;
        }
        self.count += 1;
    }

    /// Number of windows so far.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The embedding of the recording.
    pub fn embedding(self) -> Vec<f32> {
        match self.count {
            0 | 1 => self.first,
            count => self.sum.into_iter().map(|s| (s / count as f64) as f32).collect(),
        }
    }
}

/// The embedding of a recording, from those of all its windows.
pub(super) fn of_windows(rows: impl Iterator<Item = Vec<f32>>) -> Vec<f32> {
    let mut windows = OfWindows::default();
    rows.for_each(|row| windows.add(row));
    windows.embedding()
}

#[cfg(test)]
mod tests;
