//! Bounds of the cosines of many unit vectors with those of a cohort, by matrix products in f32.

#![allow(unsafe_code, reason = "matrix products take pointers")]

use std::ops::Range;

use gemm::Parallelism;

use super::rows::Rows;
use crate::scoring::Scorer;

/// Members of a cohort that are laid out at a time: a cache line of values.
const TOGETHER: usize = 16;

/// The unit vectors of a cohort, computed in f64 and rounded once, laid out for products.
pub(super) struct Products {
    /// `[dim, count]`: the members' values of one dimension lie side by side.
    values: Vec<f32>,
    dim: usize,
    count: usize,
}

/// Unit vectors, rounded to f32: `[rows, dim]`.
#[derive(Default)]
pub(super) struct Units {
    values: Vec<f32>,
    unit: Vec<f64>,
}

impl Units {
    /// Takes the unit vectors of `rows` instead of what it holds.
    pub fn fill(&mut self, rows: &Rows) {
        self.values.clear();
        for i in 0..rows.len() {
            rows.write_unit(i, &mut self.unit);
            self.values.extend(self.unit.iter().map(|&x| x as f32));
        }
    }

    /// One of them.
    pub fn unit(&self, i: usize, dim: usize) -> &[f32] {
        &self.values[i * dim..][..dim]
    }
}

impl Products {
    /// The embeddings of `scorer`, less its mean.
    ///
    /// # Panics
    /// If one has no direction, as in [`Scorer::unit`].
    pub fn of(scorer: &Scorer) -> Self {
        let (count, dim) = (scorer.embeddings().len(), scorer.embeddings().dim());
        let mut values = vec![0.0f32; dim * count];
        let (mut rows, mut units) = (Rows::default(), Units::default());
        for first in (0..count).step_by(TOGETHER) {
            let some = TOGETHER.min(count - first);
            rows.fill(scorer, first..first + some);
            units.fill(&rows);
            for j in 0..dim {
                let side_by_side = &mut values[j * count + first..][..some];
                let members = side_by_side.iter_mut().enumerate();
                members.for_each(|(k, x)| *x = units.values[k * dim + j]);
            }
        }
        Self { values, dim, count }
    }

    /// Writes bounds of the cosines of unit vectors with these members to `bounds`, `[rows,
    /// members]`. No cosine exceeds its bound. This thread computes all.
    ///
    /// # Panics
    /// If the unit vectors have another dimension, or the cohort has no such members.
    pub fn bounds(&self, units: &Units, members: Range<usize>, bounds: &mut Vec<f32>) {
        let units = units.values.as_slice();
        assert!(units.len().is_multiple_of(self.dim), "unit vectors of another dimension");
        assert!(members.start < members.end && members.end <= self.count, "no such members");
        let (rows, columns) = (units.len() / self.dim, members.len());
        bounds.resize(rows * columns, 0.0);
        let stride = |values: usize| values as isize;
        // SAFETY: `units` holds `rows` rows of `dim` values. `values` holds `dim` rows of `count`
        // values, of which the product reads the columns in `members`. `bounds` holds `rows` rows
        // of `columns` values, and nobody else has it. What it held is not read.
        unsafe {
            gemm::gemm(
                rows,
                columns,
                self.dim,
                bounds.as_mut_ptr(),
                1,
                stride(columns),
                false,
                units.as_ptr(),
                1,
                stride(self.dim),
                self.values[members.start..].as_ptr(),
                1,
                stride(self.count),
                0.0,
                1.0,
                false,
                false,
                false,
                Parallelism::None,
            );
        }
        // Each of `dim` sums and products, and of the roundings before them, is off by half an
        // epsilon at most, relative to lengths of one. This is twice as much.
        let slack = (self.dim as f32 + 16.0) * f32::EPSILON;
        bounds.iter_mut().for_each(|x| *x += slack);
    }
}
