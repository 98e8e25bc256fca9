//! Whether cosines in f32 are close enough for statistics.
//!
//! A normalised score is z = (s - m) / d, and s is a cosine in f64. If the n cosines behind m and d
//! are off by independent errors of deviation e, then m is off by e / sqrt(n), and so is d, at
//! most. So z is off by e / d (1 + |z|) / sqrt(n), where z is at most (1 - m) / d: that of a copy.
//! What rounding the row to f32 does to all cosines alike is less than e / 2, and adds that to m.
//!
//! What holds in the worst case, 3 u |x| |y| with u = 2^-24, is about a hundred times more than e.
//! Errors behave as if they were independent (Higham and Mary 2019, `A new approach to
//! probabilistic rounding error analysis`). A rounding has a deviation of about 0.42 u, relative to
//! what is rounded. That is a value of the row, a product, or the sum of a pair, which is as large
//! as the root of the sum of both squares. So e is 0.42 sqrt(1 + 1.5) u sqrt(sum x_i^2 y_i^2) for
//! unit vectors x and y. The last root is at most the product of both [`weight`]s (Cauchy and
//! Schwarz): nearly twice of what it is for vectors without large values.

use crate::lanes::Lanes;
use crate::scoring::{Scorer, TopStatistics};

/// Smaller cohorts take little time anyway.
const MEMBERS: usize = 1000;
/// The slack of bounds covers errors in f32 from so many values on.
const VALUES: usize = 64;
/// Most that members may be longer than their differences from the mean. Bounds have slack for it.
const LONGER: f64 = 8.0;
/// Lengths whose products stay far from the ends of f32.
const LENGTHS: std::ops::Range<f64> = 1e-10..1e10;
/// Half the distance from 1 to the next f32.
const HALF: f64 = f32::EPSILON as f64 / 2.0;
/// The deviation of a cosine's error, relative to [`HALF`] and the root of the sum of squares.
const ERROR: f64 = 0.66;
/// The most that the normalised score of a copy may be off by: one deviation.
const MOST: f64 = 1e-6;

/// What is known of a cohort whose cosines may be computed in f32.
pub(super) struct Quick {
    /// The largest [`weight`] of a member, less the mean, of length one.
    weight: f64,
}

impl Quick {
    /// None for cohorts whose cosines are computed in f64.
    ///
    /// # Panics
    /// If an embedding has no direction, as in [`Scorer::unit`].
    pub fn of(cohort: &Scorer) -> Option<Self> {
        let embeddings = cohort.embeddings();
        if embeddings.len() < MEMBERS || embeddings.dim() < VALUES {
            return None;
        }
        let mut largest = 0.0f64;
        for i in 0..embeddings.len() {
            let (row, inverse) = (embeddings.row(i), cohort.inverse(i));
            let square = Lanes::<8>::sum2(row, row, |x, _| f64::from(x) * f64::from(x));
            let length = square.sqrt();
            if !LENGTHS.contains(&length) || length * inverse > LONGER {
                return None;
            }
            largest = largest.max(weight(row) * inverse);
        }
        Some(Self { weight: largest })
    }

    /// Whether statistics of the `top` nearest of a unit vector are close enough.
    pub fn is_enough(&self, unit: &[f32], found: TopStatistics, top: usize) -> bool {
        let TopStatistics { mean, std } = found;
        let error = ERROR * HALF * self.weight * weight(unit);
        let copy = (1.0 - mean) / std;
        let off = error / std * (0.5 + (1.0 + copy) / (top as f64).sqrt());
        // Without any spread it is no number, and so not close.
        off <= MOST
    }
}

/// The fourth root of the sum of the fourth powers.
fn weight(values: &[f32]) -> f64 {
    let sum = Lanes::<8>::sum2(values, values, |x, _| {
        let square = f64::from(x) * f64::from(x);
        square * square
    });
    sum.sqrt().sqrt()
}
