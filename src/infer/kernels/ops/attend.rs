//! Softmax, and attention over frames.

use std::ops::Range;

use rayon::prelude::*;

use super::{GUARD, Level, Plane, Source, Target, add_products, fused, per_task};
use crate::functions;
use crate::lanes::Lanes;

/// Rows that are computed together.
const ROWS: usize = 4;
/// Values of a row that are computed side by side.
const LANES: usize = 16;

/// Softmax over the last axis.
pub(super) fn softmax(level: Level, x: Source<'_>, y: Target<'_>) {
    y.rows_of(x, 4 * x.plane.width, |_, row| softmax_row(level, row));
}

/// Softmax over the last axis, in place.
pub(crate) fn softmax_in_place(level: Level, y: Target<'_>) {
    let cost = 4 * y.plane.width;
    y.rows(cost, |_, row| softmax_row(level, row));
}

vectorised! {
    fn softmax_row<FUSED>(row: &mut [f32]) {
        functions::softmax(row);
    }
}

/// Fills the rows of every head, up to [`ROWS`] at a time, and zeroes what is behind each row.
/// `fill` is given the head, the number of the first row in it, and the rows with their pads. It
/// costs as much as reading so many values.
fn by_head(
    y: Target<'_>,
    heads: usize,
    cost: usize,
    fill: impl Fn(usize, usize, &mut [f32]) + Sync,
) {
    let Plane { rows, width, pitch } = y.plane;
    let each = (rows / heads * pitch).max(1);
    y.inner().par_chunks_mut(each).enumerate().for_each(|(head, values)| {
        let tasks = values.par_chunks_mut(ROWS * pitch).enumerate();
        tasks.with_min_len(per_task(cost)).for_each(|(task, rows)| {
            fill(head, task * ROWS, rows);
            rows.chunks_mut(pitch).for_each(|row| row[width..].fill(0.0));
        });
    });
}

/// Logits of attention with so many heads: `q^T k / sqrt(channels / heads)` of each, from
/// `[channels, frames]` each to `[heads, frames, frames]`.
pub(crate) fn scores(level: Level, heads: usize, q: Source<'_>, k: Source<'_>, y: Target<'_>) {
    let Plane { width, pitch, .. } = y.plane;
    let share = q.plane.rows / heads;
    let scale = (1.0 / (share as f64).sqrt()) as f32;
    by_head(y, heads, ROWS * width * share, |head, first, rows| {
        let channels = head * share..(head + 1) * share;
        for column in (0..width).step_by(LANES) {
            let sums = outer(level, q, k, channels.clone(), [first, column], scale);
            let kept = LANES.min(width - column);
            for (row, sums) in rows.chunks_mut(pitch).zip(sums) {
                row[column..column + kept].copy_from_slice(&sums[..kept]);
            }
        }
    });
}

impl<'a> Source<'a> {
    /// Values of a row from a place on, also those behind it.
    #[inline(always)]
    fn from<const N: usize>(&self, row: usize, place: usize) -> &'a [f32; N] {
        let row = &self.values[GUARD + row * self.plane.pitch + place..];
        row.first_chunk().expect("values behind a row, up to the tail")
    }
}

vectorised! {
    /// Scores of queries and keys from these places on. Those behind the last are computed too: a
    /// row's padding and the tail can be read.
    fn outer<FUSED>(
        q: Source<'_>,
        k: Source<'_>,
        channels: Range<usize>,
        at: [usize; 2],
        scale: f32,
    ) -> [[f32; LANES]; ROWS] {
        let mut sums = [[0.0; LANES]; ROWS];
        for channel in channels {
            let queries: &[f32; ROWS] = q.from(channel, at[0]);
            let keys: &[f32; LANES] = k.from(channel, at[1]);
            for i in 0..ROWS {
                add_products::<FUSED, LANES>(&mut sums[i], keys, queries[i] * scale);
            }
        }
        sums
    }
}

