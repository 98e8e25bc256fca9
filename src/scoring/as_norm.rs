//! Adaptive score normalisation (WeSpeaker `wespeaker/bin/score_norm.py`).
//!
//! All cosines are computed in f64. An upper bound of each, by products of bytes or in f32, tells
//! which members of the cohort can be among the nearest of an utterance, and only their cosines are
//! computed. Neither the kind of bounds nor the number of threads changes a bit of the result.

mod between;
#[cfg(target_arch = "x86_64")]
mod bytes;
mod dots;
mod filter;
mod members;
mod nearest;
mod products;
mod rows;

use rayon::prelude::*;

use self::filter::{Filter, Prepared};
use self::members::Members;
use self::nearest::{Nearest, Room};
use self::rows::Rows;
use super::Scorer;
use super::cosine::NOISE;
use crate::error::{Error, Result};

/// Most utterances that are compared with the cohort at a time. The cohort's values pass through a
/// core's cache once for all of them.
const ROWS: usize = 256;
/// Most members of the cohort that they are compared with at a time: 8 MiB of bounds. A multiple of
/// what [`Filter::bounds`] asks for.
const COLUMNS: usize = 8192;
/// Most of the nearest that are kept at a time, of all utterances: 32 MiB.
const KEPT: usize = 1 << 22;

/// Mean and population standard deviation of an utterance's largest cosines with a cohort.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TopStatistics {
    /// Mean.
    pub mean: f64,
    /// Standard deviation, dividing by n.
    pub std: f64,
}

/// A cohort.
pub struct AsNorm {
    members: Members,
    /// None where it would spare too little.
    filter: Option<Filter>,
    dim: usize,
    top: usize,
}

/// Space of a thread.
#[derive(Default)]
struct Space {
    rows: Rows,
    prepared: Prepared,
    bounds: Vec<f32>,
    room: Room,
}

impl AsNorm {
    /// Takes the embeddings of `cohort`, less its mean if it has one. The `top` largest cosines
    /// count, or all if there are fewer (see [`top`](Self::top)).
    ///
    /// # Errors
    /// A cohort or a `top` of fewer than two: one value has no spread.
    ///
    /// # Panics
    /// If an embedding of the cohort has no direction, as in [`Scorer::unit`].
    pub fn new(cohort: &Scorer, top: usize) -> Result<Self> {
        let n = cohort.embeddings().len();
        if top < 2 {
            return Err(Error::invalid(format!(
                "top-n = {top}: AS-norm needs two embeddings at least"
            )));
        }
        if n < 2 {
            return Err(Error::invalid(
                "the cohort holds one embedding: AS-norm needs two at least",
            ));
        }
        let filter = (top <= n / 2).then(|| Filter::of(cohort));
        let dim = cohort.embeddings().dim();
        Ok(Self { members: Members::of(cohort), filter, dim, top: top.min(n) })
    }

    /// How many of the largest cosines count.
    pub fn top(&self) -> usize {
        self.top
    }

    /// Statistics of one unit vector, `[dim]`.
    ///
    /// # Panics
    /// If the cohort has another dimension.
    pub fn statistics(&self, unit: &[f64]) -> TopStatistics {
        assert_eq!(unit.len(), self.dim, "a unit vector of another dimension");
        self.statistics_of(&mut Space { rows: Rows::of_unit(unit), ..Space::default() }, COLUMNS)[0]
    }

