//! Convolution of f32 values in memory: patches of a few rows at a time, multiplied while they are
//! in the cache.
//!
//! With patches as a matrix `[input channels * taps, positions]`, the output is `weights x
//! patches`, the weights' gradient `dy x patches^T`, and (at stride 1) the input's gradient a
//! convolution of `dy` with mirrored, transposed weights. A 1x1 kernel needs no patches: they are
//! the input.

#![allow(unsafe_code, reason = "matrix products take pointers, and threads write into one buffer")]

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::TensorData;
use gemm::Parallelism;
use rayon::prelude::*;

use super::Window;
use crate::backend::flex::{contiguous, slice};

/// Bytes of patches made at a time: about a core's second-level cache.
const PATCHES: usize = 512 << 10;
/// Bytes of partial sums of a weight gradient; there are 2 to 16 of them.
const PARTIAL: usize = 8 << 20;
/// The most bytes of Burn's columns (input gradient of a strided convolution).
const COLUMNS: usize = 8 << 20;

/// Sizes of one convolution.
#[derive(Debug, Clone, Copy)]
struct Shape {
    batch: usize,
    input: usize,
    output: usize,
    kernel: usize,
    /// Mels and frames of the input and the output.
    before: [usize; 2],
    after: [usize; 2],
    window: Window,
}

impl Shape {
    fn new(x: &[usize], w: &[usize], window: Window) -> Self {
        let (kernel, before) = (w[2], [x[2], x[3]]);
        let after = window.output(before, kernel);
        Self { batch: x[0], input: x[1], output: w[0], kernel, before, after, window }
    }

    /// Rows of the patch matrix.
    fn depth(&self) -> usize {
        self.input * self.kernel * self.kernel
    }

    /// Whether patches are the input itself.
    fn pointwise(&self) -> bool {
        self.kernel == 1 && self.window.stride == [1, 1]
    }

    /// Output rows handled at a time.
    fn rows(&self) -> usize {
        (PATCHES / (4 * self.depth() * self.after[1])).clamp(1, self.after[0])
    }

    /// Partial sums of the weights' gradient.
    fn parts(&self, tiles: usize) -> usize {
        (PARTIAL / (4 * self.output * self.depth())).clamp(2, 16).min(tiles)
    }

    /// Utterance and first row of every piece of work.
    fn tiles(&self) -> Vec<(usize, usize)> {
        let (rows, last) = (self.rows(), self.after[0]);
        (0..self.batch).flat_map(|b| (0..last).step_by(rows).map(move |row| (b, row))).collect()
    }

    /// The patches of a tile as `depth` rows of n values: the values, the step from row to row, and
    /// n. They are made in `space` where they are not the input.
    fn right<'a>(
        &self,
        x: &'a [f32],
        (b, row): (usize, usize),
        space: &'a mut Vec<f32>,
    ) -> (&'a [f32], usize, usize) {
        let plane = self.before[0] * self.before[1];
        let x = &x[b * self.input * plane..(b + 1) * self.input * plane];
        let rows = self.rows().min(self.after[0] - row);
        let n = rows * self.after[1];
        if self.pointwise() {
            return (&x[row * self.after[1]..], plane, n);
        }
        space.resize(self.depth() * n, 0.0);
        self.gather(x, row, rows, space);
        (space, n, n)
    }

    /// The patches of output rows from `row` on, `[depth, positions]`, in `patches`.
    fn gather(&self, x: &[f32], row: usize, rows: usize, patches: &mut [f32]) {
        let ([mels, frames], width, k) = (self.before, self.after[1], self.kernel);
        let [step, hop] = self.window.stride;
        let pad = k / 2;
        for (line, out) in patches.chunks_exact_mut(rows * width).enumerate() {
            let (c, i, j) = (line / (k * k), line / k % k, line % k);
            let plane = &x[c * mels * frames..(c + 1) * mels * frames];
            // Positions whose input lies inside.
            let from = pad.saturating_sub(j).div_ceil(hop).min(width);
            let to = (frames + pad).saturating_sub(j).div_ceil(hop).clamp(from, width);
            for (r, out) in out.chunks_exact_mut(width).enumerate() {
                let Some(source) = ((row + r) * step + i).checked_sub(pad).filter(|&s| s < mels)
                else {
                    out.fill(0.0);
                    continue;
                };
                let source = &plane[source * frames..(source + 1) * frames];
                out[..from].fill(0.0);
                out[to..].fill(0.0);
                if from == to {
                    continue;
                }
                let source = &source[from * hop + j - pad..];
                if hop == 1 {
                    out[from..to].copy_from_slice(&source[..to - from]);
                } else {
                    out[from..to]
                        .iter_mut()
                        .zip(source.iter().step_by(hop))
                        .for_each(|(o, s)| *o = *s);
                }
            }
        }
    }
}

