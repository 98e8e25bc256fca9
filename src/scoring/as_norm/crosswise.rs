//! Statistics of one side of a trial over the nearest of the other.

use std::cell::RefCell;
use std::sync::Arc;

use super::between::between;
use super::nearest::below;
use super::rows::Row;
use super::{AsNorm, COLUMNS, Space, TopStatistics, both_sides};
use crate::error::Result;
use crate::scoring::cosine::NOISE;
use crate::scoring::directions::Directions;

/// The nearest members of the cohort of each vector, by its place: four bytes a member. None for
/// vectors in no trial.
pub(in crate::scoring) struct TopPlaces(Vec<Option<Vec<u32>>>);

impl TopPlaces {
    /// The nearest of the vector at a place, ascending.
    fn of(&self, place: usize) -> &[u32] {
        self.0[place].as_deref().expect("the nearest of every vector in a trial")
    }
}

/// One side of trials.
pub(in crate::scoring) struct Side<'a> {
    pub of: &'a dyn Directions,
    pub nearest: Arc<TopPlaces>,
}

/// AS-norm 2: each side has its statistics over the nearest of the other one. They belong to the
/// trial, so each costs two times `top` cosines.
pub(in crate::scoring) struct Crosswise<'a> {
    pub norm: &'a AsNorm,
    pub enroll: Side<'a>,
    pub test: Side<'a>,
}

/// Space of a thread.
struct Scratch {
    values: Vec<f64>,
    cosines: Vec<f64>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> =
        const { RefCell::new(Scratch { values: Vec::new(), cosines: Vec::new() }) };
}

impl AsNorm {
    /// The nearest members of the vectors at `places`, once for each, on all cores. `done` is
    /// called after each.
    ///
    /// # Errors
    /// As [`normaliser`](Self::normaliser).
    pub(in crate::scoring) fn top_places(
        &self,
        of: &dyn Directions,
        places: impl IntoIterator<Item = usize>,
        done: &(dyn Fn() + Sync),
    ) -> Result<TopPlaces> {
        let find = |space: &mut Space| self.places_of(space, COLUMNS);
        let mut all = vec![None; of.count()];
        for (place, (statistics, nearest)) in self.by_place(of, places, done, &find)? {
            self.check_spread(of, place, statistics)?;
            all[place] = Some(nearest);
        }
        Ok(TopPlaces(all))
    }

    /// The nearest members of the rows in `space`, ascending, with the statistics of their cosines.
    /// A second walk over the bounds finds them, when it is known how large a cosine must be. Of
    /// members at that very cosine the first ones count.
    fn places_of(&self, space: &mut Space, columns: usize) -> Vec<(TopStatistics, Vec<u32>)> {
        let found = self.nearest_of(space, columns);
        let Space { rows, prepared, bounds, .. } = space;
        let (mut candidates, mut cosines) = (Vec::new(), Vec::new());
        let empty = || (Vec::with_capacity(self.top), Vec::new());
        let mut lists: Vec<(Vec<u32>, Vec<u32>)> = found.iter().map(|_| empty()).collect();
        let n = self.members.len();
        for first in (0..n).step_by(columns) {
            let count = columns.min(n - first);
            let stride = self
                .filter
                .as_ref()
                .map(|filter| filter.bounds(prepared, first..first + count, bounds));
            for (i, (nearest, (above, level))) in found.iter().zip(&mut lists).enumerate() {
                let floor = nearest.floor();
                let near: &[u32] = match stride {
                    Some(stride) => {
                        let bounds = &bounds[i * stride..][..count];
                        between(bounds, below(floor), f32::INFINITY, &mut candidates)
                    }
                    None => {
                        candidates.clear();
                        candidates.extend(0..count as u32);
                        &candidates
                    }
                };
                cosines.clear();
                self.members.cosines(&rows.row(i), first, near, &mut cosines);
                for (&place, &cosine) in near.iter().zip(&cosines) {
                    let place = first as u32 + place;
                    if cosine > floor {
                        above.push(place);
                    } else if cosine == floor && level.len() < self.top {
                        level.push(place);
                    }
                }
            }
        }
        let joined = |(mut above, level): (Vec<u32>, Vec<u32>)| {
            above.extend(&level[..self.top - above.len()]);
            above.sort_unstable();
            above
        };
        found.iter().map(|found| found.statistics()).zip(lists.into_iter().map(joined)).collect()
    }
}

impl Crosswise<'_> {
    /// The normalised score of a trial whose score is `s`.
    pub fn score(&self, s: f64, enroll: usize, test: usize) -> f64 {
        SCRATCH.with_borrow_mut(|scratch| {
            let e = self.over(&self.enroll, enroll, self.test.nearest.of(test), scratch);
            let t = self.over(&self.test, test, self.enroll.nearest.of(enroll), scratch);
            both_sides(s, e, t)
        })
    }

    /// Statistics of one vector over these members. A spread that is rounding counts as large as
    /// rounding is: nothing is divided by zero.
    fn over(
        &self,
        side: &Side,
        place: usize,
        members: &[u32],
        scratch: &mut Scratch,
    ) -> TopStatistics {
        let Scratch { values, cosines } = scratch;
        values.resize(side.of.dim(), 0.0);
        let inverse = side.of.write(place, values);
        let row = Row { values, inverse };
        cosines.clear();
        self.norm.members.cosines(&row, 0, members, cosines);
        let TopStatistics { mean, std } = TopStatistics::of(cosines);
        TopStatistics { mean, std: std.max(NOISE) }
    }
}