    /// Statistics of the rows in `space`, compared with so many members at a time. They are a
    /// multiple of 64.
    fn statistics_of(&self, space: &mut Space, columns: usize) -> Vec<TopStatistics> {
        let Space { rows, prepared, bounds, room } = space;
        let n = self.members.len();
        let mut found: Vec<Nearest> = (0..rows.len()).map(|_| Nearest::new(self.top)).collect();
        if let Some(filter) = &self.filter {
            filter.prepare(rows, prepared);
        }
        for first in (0..n).step_by(columns) {
            let count = columns.min(n - first);
            let stride = self
                .filter
                .as_ref()
                .map(|filter| filter.bounds(prepared, first..first + count, bounds));
            for (i, nearest) in found.iter_mut().enumerate() {
                let cosines = |places: &[u32], to: &mut Vec<f64>| {
                    self.members.cosines(&rows.row(i), first, places, to);
                };
                match stride {
                    Some(stride) => {
                        nearest.add(&bounds[i * stride..][..count], &cosines, room);
                    }
                    None => nearest.add_all(count as u32, &cosines, room),
                }
            }
        }
        found.iter().map(Nearest::statistics).collect()
    }

    /// Computes the statistics of the utterances at `places` of `scorer`, once for each utterance,
    /// on all cores. `done` is called after each.
    ///
    /// # Errors
    /// Another dimension than the cohort's; an utterance whose nearest cohort embeddings are
    /// equally far but for rounding. Dividing by so small a spread would give noise.
    pub fn normaliser(
        &self,
        scorer: &Scorer,
        places: impl IntoIterator<Item = usize>,
        done: &(dyn Fn() + Sync),
    ) -> Result<Normaliser> {
        let dim = self.dim;
        if scorer.embeddings().dim() != dim {
            let message = format!(
                "the cohort has {dim} values, the embeddings {}",
                scorer.embeddings().dim()
            );
            return Err(Error::invalid(message));
        }
        let mut used: Vec<usize> = places.into_iter().collect();
        used.sort_unstable();
        used.dedup();
        // The size of a block must not depend on the number of threads.
        let found: Vec<Vec<TopStatistics>> = used
            .par_chunks((KEPT / self.top).clamp(1, ROWS))
            .map_init(Space::default, |space, places| {
                space.rows.fill(scorer, places.iter().copied());
                let found = self.statistics_of(space, COLUMNS);
                found.iter().for_each(|_| done());
                found
            })
            .collect();
        let mut statistics = vec![None; scorer.embeddings().len()];
        for (place, found) in used.into_iter().zip(found.into_iter().flatten()) {
            if found.std < NOISE {
                let (id, top) = (scorer.embeddings().id(place), self.top);
                return Err(Error::Undefined(format!(
                    "AS-norm: `{id}` is equally far from its {top} nearest of the cohort; these \
                     are copies of one embedding, or too few"
                )));
            }
            statistics[place] = Some(found);
        }
        Ok(Normaliser { statistics })
    }

    /// The [normalised scores](Normaliser::score) of `trials`, which are places in `scorer`. `done`
    /// is called after each utterance.
    ///
    /// # Errors
    /// As [`normaliser`](Self::normaliser).
    pub fn score(
        &self,
        scorer: &Scorer,
        trials: &[(usize, usize)],
        done: &(dyn Fn() + Sync),
    ) -> Result<Vec<f64>> {
        let normaliser = self.normaliser(scorer, trials.iter().flat_map(|&(a, b)| [a, b]), done)?;
        Ok(trials.iter().map(|&(a, b)| normaliser.score(scorer, a, b)).collect())
    }
}

/// The statistics of utterances, with which their scores are normalised.
pub struct Normaliser {
    /// By the utterance's place. None for utterances in no trial.
    statistics: Vec<Option<TopStatistics>>,
}

impl Normaliser {
    /// The normalised score of two utterances at their places in `scorer`. Of their cosine s it is
    /// 0.5 ((s - mean_e) / std_e + (s - mean_t) / std_t).
    ///
    /// # Panics
    /// If the statistics of either utterance were not asked for.
    pub fn score(&self, scorer: &Scorer, a: usize, b: usize) -> f64 {
        let s = scorer.score(a, b);
        let [e, t] = [a, b].map(|place| {
            self.statistics[place].expect("the statistics of every utterance in a trial")
        });
        0.5 * ((s - e.mean) / e.std + (s - t.mean) / t.std)
    }
}

#[cfg(test)]
mod tests;
