//! Winograd's way to convolutions with three taps over rows: `F(2, 3)`, two rows at once. S.
//! Winograd, *Arithmetic complexity of computations*, 1980; A. Lavin and S. Gray, *Fast algorithms
//! for convolutional neural networks*, CVPR 2016.
//!
//! Rows `r` and `r + 1` of the output want the four rows `d0` to `d3` of the input from `r - 1` on,
//! and the three rows `g0` to `g2` of taps. Each becomes four:
//!
//! | | input | weights |
//! |---|---|---|
//! | 0 | `d0 - d2` | `g0` |
//! | 1 | `d1 + d2` | `(g0 + g1 + g2) / 2` |
//! | 2 | `d2 - d1` | `(g0 - g1 + g2) / 2` |
//! | 3 | `d1 - d3` | `g2` |
//!
//! With `m0` to `m3`, the sums of their products over input channels and taps over frames, row `r`
//! is `m0 + m1 + m2` and row `r + 1` is `m1 - m2 - m3`: four products in place of six. The [tiles]
//! of other convolutions compute the sums, with three taps and vectors over frames as ever.
//!
//! Positions are those of pairs of rows, pads included, in one run. A part of them has its input
//! transformed into a thread's scratch, where it stays in the cache for all blocks of outputs.
//! Every position's sums have one order, whatever the parts and the number of threads.
//!
//! [tiles]: super::tile

mod run;
mod shape;
mod steps;

use super::super::Level;
use super::pack::Packed;
use super::tile::Kernel;
use super::{Call, Dense, Geometry};
use shape::Shape;
use steps::Steps;

/// Taps over frames.
const TAPS: usize = 3;
/// Transformed rows of a pair.
const KINDS: usize = 4;
/// Channels of input and of output from which on the way is worth its additions: each transformed
/// value serves all outputs, and each sum has all inputs.
const CHANNELS: usize = 16;

/// Weights for the way.
pub(super) struct Winograd {
    steps: &'static Steps,
    /// Input channels, and outputs of a tile.
    channels: usize,
    outputs: usize,
    weights: Weights,
}

enum Weights {
    /// Blocks of transformed weights.
    Floats(Vec<f32>),
    /// Codes of weights that are transformed when their block is wanted.
    Codes(Packed),
}

/// A thread's scratch.
struct Own<'a> {
    /// Transformed input, as [`Shape`] lays it.
    input: &'a mut [f32],
    /// Sums of a few tiles: kind by kind, and output by output.
    sums: &'a mut [f32],
    /// Weights of a block, as they were before they are transformed, and transformed.
    plain: &'a mut [f32],
    weights: &'a mut [f32],
}

impl Winograd {
    /// Whether convolutions of this geometry go this way.
    pub fn suits(geometry: &Geometry) -> bool {
        let Geometry { input, output, kernel, stride, dilation, padding } = *geometry;
        let is_plain = stride == [1, 1] && dilation == [1, 1] && padding == [1, 1];
        kernel == [3, TAPS] && is_plain && input.min(output) >= CHANNELS
    }

    /// Takes the weights for tiles of a kernel.
    pub fn new(weights: Packed, geometry: &Geometry, kernel: &Kernel, level: Level) -> Self {
        let (channels, outputs) = (geometry.input, kernel.outputs);
        let codes = Weights::Codes(weights);
        let mut made = Self { steps: Steps::of(level), channels, outputs, weights: codes };
        if let Weights::Codes(packed) = &made.weights
            && packed.scratch() == 0
        {
            let mut all = vec![0.0; geometry.output.div_ceil(outputs) * made.block_len()];
            for (block, to) in all.chunks_exact_mut(made.block_len()).enumerate() {
                made.transform(packed.block(block, &mut []), to);
            }
            made.weights = Weights::Floats(all);
        }
        made
    }

    /// Values of a block's transformed weights.
    fn block_len(&self) -> usize {
        KINDS * self.kind_len()
    }

    /// Values of one kind of them: channel by channel, tap by tap, the outputs side by side.
    fn kind_len(&self) -> usize {
        self.channels * TAPS * self.outputs
    }

    /// Transforms a block's weights.
    fn transform(&self, from: &[f32], to: &mut [f32]) {
        self.steps.weights(from, to, self.channels, TAPS * self.outputs);
    }

    /// A block's transformed weights, from memory or put into scratch.
    fn block<'a>(&'a self, block: usize, plain: &mut [f32], weights: &'a mut [f32]) -> &'a [f32] {
        let len = self.block_len();
        match &self.weights {
            Weights::Floats(floats) => &floats[block * len..][..len],
            Weights::Codes(codes) => {
                self.transform(codes.block(block, plain), weights);
                weights
            }
        }
    }

    /// Values of scratch for codes of a block, and for its transformed weights.
    fn unpacked(&self) -> [usize; 2] {
        match &self.weights {
            Weights::Floats(_) => [0, 0],
            Weights::Codes(codes) => [codes.scratch(), self.block_len()],
        }
    }

    /// Values of a thread's scratch.
    fn each(&self, shape: &Shape) -> usize {
        let [plain, weights] = self.unpacked();
        shape.input() + shape.sums(self.outputs) + plain + weights
    }

    /// Shares out such a scratch.
    fn own<'a>(&self, shape: &Shape, scratch: &'a mut [f32]) -> Own<'a> {
        let [plain, _] = self.unpacked();
        let (input, rest) = scratch.split_at_mut(shape.input());
        let (sums, rest) = rest.split_at_mut(shape.sums(self.outputs));
        let (plain, weights) = rest.split_at_mut(plain);
        Own { input, sums, plain, weights }
    }

    /// Values of scratch for an input `[channels, rows, frames]`: transformed input and weights of
    /// every thread that may have a task.
    pub fn scratch(&self, dense: &Dense, input: [usize; 3], pad: usize) -> usize {
        let shape = Shape::of(input, pad, dense.kernel.positions);
        run::threads(dense, &shape) * self.each(&shape)
    }

    /// Runs the convolution, whose weights these are.
    pub fn run(&self, dense: &Dense, call: Call<'_>) {
        run::run(self, dense, call);
    }

    /// Bytes of the weights.
    pub fn bytes(&self) -> usize {
        match &self.weights {
            Weights::Floats(floats) => size_of_val(floats.as_slice()),
            Weights::Codes(codes) => codes.bytes(),
        }
    }
}
