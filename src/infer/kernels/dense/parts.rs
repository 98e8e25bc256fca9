//! How the positions of an output are shared out: into parts whose input stays in a core's cache
//! while one block of outputs after the other is computed.

use std::ops::Range;

use super::Geometry;
use super::grid::Grid;

/// Equally long runs of positions, with the same taps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Runs {
    /// The taps that lie inside the input, or beside it in zeros.
    pub taps: Range<usize>,
    /// Input of the first run's first position, and the distance to the next run's.
    pub x: usize,
    pub x_step: usize,
    /// The same in the output, over whose pads runs may go.
    pub y: usize,
    pub y_step: usize,
    /// How many runs, and positions of each.
    pub count: usize,
    pub length: usize,
    /// Places of the output from a run's start on that are its own: its positions, and the pad of
    /// its last row where it ends there.
    pub own: usize,
}

impl Runs {
    /// Where pads lie among run `i`'s own places, in a channel of the output whose rows of `width`
    /// positions are `pitch` places apart.
    pub fn pads(&self, i: usize, width: usize, pitch: usize) -> impl Iterator<Item = Range<usize>> {
        let first = self.y + i * self.y_step;
        let end = first + self.own;
        (first - first % pitch + width..end)
            .step_by(pitch)
            .map(move |pad| pad.max(first)..(pad + pitch - width).min(end))
            .filter(|pad| !pad.is_empty())
    }
}

/// What parts are made of.
pub(super) struct Shares<'a> {
    pub geometry: &'a Geometry,
    pub grid: &'a Grid,
    /// Rows of the input.
    pub mels: usize,
    /// Rows and frames of the output.
    pub made: [usize; 2],
    /// Zeros behind a row of the output.
    pub pad: usize,
    /// Positions of a part, about, and of a tile.
    pub goal: usize,
    pub tile: usize,
}

impl Shares<'_> {
    /// The parts. All places of the output are in one run.
    pub fn parts(&self) -> Vec<Vec<Runs>> {
        let [rows, width] = self.made;
        let total = rows * (width + self.pad);
        let goal = total.div_ceil(total.div_ceil(self.goal.max(1)).max(1));
        let mut parts = Parts { goal: goal.next_multiple_of(self.tile), ..Parts::default() };
        let mut row = 0;
        while row < rows {
            let taps = self.taps(row);
            let mut end = row + 1;
            while end < rows && self.taps(end) == taps {
                end += 1;
            }
            if self.grid.is_flat {
                self.flat(&mut parts, row..end, taps);
            } else {
                self.by_row(&mut parts, row..end, taps);
            }
            row = end;
        }
        parts.all
    }

    /// The taps of an output row that are in rows of the input: neighbours, as rows ascend.
    fn taps(&self, row: usize) -> Range<usize> {
        let Geometry { kernel, stride, dilation, padding, .. } = *self.geometry;
        let start = row * stride[0];
        let first = padding[0].saturating_sub(start).div_ceil(dilation[0]);
        let end = (self.mels + padding[0]).saturating_sub(start).div_ceil(dilation[0]);
        let (first, end) = (first.min(kernel[0]), end.min(kernel[0]));
        first.min(end) * kernel[1]..end * kernel[1]
    }

    /// Rows, and the pads between them, as one run. It is cut where parts end.
    fn flat(&self, parts: &mut Parts, rows: Range<usize>, taps: Range<usize>) {
        let y_pitch = self.made[1] + self.pad;
        let length = rows.len() * y_pitch - self.pad;
        let mut at = 0;
        while at < length {
            let rest = length - at;
            let room = parts.room().next_multiple_of(self.tile);
            // What would be less than a tile is no run of its own.
            let taken = if rest < room + self.tile { rest } else { room };
            let is_last = taken == rest;
            parts.push(Runs {
                taps: taps.clone(),
                x: rows.start * self.grid.row + at,
                x_step: 0,
                y: rows.start * y_pitch + at,
                y_step: 0,
                count: 1,
                length: taken,
                own: if is_last { taken + self.pad } else { taken },
            });
            at += taken;
        }
    }

    /// A run for each row, or several where a row is longer than a part.
    fn by_row(&self, parts: &mut Parts, rows: Range<usize>, taps: Range<usize>) {
        let width = self.made[1];
        if width >= parts.goal {
            for row in rows {
                self.flat(parts, row..row + 1, taps.clone());
            }
            return;
        }
        let mut row = rows.start;
        while row < rows.end {
            let count = parts.room().div_ceil(width.max(1)).clamp(1, rows.end - row);
            let y_pitch = width + self.pad;
            parts.push(Runs {
                taps: taps.clone(),
                x: row * self.grid.row,
                x_step: self.grid.row,
                y: row * y_pitch,
                y_step: y_pitch,
                count,
                length: width,
                own: y_pitch,
            });
            row += count;
        }
    }
}

/// Parts as they are filled.
#[derive(Default)]
struct Parts {
    all: Vec<Vec<Runs>>,
    /// Positions of a part.
    goal: usize,
    /// Positions of the last part.
    filled: usize,
}

impl Parts {
    /// Positions that the next run should have at most.
    fn room(&self) -> usize {
        if self.filled < self.goal { self.goal - self.filled } else { self.goal }
    }

    fn push(&mut self, runs: Runs) {
        let positions = runs.count * runs.length;
        match self.all.last_mut() {
            Some(part) if self.filled < self.goal => {
                self.filled += positions;
                part.push(runs);
            }
            _ => {
                self.filled = positions;
                self.all.push(vec![runs]);
            }
        }
    }
}