/// Bytes of scratch space with so many threads: of the output, of the weights' gradient, of the
/// input's gradient.
pub(super) fn scratch(x: [usize; 4], w: [usize; 4], window: Window, threads: usize) -> [usize; 3] {
    let s = Shape::new(&x, &w, window);
    let tiles = s.tiles().len();
    let patches = |s: &Shape| {
        if s.pointwise() { 0 } else { 4 * s.depth() * s.rows() * s.after[1] * threads.min(tiles) }
    };
    let partial = 4 * s.output * s.depth() * s.parts(tiles);
    let input = match window.stride {
        [1, 1] => {
            let dy = [s.batch, s.output, s.after[0], s.after[1]];
            patches(&Shape::new(&dy, &[s.input, s.output, s.kernel, s.kernel], window))
        }
        // Burn's columns, of one utterance at a time.
        _ => (4 * s.depth() * s.after[0] * s.after[1]).min(COLUMNS),
    };
    [patches(&s), partial + patches(&s), input]
}

/// The start of a buffer into which threads write at disjoint places. It is only an address; each
/// write justifies itself in an `unsafe` block.
#[derive(Clone, Copy)]
struct Start(*mut f32);
// SAFETY: an address alone gives no access.
unsafe impl Send for Start {}
// SAFETY: as above.
unsafe impl Sync for Start {}

impl Start {
    /// The address of value `offset`. It may be written to if the value lies in the buffer.
    fn at(self, offset: usize) -> *mut f32 {
        self.0.wrapping_add(offset)
    }
}

/// `[batch, input, mels, frames]` with `[output, input, k, k]`.
pub(super) fn forward(
    x: FloatTensor<Flex>,
    w: FloatTensor<Flex>,
    window: Window,
) -> FloatTensor<Flex> {
    let (x, w) = (contiguous(x), contiguous(w));
    let s = Shape::new(x.layout().shape(), w.layout().shape(), window);
    let out = product(&s, slice(&x), slice(&w));
    FloatTensor::<Flex>::from_data(TensorData::new(
        out,
        [s.batch, s.output, s.after[0], s.after[1]],
    ))
}

/// The output for inputs `x` and weights `w`, which lie side by side.
fn product(s: &Shape, x: &[f32], w: &[f32]) -> Vec<f32> {
    let plane_out = s.after[0] * s.after[1];
    let (depth, width) = (s.depth(), s.after[1]);
    assert_eq!(w.len(), s.output * depth, "weights that do not fit the input's channels");
    let mut out = vec![0.0f32; s.batch * s.output * plane_out];
    let start = Start(out.as_mut_ptr());
    s.tiles().into_par_iter().for_each_init(Vec::new, |patches, (b, row)| {
        let (right, stride, n) = s.right(x, (b, row), patches);
        let first = start.at(b * s.output * plane_out + row * width);
        // SAFETY: a tile is n values from `row` on in each of utterance b's `output` planes. They
        // lie inside `out`, which lives until all tiles are done, and tiles do not overlap. `w`
        // holds output x depth values (see above), `right` depth rows of n values, `stride` apart.
        unsafe {
            multiply(
                [s.output, depth, n],
                (first, plane_out),
                (w.as_ptr(), depth, 1),
                (right.as_ptr(), stride, 1),
                false,
            );
        }
    });
    out
}

