//! The loops: vectors of neighbouring target places. [`pulp`] compiles them for each generation of
//! processors and picks at run time.

use pulp::{Simd, WithSimd};

use super::{Lines, Walk};

/// Some rows of a group's target. `out` holds all of its rows, `weights` its weights.
pub(super) struct Convolve<'a> {
    pub walk: &'a Walk,
    pub lines: &'a Lines,
    pub weights: &'a [f32],
    pub row: usize,
    pub rows: usize,
    pub out: &'a mut [f32],
}

impl WithSimd for Convolve<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let channels = self.walk.output;
        for r in 0..self.rows {
            let mut channel = 0;
            while channel < channels {
                if channels - channel >= 4 {
                    self.line::<S, 4, 2>(simd, channel, r);
                    channel += 4;
                } else {
                    self.line::<S, 1, 4>(simd, channel, r);
                    channel += 1;
                }
            }
        }
    }
}

impl Convolve<'_> {
    /// Row r of `O` channels from `channel` on, up to `C` vectors at a time.
    #[inline(always)]
    fn line<S: Simd, const O: usize, const C: usize>(&mut self, simd: S, channel: usize, r: usize) {
        let (width, mut column) = (self.walk.target[1], 0);
        while column < width {
            if width - column > (C - 1) * S::F32_LANES {
                self.block::<S, O, C>(simd, [channel, r, column]);
                column += C * S::F32_LANES;
            } else {
                self.block::<S, O, 1>(simd, [channel, r, column]);
                column += S::F32_LANES;
            }
        }
    }

    /// `C` vectors from `column` on in row r of `O` channels.
    #[inline(always)]
    fn block<S: Simd, const O: usize, const C: usize>(
        &mut self,
        simd: S,
        [channel, r, column]: [usize; 3],
    ) {
        let Walk { input, kernel: [rows, columns], stride, dilation, .. } = *self.walk;
        let [height, width] = self.walk.target;
        let per_output = input * rows * columns;
        let weights = &self.weights[channel * per_output..][..O * per_output];
        let mut sums = [[simd.splat_f32s(0.0); C]; O];
        for p in 0..rows {
            let h = r * stride[0] + p * dilation[0];
            for i in 0..input {
                let Some(line) = self.lines.row(i, h) else { break };
                let first = (i * rows + p) * columns;
                for (q, &tap) in self.lines.taps().iter().enumerate() {
                    let x = &line[tap + column..][..C * S::F32_LANES];
                    let (x, _) = S::as_simd_f32s(x);
                    for (o, sums) in sums.iter_mut().enumerate() {
                        let weight = simd.splat_f32s(weights[o * per_output + first + q]);
                        for (sum, &x) in sums.iter_mut().zip(x) {
                            *sum = simd.mul_add_e_f32s(weight, x, *sum);
                        }
                    }
                }
            }
        }
        let count = (width - column).min(C * S::F32_LANES);
        for (o, sums) in sums.iter().enumerate() {
            let start = ((channel + o) * height + self.row + r) * width + column;
            let out = self.out[start..][..count].chunks_mut(S::F32_LANES);
            for (out, &sum) in out.zip(sums) {
                simd.partial_store_f32s(out, sum);
            }
        }
    }
}

/// Adds to the sums of each weight of a group, for some rows of the target, the products of the
/// target's gradient with what the weight's tap reads. `dy` holds all rows.
pub(super) struct Correlate<'a> {
    pub walk: &'a Walk,
    pub lines: &'a Lines,
    pub dy: &'a [f32],
    pub row: usize,
    pub rows: usize,
    pub sums: &'a mut [f64],
}

impl WithSimd for Correlate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Walk { input, output, kernel: [rows, columns], stride, dilation, .. } = *self.walk;
        let [height, width] = self.walk.target;
        let taps = self.lines.taps();
        for o in 0..output {
            for r in 0..self.rows {
                let dy = &self.dy[(o * height + self.row + r) * width..][..width];
                for p in 0..rows {
                    let h = r * stride[0] + p * dilation[0];
                    for i in 0..input {
                        let Some(line) = self.lines.row(i, h) else { break };
                        let first = ((o * input + i) * rows + p) * columns;
                        let sums = &mut self.sums[first..][..columns];
                        let mut q = 0;
                        while q < columns {
                            let (taps, sums) = (&taps[q..], &mut sums[q..]);
                            q += match columns - q {
                                3 => dots::<S, 3>(simd, dy, line, taps, sums),
                                1 | 2 => dots::<S, 1>(simd, dy, line, taps, sums),
                                _ => dots::<S, 4>(simd, dy, line, taps, sums),
                            };
                        }
                    }
                }
            }
        }
    }
}

/// Adds the products of a row with what each of the first `Q` taps reads. Returns `Q`.
#[inline(always)]
fn dots<S: Simd, const Q: usize>(
    simd: S,
    dy: &[f32],
    line: &[f32],
    taps: &[usize],
    sums: &mut [f64],
) -> usize {
    let mut totals = [simd.splat_f32s(0.0); Q];
    let (vectors, rest) = S::as_simd_f32s(dy);
    let whole = dy.len() - rest.len();
    let mut read: [&[S::f32s]; Q] = [&[]; Q];
    for (read, &tap) in read.iter_mut().zip(taps) {
        *read = S::as_simd_f32s(&line[tap..][..whole]).0;
    }
    for (n, &dy) in vectors.iter().enumerate() {
        for (total, read) in totals.iter_mut().zip(&read) {
            *total = simd.mul_add_e_f32s(dy, read[n], *total);
        }
    }
    if !rest.is_empty() {
        let dy = simd.partial_load_f32s(rest);
        for (total, &tap) in totals.iter_mut().zip(taps) {
            let x = simd.partial_load_f32s(&line[tap + whole..][..rest.len()]);
            *total = simd.mul_add_e_f32s(dy, x, *total);
        }
    }
    for (sum, total) in sums.iter_mut().zip(totals) {
        *sum += f64::from(simd.reduce_sum_f32s(total));
    }
    Q
}
