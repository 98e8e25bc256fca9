//! Score normalisation by a cohort: z-, t-, s- and zt-norm over all of it (Auckenthaler, Carey,
//! Lloyd-Thomas 2000; Kenny 2010 for s-norm), and adaptive forms over the nearest of each side
//! (Matejka et al. 2017, `adaptive s-norm 1 and 2`).
//!
//! With mu and sigma for mean and population standard deviation of the cosines with the cohort, z
//! is (s - mu_e) / sigma_e of the enrolment side, t the same of the test side, and s their mean.

mod moments;

use std::sync::Arc;

use self::moments::Moments;
use super::as_norm::{
    AsNorm, Crosswise, Normaliser, Side, TopStatistics, both_sides, inverse_lengths,
};
use super::directions::Directions;
use super::{Compared, Scorer};
use crate::error::{Error, Result};

/// A form of score normalisation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Norm {
    /// The enrolment side's statistics over the whole cohort.
    Z,
    /// The test side's statistics over the whole cohort.
    T,
    /// The mean of z and t.
    S,
    /// z, then t-norm of z-normalised scores; the cohort is z-normalised against itself.
    Zt,
    /// The mean of both sides, each with the statistics of its nearest of the cohort (AS-norm).
    #[default]
    As1,
    /// As as1, but each side has its statistics over the nearest of the other side.
    As2,
    /// The enrolment side of as1.
    Az,
    /// The test side of as1.
    At,
}

impl Norm {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Z, Self::T, Self::S, Self::Zt, Self::As1, Self::As2, Self::Az, Self::At];

    /// The name, as options have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Z => "z",
            Self::T => "t",
            Self::S => "s",
            Self::Zt => "zt",
            Self::As1 => "as1",
            Self::As2 => "as2",
            Self::Az => "az",
            Self::At => "at",
        }
    }

    /// Whether only the nearest of the cohort count.
    pub fn is_adaptive(self) -> bool {
        matches!(self, Self::As1 | Self::As2 | Self::Az | Self::At)
    }
}

/// A cohort, and the form in which it normalises scores.
///
/// What it costs: as1, az and at take a quick bound of each cosine of an utterance with the cohort,
/// and those cosines that can be among the nearest. as2 takes up to twice as much, then `2 * top`
/// cosines a trial, and keeps `4 * top` bytes an utterance. z, t, s and zt take `dim * dim`
/// multiplications an utterance, however large the cohort is.
pub struct Cohort {
    norm: Norm,
    kind: Kind,
}

enum Kind {
    Nearest(AsNorm),
    All(Moments),
    /// Those of the cohort, and of its z-normalised scores.
    Twice(Moments, Moments),
}

impl Cohort {
    /// Takes the embeddings of `cohort`, less its mean if it has one. `top` is for adaptive forms:
    /// so many of the largest cosines count, or all if there are fewer.
    ///
    /// # Errors
    /// A cohort or a `top` of fewer than two; for zt, copies of one embedding as a cohort.
    ///
    /// # Panics
    /// If an embedding of the cohort has no direction, as in [`Scorer::unit`].
    pub fn new(norm: Norm, cohort: &Scorer, top: usize) -> Result<Self> {
        let kind = match norm.is_adaptive() {
            true => Kind::Nearest(AsNorm::new(cohort, top)?),
            false => {
                let unit = |i: usize, to: &mut [f64]| cohort.write_scaled(i, to);
                Kind::of_all(norm, cohort.count(), cohort.embeddings().dim(), &unit)?
            }
        };
        Ok(Self { norm, kind })
    }

    /// A cohort of vectors `[members, dim]` in f64, less any mean. f32 would round them.
    ///
    /// # Errors
    /// As [`new`](Self::new); a vector of zeros.
    ///
    /// # Panics
    /// If `vectors` is no matrix of `dim` columns.
    pub fn of_vectors(norm: Norm, vectors: &[f64], dim: usize, top: usize) -> Result<Self> {
        let kind = match norm.is_adaptive() {
            true => Kind::Nearest(AsNorm::of_vectors(vectors, dim, top)?),
            false => {
                let inverse = inverse_lengths(vectors, dim)?;
                let unit = |i: usize, to: &mut [f64]| {
                    let vector = &vectors[i * dim..][..dim];
                    to.iter_mut().zip(vector).for_each(|(u, x)| *u = x * inverse[i]);
                };
                Kind::of_all(norm, inverse.len(), dim, &unit)?
            }
        };
        Ok(Self { norm, kind })
    }

    /// How many of the cohort count, if only the nearest do.
    pub fn top(&self) -> Option<usize> {
        match &self.kind {
            Kind::Nearest(near) => Some(near.top()),
            Kind::All(_) | Kind::Twice(..) => None,
        }
    }

