//! Depthwise convolution: every output channel sees one input channel.
//!
//! Vectors run over frames. Zeros before and behind a row serve as its padding.

mod row;
#[cfg(test)]
mod tests;

use std::ops::Range;

use super::{GUARD, Level, Plane, Target, fused};
use crate::infer::kernels::{Add, Call, Geometry};

/// Outputs that are computed side by side where there is a stride over frames.
const BLOCK: usize = 64;

/// Depthwise convolution, then a factor and a summand for each output channel.
pub(crate) struct Depthwise {
    /// `[output channels, mels, frames]` of the kernel.
    weights: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
    groups: usize,
    geometry: Geometry,
    level: Level,
}

impl Depthwise {
    /// The convolution with weights `[groups * multiplier, 1, mels, frames]`, where the geometry's
    /// outputs are the multiplier.
    ///
    /// # Panics
    /// Sizes contradict each other.
    pub fn new(
        weights: Vec<f32>,
        scale: Vec<f32>,
        shift: Vec<f32>,
        groups: usize,
        geometry: Geometry,
        level: Level,
    ) -> Self {
        let outputs = groups * geometry.output;
        assert_eq!(geometry.input, 1, "input channels of a group");
        assert_eq!(weights.len(), outputs * geometry.kernel.iter().product::<usize>(), "weights");
        assert_eq!((scale.len(), shift.len()), (outputs, outputs), "numbers for each output");
        Self { weights, scale, shift, groups, geometry, level }
    }

    /// `act(conv(x) * scale + shift [+ add])`. Scratch is not used.
    ///
    /// # Panics
    /// The input has other channels, or rows lie closer than the padding.
    pub fn run(&self, call: Call<'_>) {
        let Call { x, size, pad, y, add, relu, .. } = call;
        let [channels, mels, frames] = size;
        let Geometry { kernel, stride, padding, .. } = self.geometry;
        assert_eq!(channels, self.groups, "input channels");
        assert!(padding[1] <= pad && padding[1] <= GUARD, "padding wider than a row's zeros");
        let [rows, width] = self.geometry.made([mels, frames]);
        let made = [self.scale.len(), rows, width];
        let (input, plane) = (Plane::of(&size, pad), Plane::of(&made, pad));
        assert!(x.len() >= input.buffer(), "input with guards");
        let taps = kernel[0] * kernel[1];
        let y = Target { values: y, size: &made, plane };
        y.rows(width * taps, |row, values| {
            let output = row / rows;
            let first = GUARD + output / self.geometry.output * mels * input.pitch;
            let rows_of_x = Rows { x, first, pitch: input.pitch, mels, mask: usize::MAX };
            let add = match add {
                Add::Of(other) => Add::Of(&other[GUARD + row * plane.pitch..][..width]),
                Add::Nothing | Add::InPlace => add,
            };
            self.row(output, row % rows * stride[0], rows_of_x, (add, relu), values);
        });
    }

    /// Fills these rows of an output channel, whose memory `y` is: rows of `width` values, `pitch`
    /// apart. What is behind them becomes 0.
    pub fn rows(
        &self,
        output: usize,
        x: Rows<'_>,
        rows: Range<usize>,
        relu: bool,
        y: &mut [f32],
        [width, pitch]: [usize; 2],
    ) {
        for (row, values) in rows.zip(y.chunks_exact_mut(pitch)) {
            let (values, pad) = values.split_at_mut(width);
            let top = row * self.geometry.stride[0];
            self.row(output, top, x, (Add::Nothing, relu), values);
            pad.fill(0.0);
        }
    }

    /// Fills a row of an output channel, whose first tap is in this row of the padded input.
    fn row(&self, output: usize, top: usize, x: Rows<'_>, end: (Add<'_>, bool), y: &mut [f32]) {
        let taps = self.geometry.kernel[0] * self.geometry.kernel[1];
        let weights = &self.weights[output * taps..][..taps];
        let (scale, shift, (add, relu)) = (self.scale[output], self.shift[output], end);
        let lines = Lines { rows: x, top, geometry: self.geometry, weights };
        let end = Ending { scale, shift, add, relu };
        match self.geometry.stride[1] {
            1 => row::fill(self.level, &lines, &end, y),
            _ => strided_row(self.level, lines, end, y),
        }
    }

    /// Rows and frames of the output, of an input of that many.
    pub fn made(&self, size: [usize; 2]) -> [usize; 2] {
        self.geometry.made(size)
    }

    /// How many rows of the input a row of outputs reaches over.
    pub fn reach(&self) -> usize {
        self.geometry.dilation[0] * (self.geometry.kernel[0] - 1) + 1
    }

    /// How many rows of outputs see none of the input's rows from `end` on, where more follow.
    pub fn ready(&self, end: usize) -> usize {
        let Geometry { stride, padding, .. } = self.geometry;
        (end + padding[0]).checked_sub(self.reach()).map_or(0, |rest| rest / stride[0] + 1)
    }

    /// Bytes that it keeps.
    pub fn bytes(&self) -> usize {
        [&self.weights, &self.scale, &self.shift]
            .map(|values| size_of_val(&values[..]))
            .iter()
            .sum()
    }
}

