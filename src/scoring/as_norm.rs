//! Adaptive score normalisation (WeSpeaker `wespeaker/bin/score_norm.py`).
//!
//! The cosines with the cohort are products in f32 of unit vectors that were computed in f64. They
//! are off by 1e-7 or so, and their means by 1e-8. A normalised score is off by as much divided by
//! a deviation: at most 1e-5 on values up to 26. The cosines of trials, means, deviations and what
//! is made of them are computed in f64. The number of threads changes no bit.

mod nearest;
mod products;

use rayon::prelude::*;

use self::nearest::{Nearest, Room};
use self::products::Cohort;
use super::Scorer;
use super::cosine::NOISE;
use crate::error::{Error, Result};

/// Most utterances that are compared with the cohort at a time. The cohort's values pass through a
/// core's cache once for all of them.
const ROWS: usize = 256;
/// Most members of the cohort that they are compared with at a time: 8 MiB of cosines.
const COLUMNS: usize = 8192;
/// Most of the nearest that are kept at a time, of all utterances: 32 MiB.
const KEPT: usize = 1 << 23;

/// Mean and population standard deviation of an utterance's largest cosines with a cohort.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TopStatistics {
    /// Mean.
    pub mean: f64,
    /// Standard deviation, dividing by n.
    pub std: f64,
}

/// A cohort of unit vectors.
pub struct AsNorm {
    cohort: Cohort,
    top: usize,
}

/// Space of a thread.
#[derive(Default)]
struct Space {
    units: Vec<f32>,
    cosines: Vec<f32>,
    room: Room,
}

impl AsNorm {
    /// Takes the unit vectors of `cohort`, which has subtracted its mean if it has one. The `top`
    /// largest cosines count, or all if there are fewer (see [`top`](Self::top)).
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
        Ok(Self { cohort: Cohort::of(cohort), top: top.min(n) })
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
        assert_eq!(unit.len(), self.cohort.dim(), "a unit vector of another dimension");
        let units = unit.iter().map(|&x| x as f32).collect();
        self.statistics_of(&mut Space { units, ..Space::default() }, COLUMNS)[0]
    }

    /// Statistics of the unit vectors in `space`, compared with so many members at a time.
    fn statistics_of(&self, space: &mut Space, columns: usize) -> Vec<TopStatistics> {
        let Space { units, cosines, room } = space;
        let n = self.cohort.len();
        let columns = n.div_ceil(n.div_ceil(columns));
        let mut rows: Vec<Nearest> =
            (0..units.len() / self.cohort.dim()).map(|_| Nearest::new(self.top)).collect();
        for first in (0..n).step_by(columns) {
            let members = first..n.min(first + columns);
            let count = members.len();
            self.cohort.cosines(units, members, cosines);
            for (nearest, cosines) in rows.iter_mut().zip(cosines.chunks_exact(count)) {
                nearest.add(cosines, room);
            }
        }
        rows.iter().map(Nearest::statistics).collect()
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
        let dim = self.cohort.dim();
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
                space.units.resize(places.len() * dim, 0.0);
                for (unit, &place) in space.units.chunks_exact_mut(dim).zip(places) {
                    scorer.write_unit(place, unit);
                }
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
