//! Depthwise convolution: every output channel sees one input channel.
//!
//! Vectors run over frames. Zeros before and behind a row serve as its padding.

use super::{GUARD, Level, Plane, Target, add_products, fused};
use crate::infer::kernels::{Add, Call, Geometry};

/// Outputs that are computed side by side.
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
            let lines = Lines {
                x,
                first: GUARD + output / self.geometry.output * mels * input.pitch,
                pitch: input.pitch,
                mels,
                top: row % rows * stride[0],
                geometry: self.geometry,
                weights: &self.weights[output * taps..][..taps],
            };
            let end = Ending {
                scale: self.scale[output],
                shift: self.shift[output],
                add: match add {
                    Add::Of(other) => Add::Of(&other[GUARD + row * plane.pitch..][..width]),
                    Add::Nothing | Add::InPlace => add,
                },
                relu,
            };
            compute(self.level, lines, end, values);
        });
    }

    /// Bytes that it keeps.
    pub fn bytes(&self) -> usize {
        [&self.weights, &self.scale, &self.shift]
            .map(|values| size_of_val(&values[..]))
            .iter()
            .sum()
    }
}

/// The rows that one row of outputs sees.
#[derive(Clone, Copy)]
struct Lines<'a> {
    x: &'a [f32],
    /// The channel's first value.
    first: usize,
    pitch: usize,
    mels: usize,
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
        let row = (self.top + row * dilation[0]).checked_sub(padding[0])?;
        let first = self.first + row * self.pitch - padding[1];
        (row < self.mels).then(|| &self.x[first..])
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

/// Fills a row.
fn compute(level: Level, lines: Lines<'_>, end: Ending<'_>, y: &mut [f32]) {
    for (i, y) in y.chunks_mut(BLOCK).enumerate() {
        let sums = match lines.geometry.stride[1] {
            1 => neighbours(level, lines, i * BLOCK),
            _ => strided(level, lines, i * BLOCK, y.len()),
        };
        finish(level, end, i * BLOCK, &sums, y);
    }
}

vectorised! {
    /// Sums over taps from an output on, at stride 1. Those behind the last output are computed
    /// too: a row's padding and the tail can be read.
    fn neighbours<FUSED>(lines: Lines<'_>, at: usize) -> [f32; BLOCK] {
        let Geometry { kernel, dilation, .. } = lines.geometry;
        let mut sums = [0.0; BLOCK];
        for (row, weights) in lines.weights.chunks_exact(kernel[1]).enumerate() {
            let Some(x) = lines.seen(row) else { continue };
            let x = &x[at..][..(kernel[1] - 1) * dilation[1] + BLOCK];
            for (x, &weight) in x.windows(BLOCK).step_by(dilation[1]).zip(weights) {
                if let Some(x) = x.first_chunk() {
                    add_products::<FUSED, BLOCK>(&mut sums, x, weight);
                }
            }
        }
        sums
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

#[cfg(test)]
mod tests {
    use super::super::testing::{Held, for_levels};
    use super::*;

    struct Case {
        size: [usize; 3],
        geometry: Geometry,
        pad: usize,
    }

    fn case(size: [usize; 3], output: usize, kernel: [usize; 2], more: [[usize; 2]; 3]) -> Case {
        let [stride, dilation, padding] = more;
        let geometry = Geometry { input: 1, output, kernel, stride, dilation, padding };
        Case { size, geometry, pad: padding[1].max(1) }
    }

    fn check(level: Level, case: &Case) {
        let Case { size: [channels, mels, frames], geometry, pad } = *case;
        let Geometry { output, kernel, stride, dilation, padding, .. } = geometry;
        let x = Held::noise(&case.size, pad, 1);
        let outputs = channels * output;
        let weights = Held::noise(&[outputs, kernel[0], kernel[1]], 0, 2);
        let numbers = |seed: u64| Held::noise(&[outputs], 0, seed).dense();
        let (scale, shift) = (numbers(3), numbers(4));
        let made = |i: usize, n: usize| {
            (n + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) / stride[i] + 1
        };
        let size = [outputs, made(0, mels), made(1, frames)];
        let other = Held::noise(&size, pad, 5);
        let convolution = other.indexed(|_, at| {
            let mut sum = 0.0;
            for (i, j) in (0..kernel[0]).flat_map(|i| (0..kernel[1]).map(move |j| (i, j))) {
                let mel = (at[1] * stride[0] + i * dilation[0]).checked_sub(padding[0]);
                let frame = (at[2] * stride[1] + j * dilation[1]).checked_sub(padding[1]);
                if let (Some(mel), Some(frame)) = (mel, frame)
                    && mel < mels
                    && frame < frames
                {
                    let weight = f64::from(weights.at(&[at[0], i, j]));
                    sum += weight * f64::from(x.at(&[at[0] / output, mel, frame]));
                }
            }
            sum * f64::from(scale[at[0]]) + f64::from(shift[at[0]])
        });
        let of = Depthwise::new(weights.dense(), scale, shift, channels, geometry, level);
        let sums = convolution.iter().zip(other.dense());
        let sums: Vec<f64> = sums.map(|(v, o)| (v + f64::from(o)).max(0.0)).collect();
        let x_values = x.source().values;
        let mut y = Held::garbage(&size, pad);
        let run = |y: &mut Held, add: Add<'_>, relu: bool| {
            let (size, y, scratch) = (case.size, y.memory(), &mut [][..]);
            of.run(Call { x: x_values, size, pad, y, add, relu, scratch });
        };
        run(&mut y, Add::Nothing, false);
        y.near(&convolution, 2e-6);
        run(&mut y, Add::Of(other.source().values), true);
        y.near(&sums, 2e-6);
        let mut y = other.clone();
        run(&mut y, Add::InPlace, true);
        y.near(&sums, 2e-6);
    }

    #[test]
    fn outputs_are_sums_over_taps() {
        let one = [1, 1];
        let cases = [
            case([5, 6, 70], 1, [3, 3], [one, one, one]),
            case([3, 1, 37], 1, [1, 7], [one, one, [0, 3]]),
            case([3, 1, 200], 1, [1, 59], [one, one, [0, 29]]),
            case([2, 5, 33], 2, [3, 3], [one, [2, 2], [2, 2]]),
            case([4, 7, 41], 1, [3, 3], [[2, 2], one, one]),
            case([4, 7, 64], 1, [3, 3], [[2, 1], one, one]),
            case([2, 6, 20], 3, [2, 4], [[2, 3], [1, 2], [0, 0]]),
            case([2, 1, 3], 1, [1, 1], [one, one, [0, 0]]),
            case([2, 3, 9], 1, [3, 3], [one, one, [2, 4]]),
        ];
        for_levels(|level| cases.iter().for_each(|case| check(level, case)));
    }
}
