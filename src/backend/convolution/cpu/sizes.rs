//! The sizes of a convolution, and the pieces into which it is divided.

use crate::backend::convolution::Window;

/// Bytes of patches made at a time: about a core's second-level cache.
const PATCHES: usize = 512 << 10;
/// The fewest frames of a piece, so that weights are not read for a few positions.
const FRAMES: usize = 256;
/// Bytes of partial sums of a weight gradient; there are 2 to 16 of them.
const PARTIAL: usize = 8 << 20;
/// Channels of a group, read and written, up to which matrix products waste most of their tiles.
const FEW: usize = 8;

/// Sizes of one convolution.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub batch: usize,
    pub groups: usize,
    /// Channels of one group.
    pub input: usize,
    pub output: usize,
    pub kernel: [usize; 2],
    /// Mels and frames of the input and the output.
    pub before: [usize; 2],
    pub after: [usize; 2],
    pub window: Window,
}

/// A piece of work: rows of a lot (one group of one utterance) from `row` on, or a part of one row
/// from `column` on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tile {
    pub lot: usize,
    pub row: usize,
    pub column: usize,
}

impl Sizes {
    pub fn new(x: &[usize], w: &[usize], window: Window) -> Self {
        let (kernel, before, groups) = ([w[2], w[3]], [x[2], x[3]], window.groups);
        let after = window.output(before, kernel);
        let fits = x[1] == groups * w[1] && w[0].is_multiple_of(groups);
        assert!(fits, "weights that do not fit the input's channels");
        let (input, output) = (w[1], w[0] / groups);
        Self { batch: x[0], groups, input, output, kernel, before, after, window }
    }

    /// Groups of all utterances.
    pub fn lots(&self) -> usize {
        self.batch * self.groups
    }

    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Values of the input, and of the output, in a lot.
    pub fn lot_sizes(&self) -> [usize; 2] {
        let size = |channels: usize, plane: [usize; 2]| channels * plane[0] * plane[1];
        [size(self.input, self.before), size(self.output, self.after)]
    }

    /// Rows of the patch matrix.
    pub fn depth(&self) -> usize {
        self.input * self.taps()
    }

    /// Whether loops over taps are faster than matrix products.
    pub fn is_direct(&self) -> bool {
        self.groups > 1 && self.input <= FEW && self.output <= FEW
    }

    /// Whether patches are the input itself.
    pub fn pointwise(&self) -> bool {
        let Window { stride, padding, dilation: _, groups: _ } = self.window;
        self.kernel == [1, 1] && stride == [1, 1] && padding == [0, 0]
    }

    /// The convolution of the output's gradient that gives the input's, where it is one.
    pub fn mirrored(&self) -> Option<Self> {
        if self.window.stride != [1, 1] {
            return None;
        }
        let ([rows, columns], [top, left]) = (self.window.reach(self.kernel), self.window.padding);
        let padding = [(rows - 1).checked_sub(top)?, (columns - 1).checked_sub(left)?];
        let window = Window { padding, ..self.window };
        let (input, output) = (self.output, self.input);
        Some(Self { input, output, before: self.after, after: self.before, window, ..*self })
    }

    /// Output rows handled at a time.
    pub fn rows(&self) -> usize {
        let row = 4 * self.depth() * self.after[1];
        (PATCHES / row.max(1)).clamp(1, self.after[0].max(1))
    }

    /// Output columns handled at a time. Only where rows alone are too long, as those of long
    /// utterances under kernels over frames.
    pub fn columns(&self) -> usize {
        match self.kernel[0] == self.kernel[1] || self.rows() > 1 {
            true => self.after[1],
            false => (PATCHES / (4 * self.depth())).max(FRAMES).min(self.after[1]),
        }
    }

    /// The pieces of work of these lots.
    pub fn tiles(&self, lots: impl Iterator<Item = usize>) -> Vec<Tile> {
        let [height, width] = self.after;
        let (rows, columns) = (self.rows(), self.columns().max(1));
        lots.flat_map(|lot| {
            (0..height).step_by(rows).flat_map(move |row| {
                (0..width).step_by(columns).map(move |column| Tile { lot, row, column })
            })
        })
        .collect()
    }

