//! Statistics over a whole cohort, from its mean and covariance.

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::lanes::Lanes;
use crate::scoring::as_norm::{Normaliser, TopStatistics, distinct};
use crate::scoring::cosine::NOISE;
use crate::scoring::directions::Directions;

/// Members whose values are laid out at a time.
const BLOCK: usize = 1024;

/// Mean and covariance of a cohort of functions of a vector u, `weights . u + offset`. Those of a
/// vector's scores follow: with x = (u, 1), mean . x and x . covariance . x.
pub(super) struct Moments {
    /// Values of u.
    dim: usize,
    /// `[dim + 1]`: weights, and the offset.
    mean: Vec<f64>,
    /// `[dim + 1, dim + 1]`.
    covariance: Vec<f64>,
}

/// Writes the weights of a function to `[dim]`, and returns its offset.
type Write<'w> = &'w dyn Fn(usize, &mut [f64]) -> f64;

impl Moments {
    /// Of the products with `count` unit vectors, which `unit` writes to `[dim]`.
    pub fn of_units(count: usize, dim: usize, unit: &dyn Fn(usize, &mut [f64])) -> Self {
        Self::of(count, dim, &|i, to| {
            unit(i, to);
            0.0
        })
    }

    /// Of the products with these unit vectors, each normalised by what it gives of all of them,
    /// itself among them: (unit . u - mean) / std.
    ///
    /// # Errors
    /// A unit vector whose products with all are equal but for rounding.
    pub fn normed_by_itself(
        &self,
        count: usize,
        unit: &(dyn Fn(usize, &mut [f64]) + Sync),
    ) -> Result<Self> {
        let find = |row: &mut Vec<f64>, i| {
            unit(i, row);
            self.statistics(row)
        };
        let own: Vec<TopStatistics> =
            (0..count).into_par_iter().map_init(|| vec![0.0; self.dim], find).collect();
        if own.iter().any(|found| found.std < NOISE) {
            let message = "the cohort holds copies of one embedding: zt-norm needs a spread";
            return Err(Error::Undefined(message.into()));
        }
        Ok(Self::of(count, self.dim, &|i, to| {
            let TopStatistics { mean, std } = own[i];
            unit(i, to);
            to.iter_mut().for_each(|x| *x /= std);
            -mean / std
        }))
    }

    fn of(count: usize, dim: usize, write: Write) -> Self {
        let (width, mut row) = (dim + 1, vec![0.0; dim + 1]);
        let write = |i: usize, row: &mut [f64]| row[dim] = write(i, &mut row[..dim]);
        let mut mean = vec![0.0; width];
        for i in 0..count {
            write(i, &mut row);
            mean.iter_mut().zip(&row).for_each(|(m, x)| *m += x);
        }
        mean.iter_mut().for_each(|m| *m /= count as f64);
        let mut covariance = vec![0.0; width * width];
        // `[width, some]`: a block's values of one dimension lie side by side.
        let mut block = vec![0.0; width * BLOCK.min(count)];
        for first in (0..count).step_by(BLOCK) {
            let some = BLOCK.min(count - first);
            for k in 0..some {
                write(first + k, &mut row);
                for (j, (x, m)) in row.iter().zip(&mean).enumerate() {
                    block[j * some + k] = x - m;
                }
            }
            let values = |j: usize| &block[j * some..][..some];
            covariance.par_chunks_exact_mut(width).enumerate().for_each(|(i, sums)| {
                for (j, sum) in sums.iter_mut().enumerate() {
                    *sum += Lanes::<8>::sum2(values(i), values(j), |x, y| x * y);
                }
            });
        }
        covariance.iter_mut().for_each(|x| *x /= count as f64);
        Self { dim, mean, covariance }
    }

    /// Mean and deviation of the functions of a vector, `[dim]`.
    pub fn statistics(&self, vector: &[f64]) -> TopStatistics {
        // The last value of x is 1.
        let product =
            |row: &[f64]| Lanes::<8>::sum2(&row[..self.dim], vector, |a, x| a * x) + row[self.dim];
        let rows = self.covariance.chunks_exact(self.dim + 1);
        let var: f64 = rows.zip(vector.iter().chain([&1.0])).map(|(row, x)| x * product(row)).sum();
        // Rounding can lead below zero.
        TopStatistics { mean: product(&self.mean), std: var.max(0.0).sqrt() }
    }

    /// The statistics of the vectors at `places`, once for each, on all cores. `done` is called
    /// after each.
    ///
    /// # Errors
    /// Another dimension than the cohort's; a vector from which the cohort is equally far but for
    /// rounding.
    pub fn normaliser(
        &self,
        of: &dyn Directions,
        places: impl IntoIterator<Item = usize>,
        done: &(dyn Fn() + Sync),
    ) -> Result<Normaliser> {
        if of.dim() != self.dim {
            let message =
                format!("the cohort has {} values, the embeddings {}", self.dim, of.dim());
            return Err(Error::invalid(message));
        }
        let used = distinct(places);
        let find = |row: &mut Vec<f64>, &place: &usize| {
            of.write_scaled(place, row);
            let found = self.statistics(row);
            done();
            found
        };
        let found: Vec<TopStatistics> =
            used.par_iter().map_init(|| vec![0.0; self.dim], find).collect();
        let mut statistics = vec![None; of.count()];
        for (place, found) in used.into_iter().zip(found) {
            if found.std < NOISE {
                return Err(Error::Undefined(format!(
                    "`{}` is equally far from all of the cohort; these are copies of one \
                     embedding, or too few",
                    of.name(place)
                )));
            }
            statistics[place] = Some(found);
        }
        Ok(Normaliser { statistics })
    }
}