/// What attention with so many heads gives: the values `[channels, frames]`, weighted by
/// `[heads, frames, frames]`.
pub(crate) fn attend(
    level: Level,
    heads: usize,
    weights: Source<'_>,
    v: Source<'_>,
    y: Target<'_>,
) {
    let Plane { rows, width, pitch } = y.plane;
    let share = rows / heads;
    by_head(y, heads, ROWS * width * weights.plane.width, |head, first, rows| {
        let (count, first) = (rows.len() / pitch, head * share + first);
        // Rows behind the last are the last once more.
        let from = std::array::from_fn(|i| v.row(first + i.min(count - 1)));
        for frame in 0..width {
            let sums = dots(level, from, weights.row(head * width + frame));
            for (row, sum) in rows.chunks_mut(pitch).zip(sums) {
                row[frame] = sum;
            }
        }
    });
}

vectorised! {
    /// The products of each row with the weights.
    fn dots<FUSED>(rows: [&[f32]; ROWS], weights: &[f32]) -> [f32; ROWS] {
        let (whole, rest) = weights.as_chunks::<LANES>();
        let parts = rows.map(|row| row.as_chunks::<LANES>());
        let [a, b, c, d] = parts.map(|(row, _)| row.iter());
        let mut sums = [[0.0; LANES]; ROWS];
        for ((((weights, a), b), c), d) in whole.iter().zip(a).zip(b).zip(c).zip(d) {
            for lane in 0..LANES {
                let weight = weights[lane];
                sums[0][lane] = fused::<FUSED>(a[lane], weight, sums[0][lane]);
                sums[1][lane] = fused::<FUSED>(b[lane], weight, sums[1][lane]);
                sums[2][lane] = fused::<FUSED>(c[lane], weight, sums[2][lane]);
                sums[3][lane] = fused::<FUSED>(d[lane], weight, sums[3][lane]);
            }
        }
        std::array::from_fn(|i| {
            let behind = parts[i].1.iter().zip(rest).map(|(&v, &weight)| v * weight);
            let [lanes, behind] = Lanes::<LANES>::total(sums[i], behind);
            lanes + behind
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Held, for_levels};
    use super::*;

    #[test]
    fn rows_of_a_softmax_add_up_to_one() {
        for_levels(|level| {
            for width in [1, 15, 16, 83] {
                let mut x = Held::noise(&[3, 2, width], 2, 1);
                x.scale(20.0);
                let power = |at: &[usize], t: usize| f64::from(x.at(&[at[0], at[1], t])).exp();
                let wanted = x.indexed(|_, at| {
                    power(at, at[2]) / (0..width).map(|t| power(at, t)).sum::<f64>()
                });
                let mut y = Held::garbage(&[3, 2, width], 1);
                softmax(level, x.source(), y.target());
                y.near(&wanted, 1e-6);
                softmax_in_place(level, x.target());
                assert_eq!(x.dense(), y.dense());
            }
        });
    }

    #[test]
    fn attention_is_sums_of_products() {
        for_levels(|level| {
            for (heads, share, frames) in [(1, 1, 1), (2, 3, 5), (4, 8, 33), (3, 6, 50)] {
                let size = [heads * share, frames];
                let [q, k, v] = [1, 2, 3].map(|seed| Held::noise(&size, 2, seed));
                let square = [heads, frames, frames];
                let mut logits = Held::garbage(&square, 2);
                scores(level, heads, q.source(), k.source(), logits.target());
                let wanted = logits.indexed(|_, at| {
                    let of = |held: &Held, c: usize, t: usize| {
                        f64::from(held.at(&[at[0] * share + c, t]))
                    };
                    let sum: f64 = (0..share).map(|c| of(&q, c, at[1]) * of(&k, c, at[2])).sum();
                    sum / (share as f64).sqrt()
                });
                logits.near(&wanted, 1e-6);
                softmax_in_place(level, logits.target());
                let mut y = Held::garbage(&size, 1);
                attend(level, heads, logits.source(), v.source(), y.target());
                let wanted = y.indexed(|_, at| {
                    let term = |s: usize| {
                        let weight = logits.at(&[at[0] / share, at[1], s]);
                        f64::from(weight) * f64::from(v.at(&[at[0], s]))
                    };
                    (0..frames).map(term).sum()
                });
                y.near(&wanted, 1e-6);
            }
        });
    }
}
