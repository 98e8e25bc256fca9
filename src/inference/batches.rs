//! Feature sets through the network, those of one length together; on GPUs those of one shape.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};

use super::Features;
use super::shapes::{Shapes, full, masked, size};
use crate::nn::Mode;
use crate::zoo::Network;

/// Most values of a batch's input, so that memory stays bounded whatever the lengths.
const BATCH_VALUES: usize = 1 << 21;

/// Feature sets on their way through the network. Those of equal length (on GPUs, of equal length
/// when they are padded) run together, as soon as there are enough of them: what runs together
/// depends on their order alone.
pub(super) struct Batches<'a, F> {
    network: &'a Network,
    device: &'a Device,
    /// What feature sets are padded to; nothing on CPU backends, which run them as they are.
    shapes: Option<Shapes<'a>>,
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
    pub fn new(
        network: &'a Network,
        device: &'a Device,
        shapes: Option<Shapes<'a>>,
        done: &'a dyn Fn(usize),
    ) -> Self {
        let (most, waiting, rows) = (BATCH_VALUES, BTreeMap::new(), Vec::new());
        Self { network, device, shapes, most, done, waiting, rows }
    }

    /// Number of feature sets since the last [`Batches::finish`].
    pub fn count(&self) -> usize {
        self.rows.len()
    }

    /// Takes a feature set.
    pub fn add(&mut self, features: F) {
        let Features { frames, mels, .. } = *Borrow::<Features>::borrow(&features);
        let shape = [self.shapes.map_or(frames, |shapes| shapes.length(frames)), mels];
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
        if self.shapes.is_some() { full(most) } else { most }
    }

    /// Runs feature sets of one shape `[frames, mels]`.
    fn run(&mut self, shape: [usize; 2], batch: &[(usize, F)]) {
        let Some(shapes) = self.shapes else {
            let output = self.as_they_are(shape, batch);
            return self.keep(output, batch);
        };
        let mut left = batch;
        while !left.is_empty() {
            let size = size(left.len(), self.most(shape));
            let (now, later) = left.split_at(size.min(left.len()));
            let output = self.padded(shapes, shape, size, now);
            self.keep(output, now);
            left = later;
        }
    }

    /// The embeddings of feature sets of one shape `[frames, mels]`.
    fn as_they_are(&self, [frames, mels]: [usize; 2], batch: &[(usize, F)]) -> Tensor<2> {
        let values: Vec<f32> = batch
            .iter()
            .flat_map(|(_, features)| Borrow::<Features>::borrow(features).values.iter().copied())
            .collect();
        let input = Tensor::<3>::from_data(
            TensorData::new(values, [batch.len(), frames, mels]),
            self.device,
        );
        self.network.forward(input, Mode::Eval)
    }

    /// The embeddings of feature sets, padded to `[frames, mels]`, in the first rows of a batch of
    /// this size.
    fn padded(
        &self,
        shapes: Shapes,
        [length, mels]: [usize; 2],
        size: usize,
        batch: &[(usize, F)],
    ) -> Tensor<2> {
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
        masked(self.network, Tensor::<3>::from_data(input, self.device), lengths)
    }

    /// Keeps the first rows of the output as the embeddings of these feature sets.
    fn keep(&mut self, output: Tensor<2>, batch: &[(usize, F)]) {
        let dim = output.dims()[1];
        let output = output.into_data().convert::<f32>();
        let values = output.as_slice::<f32>().expect("just converted to f32");
        for ((place, _), row) in batch.iter().zip(values.chunks_exact(dim)) {
            self.rows[*place] = row.to_vec();
        }
        (self.done)(batch.len());
    }
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
mod tests {
    use super::*;
    use crate::inference::tests::{MELS, network};

    fn features(frames: usize, shift: usize) -> Features {
        Features {
            values: (0..frames * MELS).map(|i| ((i + shift) as f32 * 0.37).sin()).collect(),
            frames,
            mels: MELS,
        }
    }

    /// Embeddings of feature sets in the usual batches.
    fn embed(network: &Network, sets: &[&Features]) -> Vec<Vec<f32>> {
        let (device, done) = (Device::default(), |_: usize| ());
        let mut batches = Batches::new(network, &device, None, &done);
        sets.iter().for_each(|set| batches.add(*set));
        batches.finish()
    }

    #[test]
    fn sets_of_equal_length_run_together_in_their_order() {
        let (network, device) = (network(), Device::default());
        let lengths = [20, 30, 20, 20, 40, 30, 20, 20, 20, 30, 20];
        let sets: Vec<Features> =
            lengths.iter().enumerate().map(|(i, &frames)| features(frames, 7 * i)).collect();
        let sizes = std::cell::RefCell::new(Vec::new());
        let done = |n: usize| sizes.borrow_mut().push(n);
        let mut batches = Batches::new(&network, &device, None, &done);
        // Three sets of 20 frames, two of 30, one of 40.
        batches.most = 3 * 20 * MELS;
        sets.iter().for_each(|set| batches.add(set));
        assert_eq!(batches.count(), 11);
        let rows = batches.finish();
        assert_eq!(*sizes.borrow(), [3, 1, 2, 3, 1, 1]);
        assert_eq!(batches.count(), 0);
        for (frames, size) in [(20, 3), (30, 2), (40, 1)] {
            let places: Vec<usize> = (0..11).filter(|&i| lengths[i] == frames).collect();
            for chunk in places.chunks(size) {
                let together: Vec<&Features> = chunk.iter().map(|&i| &sets[i]).collect();
                let wanted = embed(&network, &together);
                assert!(chunk.iter().zip(&wanted).all(|(&i, row)| rows[i] == *row), "{chunk:?}");
            }
        }
    }

    #[test]
    fn what_is_forgotten_runs_with_nothing() {
        let (network, device) = (network(), Device::default());
        let sets: Vec<Features> = (0..5).map(|i| features(20, i)).collect();
        let done = |_: usize| ();
        let mut batches = Batches::new(&network, &device, None, &done);
        sets[..2].iter().for_each(|set| batches.add(set));
        batches.add(&sets[3]);
        batches.truncate(2);
        batches.add(&sets[2]);
        let wanted = embed(&network, &sets[..3].iter().collect::<Vec<_>>());
        assert_eq!(batches.finish(), wanted);
    }

    #[test]
    fn what_was_taken_away_is_gone() {
        let (network, device) = (network(), Device::default());
        let sets: Vec<Features> = (0..3).map(|i| features(20, i)).collect();
        let done = |_: usize| ();
        let mut batches = Batches::new(&network, &device, None, &done);
        batches.most = 2 * 20 * MELS;
        sets.iter().for_each(|set| batches.add(set));
        let taken = batches.take(1).unwrap();
        assert!(batches.take(1).is_none() && batches.take(2).is_none());
        assert!(batches.take(3).is_none());
        let rows = batches.finish();
        let mut whole = Batches::new(&network, &device, None, &done);
        whole.most = 2 * 20 * MELS;
        sets.iter().for_each(|set| whole.add(set));
        let wanted = whole.finish();
        assert_eq!((&taken, &rows[0], &rows[2]), (&wanted[1], &wanted[0], &wanted[2]));
        assert!(rows[1].is_empty());
    }
}
