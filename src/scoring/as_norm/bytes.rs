//! Bounds of the cosines of many unit vectors with those of a cohort, by products of bytes.
//!
//! A unit vector x is rounded to x', whose values are whole multiples of a step. Its error is
//! |x - x'|. But for the two steps, the product of rounded vectors is a whole number. The rest,
//! x.y - x'.y' = (x - x').y + x'.(y - y'), is at most the error of x plus the error of y times
//! |x'|, and |x'| is at most one and the error of x (Cauchy and Schwarz).

mod kernel;
mod quantized;

use std::ops::Range;

pub(super) use self::kernel::is_available;
use self::kernel::{COLUMNS, Panel, ROWS, Tile, multiply};
use self::quantized::Quantized;
use super::rows::Rows;
use crate::scoring::Scorer;

/// More than all that is rounded to f32 on the way to a bound.
const ROUNDING: f32 = 1e-5;

/// Most values of a vector. Sums of as many products of bytes fit into 32 bits.
pub(super) const MOST: usize = 1 << 15;

/// The rounded unit vectors of a cohort.
pub(super) struct Bytes {
    /// `[panels, steps]`.
    panels: Vec<Panel>,
    sides: Vec<Side>,
    /// Groups of four values in a vector.
    steps: usize,
    count: usize,
}

/// What is known of the members of a panel.
#[derive(Clone)]
struct Side {
    /// What is added to the sums, because the bytes of rows have no sign.
    centre: [i32; COLUMNS],
    step: [f32; COLUMNS],
    error: [f32; COLUMNS],
}

/// Rounded rows.
#[derive(Default)]
pub(super) struct Packed {
    /// `[tiles, steps]`.
    tiles: Vec<Tile>,
    /// Step and error of each row.
    sides: Vec<[f32; 2]>,
    unit: Vec<f64>,
    bytes: Vec<i8>,
}

impl Bytes {
    /// The embeddings of `scorer`, less its mean. They have at most [`MOST`] values.
    ///
    /// # Panics
    /// If one has no direction, as in [`Scorer::unit`].
    pub fn of(scorer: &Scorer) -> Self {
        let (count, dim) = (scorer.embeddings().len(), scorer.embeddings().dim());
        assert!(dim <= MOST, "too many values for products of bytes");
        let (steps, panels) = (dim.div_ceil(4), count.div_ceil(COLUMNS));
        let side = Side { centre: [0; COLUMNS], step: [0.0; COLUMNS], error: [0.0; COLUMNS] };
        let mut all = Self {
            panels: vec![Panel::ZERO; panels * steps],
            sides: vec![side; panels],
            steps,
            count,
        };
        let (mut row, mut unit, mut bytes) = (Rows::default(), Vec::new(), Vec::new());
        for i in 0..count {
            let (panel, column) = (i / COLUMNS, i % COLUMNS);
            row.fill(scorer, i..i + 1);
            row.write_unit(0, &mut unit);
            let Quantized { step, error } = Quantized::of(&unit, &mut bytes);
            let side = &mut all.sides[panel];
            side.centre[column] = -128 * bytes.iter().map(|&q| i32::from(q)).sum::<i32>();
            (side.step[column], side.error[column]) = (step, error);
            let steps = &mut all.panels[panel * steps..][..steps];
            for (k, &q) in bytes.iter().enumerate() {
                steps[k / 4].0[column][k % 4] = q;
            }
        }
        all
    }

    /// Writes bounds of the cosines of `rows` with these members to `bounds`, and returns how many
    /// values a row takes there: those of the members come first. No cosine exceeds its bound. The
    /// first member is at a multiple of 64.
    ///
    /// # Panics
    /// If the rows have another dimension, or the cohort has no such members.
    pub fn bounds(&self, rows: &Packed, members: Range<usize>, bounds: &mut Vec<f32>) -> usize {
        assert!(members.start.is_multiple_of(COLUMNS), "members that do not begin a panel");
        assert!(members.start < members.end && members.end <= self.count, "no such members");
        let tiles = rows.sides.len().div_ceil(ROWS);
        assert_eq!(rows.tiles.len(), tiles * self.steps, "rows of another dimension");
        let (first, panels) = (members.start / COLUMNS, members.len().div_ceil(COLUMNS));
        let stride = panels * COLUMNS;
        bounds.resize(rows.sides.len() * stride, 0.0);
        for panel in 0..panels {
            let side = &self.sides[first + panel];
            let members = &self.panels[(first + panel) * self.steps..][..self.steps];
            let tiles = rows.tiles.chunks_exact(self.steps).zip(rows.sides.chunks(ROWS));
            for ((tile, sides), bounds) in tiles.zip(bounds.chunks_mut(ROWS * stride)) {
                let sums = multiply(tile, members);
                for ((sums, row), bounds) in
                    sums.iter().zip(sides).zip(bounds.chunks_exact_mut(stride))
                {
                    let bounds = bounds[panel * COLUMNS..].first_chunk_mut();
                    side.write(sums, *row, bounds.expect("a whole panel"));
                }
            }
        }
        stride
    }
}

impl Side {
    /// Makes bounds from the sums of a row.
    #[inline]
    fn write(&self, sums: &[i32; COLUMNS], [step, error]: [f32; 2], bounds: &mut [f32; COLUMNS]) {
        let length = 1.0 + error;
        let rest = error + ROUNDING;
        for j in 0..COLUMNS {
            let product = (sums[j] + self.centre[j]) as f32 * (step * self.step[j]);
            bounds[j] = product + (length * self.error[j] + rest);
        }
    }
}

impl Packed {
    /// Takes the unit vectors of `rows` instead of what it holds.
    pub fn fill(&mut self, rows: &Rows) {
        let Self { tiles, sides, unit, bytes } = self;
        sides.clear();
        tiles.clear();
        for i in 0..rows.len() {
            rows.write_unit(i, unit);
            let Quantized { step, error } = Quantized::of(unit, bytes);
            sides.push([step, error]);
            let steps = bytes.len() / 4;
            let (tile, row) = (i / ROWS, i % ROWS);
            tiles.resize((tile + 1) * steps, [0; ROWS]);
            let tile = &mut tiles[tile * steps..];
            for (step, four) in tile.iter_mut().zip(bytes.as_chunks::<4>().0) {
                // Without a sign: 128 more.
                step[row] = i32::from_le_bytes(four.map(|q| q as u8 ^ 0x80));
            }
        }
    }
}

#[cfg(test)]
mod tests;
