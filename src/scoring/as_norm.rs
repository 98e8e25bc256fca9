//! Adaptive score normalisation (WeSpeaker `wespeaker/bin/score_norm.py`).
//!
//! All cosines are computed in f64. An upper bound of each, by products of bytes or in f32, tells
//! which members of the cohort can be among the nearest of an utterance, and only their cosines are
//! computed. Neither the kind of bounds nor the number of threads changes a bit of the result. A
//! mean is taken out of the products, which rounds otherwise than [`Scorer::score`] does
//! ([`Members`] has the bound, about 1e-14).

mod between;
#[cfg(target_arch = "x86_64")]
mod bytes;
mod crosswise;
mod dots;
mod filter;
mod members;
mod nearest;
mod products;
mod rows;
mod statistics;

use rayon::prelude::*;

pub(super) use self::crosswise::{Crosswise, Side};
use self::filter::{Filter, Prepared};
use self::members::Members;
use self::nearest::{Nearest, Room};
use self::rows::Rows;
pub(super) use self::statistics::both_sides;
pub use self::statistics::{Normaliser, TopStatistics};
use super::Scorer;
use super::cosine::NOISE;
use super::directions::Directions;
use crate::error::{Error, Result};
use crate::lanes::Lanes;

/// Most utterances that are compared with the cohort at a time. The cohort's values pass through a
/// core's cache once for all of them.
const ROWS: usize = 256;
/// Most members of the cohort that they are compared with at a time: 8 MiB of bounds. A multiple of
/// what [`Filter::bounds`] asks for.
const COLUMNS: usize = 8192;
/// Most of the nearest that are kept at a time, of all utterances: 32 MiB.
const KEPT: usize = 1 << 22;

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
        check_sizes(n, top)?;
        let filter = (top <= n / 2).then(|| Filter::of(cohort));
        let dim = cohort.embeddings().dim();
        Ok(Self { members: Members::of(cohort), filter, dim, top: top.min(n) })
    }

    /// A cohort of vectors `[members, dim]` that f32 would round, such as means. It is slower than
    /// [`new`](Self::new): every cosine is computed in f64.
    ///
    /// # Errors
    /// As [`new`](Self::new); a vector of zeros.
    ///
    /// # Panics
    /// If `vectors` is no matrix of `dim` columns.
    pub fn of_vectors(vectors: &[f64], dim: usize, top: usize) -> Result<Self> {
        let inverse = inverse_lengths(vectors, dim)?;
        let n = inverse.len();
        check_sizes(n, top)?;
        let members = Members::wide(vectors.to_vec(), inverse);
        Ok(Self { members, filter: None, dim, top: top.min(n) })
    }

    /// How many of the largest cosines count.
    pub fn top(&self) -> usize {
        self.top
    }

    /// Whether all cosines count.
    pub(super) fn takes_all(&self) -> bool {
        self.top == self.members.len()
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
        self.nearest_of(space, columns).iter().map(Nearest::statistics).collect()
    }

    /// The largest cosines of the rows in `space`, as [`statistics_of`](Self::statistics_of). It
    /// leaves the rows prepared.
    fn nearest_of(&self, space: &mut Space, columns: usize) -> Vec<Nearest> {
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
        found
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
        self.normaliser_of(scorer, places, done)
    }

    /// [`normaliser`](Self::normaliser) of any vectors.
    pub(super) fn normaliser_of(
        &self,
        of: &dyn Directions,
        places: impl IntoIterator<Item = usize>,
        done: &(dyn Fn() + Sync),
    ) -> Result<Normaliser> {
        let find = |space: &mut Space| self.statistics_of(space, COLUMNS);
        let found = self.by_place(of, places, done, &find)?;
        let mut statistics = vec![None; of.count()];
        for (place, found) in found {
            self.check_spread(of, place, found)?;
            statistics[place] = Some(found);
        }
        Ok(Normaliser { statistics })
    }

    /// What `find` makes of the vectors at `places`, once for each, on all cores, by place.
    fn by_place<T: Send>(
        &self,
        of: &dyn Directions,
        places: impl IntoIterator<Item = usize>,
        done: &(dyn Fn() + Sync),
        find: &(dyn Fn(&mut Space) -> Vec<T> + Sync),
    ) -> Result<impl Iterator<Item = (usize, T)>> {
        if of.dim() != self.dim {
            let message =
                format!("the cohort has {} values, the embeddings {}", self.dim, of.dim());
            return Err(Error::invalid(message));
        }
        let used = distinct(places);
        // The size of a block must not depend on the number of threads.
        let found: Vec<Vec<T>> = used
            .par_chunks((KEPT / self.top).clamp(1, ROWS))
            .map_init(Space::default, |space, places| {
                space.rows.fill(of, places.iter().copied());
                let found = find(space);
                found.iter().for_each(|_| done());
                found
            })
            .collect();
        Ok(used.into_iter().zip(found.into_iter().flatten()))
    }

    /// Refuses a spread that is rounding.
    fn check_spread(&self, of: &dyn Directions, place: usize, found: TopStatistics) -> Result<()> {
        if found.std >= NOISE {
            return Ok(());
        }
        let (name, top) = (of.name(place), self.top);
        Err(Error::Undefined(format!(
            "AS-norm: `{name}` is equally far from its {top} nearest of the cohort; these are \
             copies of one embedding, or too few"
        )))
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

/// Places in ascending order, each once.
pub(super) fn distinct(places: impl IntoIterator<Item = usize>) -> Vec<usize> {
    let mut used: Vec<usize> = places.into_iter().collect();
    used.sort_unstable();
    used.dedup();
    used
}

/// Refuses cohorts without spread.
fn check_sizes(members: usize, top: usize) -> Result<()> {
    if top < 2 {
        return Err(Error::invalid(format!(
            "top-n = {top}: AS-norm needs two embeddings at least"
        )));
    }
    if members < 2 {
        return Err(Error::invalid("the cohort holds one embedding: AS-norm needs two at least"));
    }
    Ok(())
}

/// 1 over the lengths of vectors `[count, dim]`.
///
/// # Errors
/// A vector of zeros.
pub(super) fn inverse_lengths(vectors: &[f64], dim: usize) -> Result<Vec<f64>> {
    assert!(dim > 0 && vectors.len().is_multiple_of(dim), "no matrix of {dim} columns");
    let inverse = |(i, v): (usize, &[f64])| {
        let length = Lanes::<8>::sum2(v, v, |x, y| x * y).sqrt();
        match length > 0.0 {
            true => Ok(1.0 / length),
            false => Err(Error::Undefined(format!("vector {i} of the cohort has no direction"))),
        }
    };
    vectors.chunks_exact(dim).enumerate().map(inverse).collect()
}

#[cfg(test)]
mod tests;
