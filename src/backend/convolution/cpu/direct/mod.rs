//! Convolution in groups of few channels, as loops over taps. Rows are laid out so that every tap
//! reads values that lie side by side ([`Lines`]).

mod kernels;
mod lines;

use pulp::Arch;
use rayon::prelude::*;

use self::kernels::{Convolve, Correlate};
use self::lines::Lines;
use super::sizes::Sizes;

/// Bytes of lines made at a time: half of a core's second-level cache.
const BYTES: usize = 256 << 10;
/// Values up to which a row is filled up, so that vectors end inside of it.
const WIDEST: usize = 16;

/// What the loops go through in each group. Along an axis, target place t sums over taps p the
/// products of weight p and place `t * stride + p * dilation - before` of the stretched source. The
/// stretched source has the source's values `stretch` apart, and zeros in between and outside.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk {
    /// Channels of the source and of the target.
    input: usize,
    output: usize,
    kernel: [usize; 2],
    /// Mels and frames.
    source: [usize; 2],
    target: [usize; 2],
    stride: [usize; 2],
    stretch: [usize; 2],
    dilation: [usize; 2],
    before: [isize; 2],
}

impl Walk {
    /// From the input to the output.
    pub fn forward(s: &Sizes) -> Self {
        Self {
            input: s.input,
            output: s.output,
            kernel: s.kernel,
            source: s.before,
            target: s.after,
            stride: s.window.stride,
            stretch: [1, 1],
            dilation: s.window.dilation,
            before: s.window.padding.map(|padding| padding as isize),
        }
    }

    /// From the output's gradient to the input's, with mirrored weights.
    pub fn backward(s: &Sizes) -> Self {
        let (reach, padding) = (s.window.reach(s.kernel), s.window.padding);
        Self {
            input: s.output,
            output: s.input,
            kernel: s.kernel,
            source: s.after,
            target: s.before,
            stride: [1, 1],
            stretch: s.window.stride,
            dilation: s.window.dilation,
            before: [0, 1].map(|i| reach[i] as isize - 1 - padding[i] as isize),
        }
    }

    /// The source's row under row `place` of the padded, stretched source.
    fn source_row(&self, place: usize) -> Option<usize> {
        let place = usize::try_from(place as isize - self.before[0]).ok()?;
        let row = place / self.stretch[0];
        (place.is_multiple_of(self.stretch[0]) && row < self.source[0]).then_some(row)
    }

    /// Values of one phase of a row: see [`Lines`].
    fn phase(&self) -> usize {
        let furthest = (self.kernel[1] - 1) * self.dilation[1] / self.stride[1];
        furthest + self.target[1].max(1).next_multiple_of(WIDEST)
    }

    /// Rows of the padded source under so many rows of the target.
    fn held(&self, rows: usize) -> usize {
        (rows - 1) * self.stride[0] + (self.kernel[0] - 1) * self.dilation[0] + 1
    }

    /// Values of all lines under so many rows of the target.
    fn values(&self, rows: usize) -> usize {
        self.input * self.held(rows) * self.stride[1] * self.phase()
    }

    /// Target rows handled at a time.
    fn rows(&self) -> usize {
        let (first, both) = (self.values(1), self.values(2));
        let left = (BYTES / 4).saturating_sub(first);
        (1 + left / (both - first)).min(self.target[0].max(1))
    }

    /// Bytes of a thread's lines.
    pub fn bytes(&self) -> usize {
        4 * self.values(self.rows())
    }

    /// The target's pieces: first row, and rows.
    fn pieces(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (height, rows) = (self.target[0], self.rows());
        (0..height).step_by(rows).map(move |row| (row, rows.min(height - row)))
    }

    fn weights(&self) -> usize {
        self.output * self.input * self.kernel[0] * self.kernel[1]
    }

    /// Values of a group in the source and in the target.
    fn sizes(&self) -> [usize; 2] {
        let size = |channels: usize, plane: [usize; 2]| channels * plane[0] * plane[1];
        [size(self.input, self.source), size(self.output, self.target)]
    }
}

/// The target of source `x`, `[batch, groups, input, mels, frames]`, and weights `w`, `[groups,
/// output, input, rows, columns]`.
pub(super) fn forward(walk: &Walk, groups: usize, x: &[f32], w: &[f32]) -> Vec<f32> {
    let ([size_in, size_out], weights) = (walk.sizes(), walk.weights());
    assert_eq!(w.len(), groups * weights, "weights that do not fit the input's channels");
    let lots = x.len().checked_div(size_in).unwrap_or(0);
    let mut out = vec![0.0f32; lots * size_out];
    if out.is_empty() {
        return out;
    }
    let each = out.par_chunks_exact_mut(size_out).zip(x.par_chunks_exact(size_in)).enumerate();
    each.for_each_init(Lines::default, |lines, (lot, (out, x))| {
        let weights = &w[lot % groups * weights..][..weights];
        for (row, rows) in walk.pieces() {
            lines.fill(walk, x, row, rows);
            Arch::new().dispatch(Convolve { walk, lines, weights, row, rows, out });
        }
    });
    out
}

/// The weights' gradient from source `x` and the target's gradient `dy`. Groups run in parallel.
/// Each is summed in one order, whatever the number of threads.
pub(super) fn weight_gradient(walk: &Walk, groups: usize, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let ([size_in, size_out], weights) = (walk.sizes(), walk.weights());
    let mut gradient = vec![0.0f32; groups * weights];
    if x.is_empty() || dy.is_empty() {
        return gradient;
    }
    assert_eq!(dy.len() / size_out, x.len() / size_in, "an output's gradient of another shape");
    let each = gradient.par_chunks_exact_mut(weights).enumerate();
    each.for_each_init(Lines::default, |lines, (group, gradient)| {
        let mut sums = vec![0.0f64; weights];
        let lots = x.chunks_exact(size_in).zip(dy.chunks_exact(size_out));
        for (x, dy) in lots.skip(group).step_by(groups) {
            for (row, rows) in walk.pieces() {
                lines.fill(walk, x, row, rows);
                let sums = &mut sums[..];
                Arch::new().dispatch(Correlate { walk, lines, dy, row, rows, sums });
            }
        }
        gradient.iter_mut().zip(&sums).for_each(|(g, s)| *g = *s as f32);
    });
    gradient
}
