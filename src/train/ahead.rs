//! The batches of an epoch. On a GPU the next one is on its way to the device while the host waits
//! for an outcome.

use burn::data::dataloader::{DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::Device;

use super::Batch;
use super::step::Uploaded;

/// A batch before its step.
pub(super) enum Staged {
    /// On the host. Its parts are uploaded when their turn comes.
    Host(Batch),
    /// On the device that computes it.
    Device(Box<Uploaded>),
}

/// A batch, and what the host knows of it.
pub(super) struct Turn {
    pub batch: Staged,
    /// Iteration of the training, from 0.
    pub iteration: usize,
    /// The margin of that iteration.
    pub margin: f64,
    /// Utterance ids.
    pub ids: Vec<String>,
    /// How much of the epoch is done with this batch.
    pub progress: Progress,
}

/// The batches of an epoch in their order.
pub(super) struct Ahead<'a> {
    batches: Box<dyn DataLoaderIterator<Batch> + 'a>,
    /// Where whole batches go before their steps, if they do.
    device: Option<Device>,
    next: Option<Result<Turn, DatasetError>>,
}

impl<'a> Ahead<'a> {
    /// The batches of a loader. With a device (with autodiff) they come uploaded.
    pub fn new(batches: Box<dyn DataLoaderIterator<Batch> + 'a>, device: Option<Device>) -> Self {
        Self { batches, device, next: None }
    }

    /// Takes the next batch from the loader, and starts its way to the device. One more batch of
    /// features is in memory then.
    pub fn fetch(&mut self) {
        if self.next.is_none() {
            self.next = self.pull();
        }
    }

    fn pull(&mut self) -> Option<Result<Turn, DatasetError>> {
        let batch = match self.batches.next()? {
            Ok(batch) => batch,
            Err(e) => return Some(Err(e)),
        };
        let (iteration, margin, ids) = (batch.iteration, batch.margin, batch.ids.clone());
        let batch = match &self.device {
            Some(device) => Staged::Device(Box::new(batch.upload(device))),
            None => Staged::Host(batch),
        };
        Some(Ok(Turn { batch, iteration, margin, ids, progress: self.batches.progress() }))
    }
}

impl Iterator for Ahead<'_> {
    type Item = Result<Turn, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next.take().or_else(|| self.pull())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three batches, of which the host takes no more than it is asked for.
    struct Three(usize);

    impl Iterator for Three {
        type Item = Result<Batch, DatasetError>;

        fn next(&mut self) -> Option<Self::Item> {
            (self.0 < 3).then(|| {
                self.0 += 1;
                Ok(Batch {
                    features: vec![0.0; 4],
                    shape: [2, 2, 1],
                    on_device: None,
                    labels: vec![0, 1],
                    ids: vec!["a".into(), "b".into()],
                    iteration: self.0 - 1,
                    margin: 0.1,
                })
            })
        }
    }

    impl DataLoaderIterator<Batch> for Three {
        fn progress(&self) -> Progress {
            Progress::new(2 * self.0, 6, None)
        }
    }

    #[test]
    fn batches_keep_their_order_and_their_progress() {
        for (device, uploaded) in [(None, false), (Some(Device::default().autodiff()), true)] {
            let mut ahead = Ahead::new(Box::new(Three(0)), device);
            let mut met = Vec::new();
            while let Some(turn) = ahead.next() {
                let turn = turn.unwrap();
                assert_eq!(matches!(turn.batch, Staged::Device(_)), uploaded);
                met.push((turn.iteration, turn.progress.items_processed));
                // Asked for twice, the next batch comes once.
                ahead.fetch();
                ahead.fetch();
            }
            assert_eq!(met, [(0, 2), (1, 4), (2, 6)]);
        }
    }
}
