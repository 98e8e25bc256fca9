//! Feature sets through the network, those of one length together; on GPUs those of one shape.

#[cfg(feature = "burn")]
mod by_burn;

use std::borrow::Borrow;
use std::collections::BTreeMap;

#[cfg(feature = "burn")]
use burn::tensor::Device;
use rayon::prelude::*;

use super::Features;
#[cfg(feature = "burn")]
use super::shapes::{Shapes, full, size};
use crate::infer::Runtime;
#[cfg(feature = "burn")]
use crate::zoo::Network;
#[cfg(feature = "burn")]
use by_burn::{as_they_are, padded};

/// Most values of a batch's input, so that memory stays bounded whatever the lengths.
const BATCH_VALUES: usize = 1 << 21;

/// How a batch runs.
#[derive(Clone, Copy)]
pub(crate) enum Way<'a> {
    /// Without Burn: each feature set by itself, on several threads.
    Runtime(&'a Runtime),
    /// By Burn, all feature sets together.
    #[cfg(feature = "burn")]
    Burn(&'a Network, &'a Device),
    /// By Burn, all feature sets together, padded to a few shapes.
    #[cfg(feature = "burn")]
    Padded(&'a Network, &'a Device, Shapes<'a>),
}

/// Feature sets on their way through the network. Those of equal length (on GPUs, of equal length
/// when they are padded) run together, as soon as there are enough of them: what runs together
/// depends on their order alone.
pub(crate) struct Batches<'a, F> {
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
            #[cfg(feature = "burn")]
            Way::Padded(.., shapes) => shapes.length(frames),
            #[cfg(feature = "burn")]
            Way::Burn(..) => frames,
            Way::Runtime(_) => frames,
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
            #[cfg(feature = "burn")]
            Way::Padded(..) => full(most),
            #[cfg(feature = "burn")]
            Way::Burn(..) => most,
            Way::Runtime(_) => most,
        }
    }

    /// Runs feature sets of one shape `[frames, mels]`.
    #[cfg_attr(not(feature = "burn"), expect(unused_variables, reason = "Burn asks for it"))]
    fn run(&mut self, shape: [usize; 2], batch: &[(usize, F)]) {
        match self.way {
            Way::Runtime(runtime) => self.keep(each(runtime, batch), batch),
            #[cfg(feature = "burn")]
            Way::Burn(network, device) => {
                self.keep(as_they_are(network, device, shape, batch), batch);
            }
            #[cfg(feature = "burn")]
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

#[cfg(test)]
mod tests;
