//! Cosines of many unit vectors with those of a cohort, as matrix products in f32.

#![allow(unsafe_code, reason = "matrix products take pointers")]

use std::ops::Range;

use gemm::Parallelism;

use crate::scoring::Scorer;

/// Members of a cohort that are laid out at a time: a cache line of values.
const TOGETHER: usize = 16;

/// The unit vectors of a cohort, computed in f64 and rounded once, laid out for products.
pub(super) struct Cohort {
    /// `[dim, count]`: the members' values of one dimension lie side by side.
    values: Vec<f32>,
    dim: usize,
    count: usize,
}

impl Cohort {
    /// The embeddings of `scorer`, less its mean.
    ///
    /// # Panics
    /// If one has no direction, as in [`Scorer::unit`].
    pub fn of(scorer: &Scorer) -> Self {
        let (count, dim) = (scorer.embeddings().len(), scorer.embeddings().dim());
        let (mut values, mut units) = (vec![0.0f32; dim * count], vec![0.0f32; TOGETHER * dim]);
        for first in (0..count).step_by(TOGETHER) {
            let some = TOGETHER.min(count - first);
            for (k, unit) in units.chunks_exact_mut(dim).take(some).enumerate() {
                scorer.write_unit(first + k, unit);
            }
            for j in 0..dim {
                let side_by_side = &mut values[j * count + first..][..some];
                side_by_side.iter_mut().enumerate().for_each(|(k, x)| *x = units[k * dim + j]);
            }
        }
        Self { values, dim, count }
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Number of values of a member.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Writes the cosines of unit vectors `[rows, dim]` with these members to `cosines`, `[rows,
    /// members]`. They are sums of f32 products, off by about 1e-7. This thread computes all.
    ///
    /// # Panics
    /// If the unit vectors have another dimension, or the cohort has no such members.
    pub fn cosines(&self, units: &[f32], members: Range<usize>, cosines: &mut Vec<f32>) {
        assert!(units.len().is_multiple_of(self.dim), "unit vectors of another dimension");
        assert!(members.start < members.end && members.end <= self.count, "no such members");
        let (rows, columns) = (units.len() / self.dim, members.len());
        cosines.resize(rows * columns, 0.0);
        let stride = |values: usize| values as isize;
        // SAFETY: `units` holds `rows` rows of `dim` values. `values` holds `dim` rows of `count`
        // values, of which the product reads the columns in `members`. `cosines` holds `rows` rows
        // of `columns` values, and nobody else has it. What it held is not read.
        unsafe {
            gemm::gemm(
                rows,
                columns,
                self.dim,
                cosines.as_mut_ptr(),
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
    }
}