/// `out [m, n] = left [m, k] x right [k, n]`, added to `out` or replacing it. A matrix is a pointer
/// and the strides of its rows and columns; `out`'s columns lie side by side.
///
/// # Safety
/// The pointers must be valid for these sizes and strides, and nobody else may access `out`.
unsafe fn multiply(
    [m, k, n]: [usize; 3],
    out: (*mut f32, usize),
    left: (*const f32, usize, usize),
    right: (*const f32, usize, usize),
    add: bool,
) {
    let s = |stride: usize| stride as isize;
    // SAFETY: what `gemm` asks for is what this function's caller promises.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.0,
            1,
            s(out.1),
            add,
            left.0,
            s(left.2),
            s(left.1),
            right.0,
            s(right.2),
            s(right.1),
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// The gradient of the weights, `[output, input, k, k]`. It is summed in an order that does not
/// depend on the number of threads.
pub(super) fn weight_gradient(
    x: FloatTensor<Flex>,
    dy: FloatTensor<Flex>,
    kernel: usize,
    window: Window,
) -> FloatTensor<Flex> {
    let (x, dy) = (contiguous(x), contiguous(dy));
    let shape = [dy.layout().shape()[1], x.layout().shape()[1], kernel, kernel];
    let s = Shape::new(x.layout().shape(), &shape, window);
    let (xs, dys) = (slice(&x), slice(&dy));
    let plane_out = s.after[0] * s.after[1];
    let (depth, width) = (s.depth(), s.after[1]);
    assert_eq!(dys.len(), s.batch * s.output * plane_out, "an output's gradient of another shape");
    let tiles = s.tiles();
    let parts = s.parts(tiles.len());
    let partial = |tiles: &[(usize, usize)]| {
        let mut sum = vec![0.0f32; s.output * depth];
        let mut patches = Vec::new();
        for (t, &(b, row)) in tiles.iter().enumerate() {
            let (right, stride, n) = s.right(xs, (b, row), &mut patches);
            let left = &dys[b * s.output * plane_out + row * width..];
            // SAFETY: `left` begins `output` rows of n values, plane_out apart, in utterance b of
            // `dy` (whose length is checked above). `right` is as in `product`, read transposed.
            // `sum` holds output x depth values and is this thread's own.
            unsafe {
                let (left, right) = ((left.as_ptr(), plane_out, 1), (right.as_ptr(), 1, stride));
                multiply([s.output, n, depth], (sum.as_mut_ptr(), depth), left, right, t > 0);
            }
        }
        sum
    };
    let sums: Vec<Vec<f32>> = tiles.par_chunks(tiles.len().div_ceil(parts)).map(partial).collect();
    let sum = sums.into_iter().reduce(|mut a, b| {
        a.iter_mut().zip(&b).for_each(|(a, b)| *a += b);
        a
    });
    FloatTensor::<Flex>::from_data(TensorData::new(sum.expect("there are tiles"), shape))
}

/// The gradient of the input at stride 1.
pub(super) fn input_gradient(w: FloatTensor<Flex>, dy: FloatTensor<Flex>) -> FloatTensor<Flex> {
    let (w, dy) = (contiguous(w), contiguous(dy));
    let [output, input, k, _] = w.layout().shape()[..] else { panic!("weights have four axes") };
    let weights = slice(&w);
    let taps = k * k;
    let mut mirrored = vec![0.0f32; weights.len()];
    for o in 0..output {
        for i in 0..input {
            let (from, to) = (
                &weights[(o * input + i) * taps..][..taps],
                &mut mirrored[(i * output + o) * taps..][..taps],
            );
            to.iter_mut().zip(from.iter().rev()).for_each(|(t, f)| *t = *f);
        }
    }
    let s = Shape::new(dy.layout().shape(), &[input, output, k, k], Window { stride: [1, 1] });
    let dx = product(&s, slice(&dy), &mirrored);
    FloatTensor::<Flex>::from_data(TensorData::new(dx, [s.batch, input, s.after[0], s.after[1]]))
}
