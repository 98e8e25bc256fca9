//! Faults of audio that the ranks of a training tell each other, so that they count together.

use super::TrainSet;
use super::left_out::LeftOut;
use crate::backend::collective::Communicator;
use crate::error::{Error, Result};

impl TrainSet {
    /// How many of these faults other ranks have not been told of.
    pub(in crate::train) fn count_news(&self) -> usize {
        self.lists().map(LeftOut::count_news).sum()
    }

    /// Tells all ranks of the faults on each, so that those of all count together. All ranks call
    /// it.
    ///
    /// # Errors
    /// More faults than may be, on all ranks at once. Those of [`Communicator::sum_f64`].
    pub(in crate::train) fn share_news(&self, ranks: &dyn Communicator) -> Result<()> {
        let ours: Vec<_> = self.lists().map(LeftOut::news).collect();
        let bytes = serde_json::to_vec(&ours).map_err(|e| Error::Training(e.to_string()))?;
        for (rank, bytes) in ranks.gather(bytes)?.into_iter().enumerate() {
            if rank == ranks.rank() {
                continue;
            }
            let told: Vec<Vec<(usize, String)>> = serde_json::from_slice(&bytes)
                .map_err(|e| Error::Training(format!("rank {rank} told of faults: {e}")))?;
            for (list, news) in self.lists().zip(told) {
                for (number, fault) in news {
                    if let Some(text) = list.learn(number, fault)? {
                        (self.warn)(&format!("{text}; left out"));
                    }
                }
            }
        }
        Ok(())
    }

    /// What is left out of each list: utterances, then sounds.
    fn lists(&self) -> impl Iterator<Item = &LeftOut> {
        std::iter::once(&self.left_out).chain(self.variation.lists())
    }
}
