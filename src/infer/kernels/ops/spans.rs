//! Means over axes and over spans of frames.

use super::sums::{BLOCK, add, sum};
use super::{Level, Source, Target, outer, places};

/// Every frame becomes the mean of its segment of so many frames. The last may be shorter.
pub(crate) fn segments(level: Level, frames: usize, x: Source<'_>, y: Target<'_>) {
    y.rows(2 * x.plane.width, |row, values| {
        for (own, x) in values.chunks_mut(frames).zip(x.row(row).chunks(frames)) {
            own.fill((sum(level, x) / x.len() as f64) as f32);
        }
    });
}

/// One frame repeated.
pub(crate) fn spread(x: Source<'_>, y: Target<'_>) {
    let width = y.plane.width;
    y.rows(width, |row, values| values.fill(x.row(row)[0]));
}

/// The mean over axes, which stay with size 1. Axis 0 is the channels.
pub(crate) fn mean(level: Level, axes: &[usize], x: Source<'_>, y: Target<'_>) {
    let (outer, width) = (outer(y.size), y.plane.width);
    let last = x.size.len() - 1;
    // Places on the axes that rows count: all of them on an axis that goes, one on one that stays.
    let span = |axis: usize| if axes.contains(&axis) { x.size[axis] } else { 1 };
    let spans: Vec<usize> = (0..last).map(span).collect();
    let rows: usize = spans.iter().product();
    let from = |row: usize, i: usize| {
        let (first, further) = (places(outer, row), places(&spans, i));
        x.row_at([first[0] + further[0], first[1] + further[1]])
    };
    y.rows(2 * rows * x.plane.width, |row, values| {
        if axes.contains(&last) {
            let total: f64 = (0..rows).map(|i| sum(level, from(row, i))).sum();
            values.fill((total / (rows * x.plane.width) as f64) as f32);
            return;
        }
        for first in (0..width).step_by(BLOCK) {
            let own = first..width.min(first + BLOCK);
            let mut sums = [0.0; BLOCK];
            for i in 0..rows {
                add(level, &mut sums, &from(row, i)[own.clone()]);
            }
            for (y, sum) in values[own].iter_mut().zip(sums) {
                *y = (sum / rows as f64) as f32;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Held, for_levels};
    use super::*;

    #[test]
    fn a_frame_becomes_the_mean_of_its_segment() {
        for_levels(|level| {
            let x = Held::noise(&[3, 107], 2, 1);
            for frames in [1, 10, 50, 200] {
                let mut y = Held::garbage(&[3, 107], 1);
                segments(level, frames, x.source(), y.target());
                let wanted = x.indexed(|_, at| {
                    let first = at[1] / frames * frames;
                    let own = first..107.min(first + frames);
                    let count = own.len() as f64;
                    own.map(|t| f64::from(x.at(&[at[0], t]))).sum::<f64>() / count
                });
                y.near(&wanted, 1e-6);
            }
        });
    }

    #[test]
    fn one_frame_is_repeated() {
        let (x, mut y) = (Held::noise(&[5, 1], 2, 1), Held::garbage(&[5, 33], 1));
        spread(x.source(), y.target());
        let wanted = y.indexed(|_, at| f64::from(x.at(&[at[0], 0])));
        y.near(&wanted, 0.0);
    }

    #[test]
    fn means_run_over_any_axes() {
        let cases: [(&[usize], &[usize]); 9] = [
            (&[9, 150], &[1]),
            (&[9, 150], &[0]),
            (&[9, 150], &[0, 1]),
            (&[3, 4, 150], &[0]),
            (&[3, 4, 150], &[1]),
            (&[3, 4, 150], &[2]),
            (&[3, 4, 150], &[0, 2]),
            (&[3, 4, 150], &[1, 2]),
            (&[3, 4, 150], &[0, 1]),
        ];
        for_levels(|level| {
            for (size, axes) in cases {
                let x = Held::noise(size, 2, 1);
                let mut made = size.to_vec();
                axes.iter().for_each(|&axis| made[axis] = 1);
                let mut y = Held::garbage(&made, 1);
                mean(level, axes, x.source(), y.target());
                let count: usize = axes.iter().map(|&axis| size[axis]).product();
                let wanted = y.indexed(|_, at| {
                    let own = |place: &[usize]| {
                        (0..size.len()).all(|i| axes.contains(&i) || place[i] == at[i])
                    };
                    let all = x.indexed(|v, place| if own(place) { f64::from(v) } else { 0.0 });
                    all.into_iter().sum::<f64>() / count as f64
                });
                y.near(&wanted, 1e-6);
            }
        });
    }
}