/// The rows of an input channel.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    /// Memory with guards.
    pub x: &'a [f32],
    /// Where the channel's rows begin.
    pub first: usize,
    /// Values from a row to the next one.
    pub pitch: usize,
    /// How many rows the channel has.
    pub mels: usize,
    /// Row `r` lies in place `r & mask`: memory may hold no more than the rows that are needed.
    pub mask: usize,
}

/// The rows that one row of outputs sees.
#[derive(Clone, Copy)]
struct Lines<'a> {
    rows: Rows<'a>,
    /// The row of the first tap, counted with the padding above.
    top: usize,
    geometry: Geometry,
    /// `[mels, frames]` of the kernel.
    weights: &'a [f32],
}

impl<'a> Lines<'a> {
    /// What a row of the kernel sees, from its first tap on for output 0. Nothing above and below
    /// the channel.
    #[inline(always)]
    fn seen(&self, row: usize) -> Option<&'a [f32]> {
        let Geometry { dilation, padding, .. } = self.geometry;
        let Rows { x, first, pitch, mels, mask } = self.rows;
        let row = (self.top + row * dilation[0]).checked_sub(padding[0])?;
        (row < mels).then(|| &x[first + (row & mask) * pitch - padding[1]..])
    }
}

/// What happens to sums.
#[derive(Clone, Copy)]
struct Ending<'a> {
    scale: f32,
    shift: f32,
    /// Of a row alone, without guards.
    add: Add<'a>,
    relu: bool,
}

/// Fills a row, at any stride.
fn strided_row(level: Level, lines: Lines<'_>, end: Ending<'_>, y: &mut [f32]) {
    for (i, y) in y.chunks_mut(BLOCK).enumerate() {
        let sums = strided(level, lines, i * BLOCK, y.len());
        finish(level, end, i * BLOCK, &sums, y);
    }
}

vectorised! {
    /// Sums over taps of so many outputs, at any stride.
    fn strided<FUSED>(lines: Lines<'_>, at: usize, count: usize) -> [f32; BLOCK] {
        let Geometry { kernel, stride, dilation, .. } = lines.geometry;
        let mut sums = [0.0; BLOCK];
        for (row, weights) in lines.weights.chunks_exact(kernel[1]).enumerate() {
            let Some(x) = lines.seen(row) else { continue };
            for (tap, &weight) in weights.iter().enumerate() {
                let x = x[at * stride[1] + tap * dilation[1]..].iter().step_by(stride[1]);
                for (sum, &x) in sums[..count].iter_mut().zip(x) {
                    *sum = fused::<FUSED>(weight, x, *sum);
                }
            }
        }
        sums
    }
}

vectorised! {
    /// Scales, shifts, adds and rectifies sums from an output on.
    fn finish<FUSED>(end: Ending<'_>, at: usize, sums: &[f32; BLOCK], y: &mut [f32]) {
        let floor = if end.relu { 0.0 } else { f32::NEG_INFINITY };
        let positive = |v: f32| if v < floor { floor } else { v };
        let of = |sum: f32| fused::<FUSED>(sum, end.scale, end.shift);
        match end.add {
            Add::Of(add) => {
                for ((y, &sum), &add) in y.iter_mut().zip(sums).zip(&add[at..]) {
                    *y = positive(of(sum) + add);
                }
            }
            Add::InPlace => {
                y.iter_mut().zip(sums).for_each(|(y, &sum)| *y = positive(of(sum) + *y));
            }
            Add::Nothing => y.iter_mut().zip(sums).for_each(|(y, &sum)| *y = positive(of(sum))),
        }
    }
}