    /// Computes what trials with these enrolment and test sides need, once for each utterance or
    /// model, on all cores. `done` is called after each.
    ///
    /// # Errors
    /// Another dimension than the cohort's; an utterance or model from which the cohort is equally
    /// far but for rounding.
    pub fn normalise<'a>(
        &'a self,
        compared: Compared<'a>,
        enroll: impl IntoIterator<Item = usize>,
        test: impl IntoIterator<Item = usize>,
        done: &(dyn Fn() + Sync),
    ) -> Result<Normalised<'a>> {
        let enroll: Vec<usize> = enroll.into_iter().collect();
        let test: Vec<usize> = test.into_iter().collect();
        let enrolled = enrolled(compared);
        let how = match (&self.kind, self.norm) {
            (Kind::Twice(z, zt), _) => How::Then(
                z.normaliser(enrolled, enroll, done)?,
                zt.normaliser(compared.scorer, test, done)?,
            ),
            // The nearest of any vector are then the whole cohort.
            (Kind::Nearest(near), Norm::As2) if !near.takes_all() => {
                let [e, t] =
                    both(compared, enroll, test, &|of, places| near.top_places(of, places, done))?;
                let enroll = Side { of: enrolled, nearest: e };
                let test = Side { of: compared.scorer, nearest: t };
                How::Crosswise(Crosswise { norm: near, enroll, test })
            }
            (Kind::Nearest(near), norm) => How::of(norm, compared, enroll, test, &|of, places| {
                near.normaliser_of(of, places, done)
            })?,
            (Kind::All(all), norm) => How::of(norm, compared, enroll, test, &|of, places| {
                all.normaliser(of, places, done)
            })?,
        };
        Ok(Normalised { compared, how })
    }
}

impl Kind {
    /// Moments of `count` unit vectors, which `unit` writes.
    fn of_all(
        norm: Norm,
        count: usize,
        dim: usize,
        unit: &(dyn Fn(usize, &mut [f64]) + Sync),
    ) -> Result<Self> {
        if count < 2 {
            let message = format!("the cohort holds one embedding: {}-norm needs two", norm.name());
            return Err(Error::invalid(message));
        }
        let all = Moments::of_units(count, dim, unit);
        match norm {
            Norm::Zt => {
                let normed = all.normed_by_itself(count, unit)?;
                Ok(Self::Twice(all, normed))
            }
            _ => Ok(Self::All(all)),
        }
    }
}

/// The vectors of the enrolment side.
fn enrolled(compared: Compared<'_>) -> &dyn Directions {
    match compared.models {
        None => compared.scorer,
        Some(models) => models,
    }
}

/// What is found for vectors at places.
type Find<'f, T> = &'f dyn Fn(&dyn Directions, Vec<usize>) -> Result<T>;

/// What `find` finds for both sides: once for an utterance that is on both.
fn both<T>(
    compared: Compared,
    enroll: Vec<usize>,
    test: Vec<usize>,
    find: Find<T>,
) -> Result<[Arc<T>; 2]> {
    match compared.models {
        None => {
            let all = Arc::new(find(compared.scorer, [enroll, test].concat())?);
            Ok([all.clone(), all])
        }
        Some(models) => {
            Ok([Arc::new(find(models, enroll)?), Arc::new(find(compared.scorer, test)?)])
        }
    }
}

/// What a score is normalised with.
enum How<'a> {
    Enroll(Normaliser),
    Test(Normaliser),
    Both([Arc<Normaliser>; 2]),
    /// The enrolment side's first, then the test side's.
    Then(Normaliser, Normaliser),
    Crosswise(Crosswise<'a>),
}

impl How<'_> {
    /// The statistics that a form needs where both sides have theirs by themselves.
    fn of(
        norm: Norm,
        compared: Compared,
        enroll: Vec<usize>,
        test: Vec<usize>,
        find: Find<Normaliser>,
    ) -> Result<Self> {
        match norm {
            Norm::Z | Norm::Az => Ok(Self::Enroll(find(enrolled(compared), enroll)?)),
            Norm::T | Norm::At => Ok(Self::Test(find(compared.scorer, test)?)),
            // zt never comes here: its sides have statistics of different kinds.
            Norm::S | Norm::Zt | Norm::As1 | Norm::As2 => {
                Ok(Self::Both(both(compared, enroll, test, find)?))
            }
        }
    }
}

/// Scores of trials, normalised.
pub struct Normalised<'a> {
    compared: Compared<'a>,
    how: How<'a>,
}

impl Normalised<'_> {
    /// The normalised score of a trial: an enrolment and a test side that were asked for.
    ///
    /// # Panics
    /// If they were not.
    pub fn score(&self, enroll: usize, test: usize) -> f64 {
        let s = self.compared.score(enroll, test);
        match &self.how {
            How::Enroll(by) => by.statistics(enroll).normalised(s),
            How::Test(by) => by.statistics(test).normalised(s),
            How::Both([e, t]) => both_sides(s, e.statistics(enroll), t.statistics(test)),
            How::Then(e, t) => t.statistics(test).normalised(e.statistics(enroll).normalised(s)),
            How::Crosswise(sides) => sides.score(s, enroll, test),
        }
    }

    /// The statistics of a trial's two sides, where each side has its own: for s and as1, and for
    /// as2 if `top` is the whole cohort.
    ///
    /// # Panics
    /// As [`score`](Self::score).
    pub fn statistics(&self, enroll: usize, test: usize) -> Option<[TopStatistics; 2]> {
        match &self.how {
            How::Both([e, t]) => Some([e.statistics(enroll), t.statistics(test)]),
            _ => None,
        }
    }
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