    /// Partial sums of the weights' gradient of a group that has so many tiles.
    pub fn parts(&self, tiles: usize) -> usize {
        (PARTIAL / (4 * self.output * self.depth())).clamp(2, 16).min(tiles)
    }

    /// Bytes of the patches of so many threads.
    pub fn patches(&self, threads: usize) -> usize {
        let tiles = self.tiles(0..self.lots()).len();
        match self.pointwise() {
            true => 0,
            false => 4 * self.depth() * self.rows() * self.columns() * threads.min(tiles),
        }
    }

    /// Bytes of the partial sums of a group's weights' gradient.
    pub fn partial(&self) -> usize {
        4 * self.output * self.depth() * self.parts(self.tiles(0..self.batch).len())
    }

    /// The patches of a tile as `depth` rows of n values: the values, the step from row to row, and
    /// n. They are made in `space` where they are not the input.
    pub fn right<'a>(
        &self,
        x: &'a [f32],
        tile: Tile,
        space: &'a mut Vec<f32>,
    ) -> (&'a [f32], usize, usize) {
        let [size, _] = self.lot_sizes();
        let x = &x[tile.lot * size..(tile.lot + 1) * size];
        let rows = self.rows().min(self.after[0] - tile.row);
        let columns = self.columns().min(self.after[1] - tile.column);
        let n = rows * columns;
        if self.pointwise() {
            return (&x[tile.row * self.after[1]..], self.before[0] * self.before[1], n);
        }
        space.resize(self.depth() * n, 0.0);
        self.gather(x, tile, [rows, columns], space);
        (space, n, n)
    }

    /// The patches of a tile of so many rows and columns, `[depth, positions]`, in `patches`.
    fn gather(&self, x: &[f32], tile: Tile, [rows, columns]: [usize; 2], patches: &mut [f32]) {
        let ([mels, frames], [_, across]) = (self.before, self.kernel);
        let Window { stride: [step, hop], padding: [top, left], dilation: [down, right], .. } =
            self.window;
        let (taps, first, last) = (self.taps(), tile.column, tile.column + columns);
        for (line, out) in patches.chunks_exact_mut(rows * columns).enumerate() {
            let (c, i, j) = (line / taps, line % taps / across * down, line % across * right);
            let plane = &x[c * mels * frames..(c + 1) * mels * frames];
            // Positions whose input lies inside.
            let from = left.saturating_sub(j).div_ceil(hop).clamp(first, last);
            let to = (frames + left).saturating_sub(j).div_ceil(hop).clamp(from, last);
            for (r, out) in out.chunks_exact_mut(columns).enumerate() {
                let place = ((tile.row + r) * step + i).checked_sub(top);
                let Some(source) = place.filter(|&s| s < mels) else {
                    out.fill(0.0);
                    continue;
                };
                let source = &plane[source * frames..(source + 1) * frames];
                out[..from - first].fill(0.0);
                out[to - first..].fill(0.0);
                if from == to {
                    continue;
                }
                let (out, source) =
                    (&mut out[from - first..to - first], &source[from * hop + j - left..]);
                if hop == 1 {
                    out.copy_from_slice(&source[..to - from]);
                } else {
                    out.iter_mut().zip(source.iter().step_by(hop)).for_each(|(o, s)| *o = *s);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_rows_are_divided_under_kernels_over_frames_alone() {
        let window = Window::same([1, 5], [1, 1]);
        let long = Sizes::new(&[1, 512, 1, 60_000], &[512, 512, 1, 5], window);
        assert_eq!((long.rows(), long.columns()), (1, FRAMES));
        assert_eq!(long.tiles(0..1).len(), 60_000usize.div_ceil(FRAMES));
        let square =
            Sizes::new(&[1, 512, 2, 60_000], &[64, 512, 3, 3], Window::same([3; 2], [1; 2]));
        assert_eq!((square.rows(), square.columns()), (1, 60_000));
    }
}
