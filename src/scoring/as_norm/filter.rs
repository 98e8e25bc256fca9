//! Upper bounds of cosines, by the fastest products that the processor has.

use std::ops::Range;

#[cfg(target_arch = "x86_64")]
use super::bytes::{self, Bytes, Packed};
use super::products::{Products, Units};
use super::rows::Rows;
use crate::scoring::Scorer;

/// A cohort, laid out for bounds of its cosines.
pub(super) enum Filter {
    /// Products of bytes. Their bounds are about 0.01 above.
    #[cfg(target_arch = "x86_64")]
    Bytes(Bytes),
    /// Products in f32.
    Floats(Products),
}

/// Rows that were prepared for bounds.
#[derive(Default)]
pub(super) struct Prepared {
    #[cfg(target_arch = "x86_64")]
    packed: Packed,
    units: Units,
}

impl Filter {
    /// The embeddings of `scorer`, less its mean.
    ///
    /// # Panics
    /// If one has no direction, as in [`Scorer::unit`].
    pub fn of(scorer: &Scorer) -> Self {
        #[cfg(target_arch = "x86_64")]
        if bytes::is_available() && scorer.embeddings().dim() <= bytes::MOST {
            return Self::Bytes(Bytes::of(scorer));
        }
        Self::Floats(Products::of(scorer))
    }

    /// How many rows at a time are quick. Bounds of bytes stay in the cache of a core; products in
    /// f32 lay the cohort out anew for all rows together.
    pub fn rows(&self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Bytes(_) => 48,
            Self::Floats(_) => 256,
        }
    }

    /// Prepares rows for [`bounds`](Self::bounds).
    pub fn prepare(&self, rows: &Rows, prepared: &mut Prepared) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Bytes(_) => prepared.packed.fill(rows),
            Self::Floats(_) => prepared.units.fill(rows),
        }
    }

    /// Writes bounds of the cosines of rows with these members to `bounds`, and returns how many
    /// values a row takes there: those of the members come first. No cosine exceeds its bound. The
    /// first member is at a multiple of 64.
    ///
    /// # Panics
    /// If the rows have another dimension, or the cohort has no such members.
    pub fn bounds(&self, rows: &Prepared, members: Range<usize>, bounds: &mut Vec<f32>) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Bytes(bytes) => bytes.bounds(&rows.packed, members, bounds),
            Self::Floats(products) => {
                let stride = members.len();
                products.bounds(&rows.units, members, bounds);
                stride
            }
        }
    }
}
