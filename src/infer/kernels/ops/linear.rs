//! A linear layer on a single vector.

use rayon::prelude::*;

use super::{GUARD, Level, Plane, Source, Target, fused, per_task};
use crate::backend::codes::codes;
use crate::infer::kernels::Weights;
use crate::lanes::Lanes;

/// Partial sums side by side.
const LANES: usize = 32;
/// Codes that are looked up at a time: a multiple of [`LANES`], and of 8, so that a block begins as
/// its row does within a byte.
const BLOCK: usize = 256;
/// Codes of up to 8 bits.
const ENTRIES: usize = 1 << 8;

/// `W x * scale + shift`.
pub(crate) struct Linear {
    weights: Weights,
    scale: Vec<f32>,
    shift: Vec<f32>,
    input: usize,
    level: Level,
}

impl Linear {
    /// The layer with weights `[output, input]`, and a factor and a summand for each output.
    ///
    /// # Panics
    /// Sizes contradict each other.
    pub fn new(
        weights: Weights,
        scale: Vec<f32>,
        shift: Vec<f32>,
        input: usize,
        output: usize,
        level: Level,
    ) -> Self {
        assert_eq!((scale.len(), shift.len()), (output, output), "numbers for each output");
        match &weights {
            Weights::Floats(values) => assert_eq!(values.len(), output * input, "weights"),
            Weights::Codes { bits, codes, values, per_output } => {
                let needed = (output * input * *bits as usize).div_ceil(8);
                assert!(codes.len() >= needed, "{} bytes of codes for {needed}", codes.len());
                let books = if *per_output { output } else { 1 };
                assert_eq!(values.len() % books, 0, "values of {books} codebooks");
            }
        }
        Self { weights, scale, shift, input, level }
    }

    /// `x` `[input]` -> `y` `[output]`, with ReLU if wanted.
    ///
    /// # Panics
    /// The values of `x` or `y` do not lie side by side.
    pub fn run(&self, relu: bool, x: Source<'_>, y: Target<'_>) {
        let dense = |plane: Plane| plane.rows == 1 || plane.width == plane.pitch;
        assert!(dense(x.plane) && dense(y.plane), "a vector with gaps");
        let x = &x.values[GUARD..][..self.input];
        let outputs = y.inner()[..self.scale.len()].par_iter_mut().enumerate();
        outputs.with_min_len(per_task(self.input)).for_each(|(output, y)| {
            let sum = self.product(output, x) * self.scale[output] + self.shift[output];
            *y = if relu { super::element::relu(sum) } else { sum };
        });
    }

    /// The product of an output's weights with a vector.
    fn product(&self, output: usize, x: &[f32]) -> f32 {
        let mut sums = [0.0; LANES];
        let first = output * self.input;
        let rest = match &self.weights {
            Weights::Floats(all) => add(self.level, &mut sums, &all[first..][..self.input], x),
            Weights::Codes { bits, codes, values, per_output } => {
                let books = if *per_output { self.scale.len() } else { 1 };
                let entries = values.len() / books;
                // As many as a code can name, so that no lookup is checked.
                let mut book = [0.0; ENTRIES];
                book[..entries].copy_from_slice(&values[output % books * entries..][..entries]);
                let mut weights = [0.0; BLOCK];
                let mut rest = 0.0;
                for (i, x) in x.chunks(BLOCK).enumerate() {
                    let weights = &mut weights[..x.len()];
                    look_up(self.level, *bits as usize, codes, first + i * BLOCK, &book, weights);
                    rest = add(self.level, &mut sums, weights, x);
                }
                rest
            }
        };
        sums.into_iter().sum::<f32>() + rest
    }

    /// Bytes that it keeps.
    pub fn bytes(&self) -> usize {
        let weights = match &self.weights {
            Weights::Floats(values) => size_of_val(&values[..]),
            Weights::Codes { codes, values, .. } => codes.len() + size_of_val(&values[..]),
        };
        weights + size_of_val(&self.scale[..]) + size_of_val(&self.shift[..])
    }
}

vectorised! {
    /// The entries that codes from a place on name.
    fn look_up<FUSED>(
        bits: usize,
        bytes: &[u8],
        first: usize,
        book: &[f32; ENTRIES],
        into: &mut [f32],
    ) {
        // Codes of every width begin on a byte at every eighth.
        let (start, skipped) = (first / 8 * bits, first % 8);
        let bytes = &bytes[start..];
        if bits == 4 && skipped.is_multiple_of(2) {
            let (pairs, last) = into.as_chunks_mut::<2>();
            let mut bytes = bytes[skipped / 2..].iter();
            for (pair, &byte) in pairs.iter_mut().zip(&mut bytes) {
                *pair = [book[usize::from(byte & 15)], book[usize::from(byte >> 4)]];
            }
            last.iter_mut().zip(bytes).for_each(|(v, &byte)| *v = book[usize::from(byte & 15)]);
            return;
        }
        let all = codes(bytes, bits, skipped + into.len()).skip(skipped);
        into.iter_mut().zip(all).for_each(|(v, code)| *v = book[usize::from(code)]);
    }
}

vectorised! {
    /// Adds products to sums; gives the sum of those behind the last whole group.
    fn add<FUSED>(sums: &mut [f32; LANES], a: &[f32], b: &[f32]) -> f32 {
        let (a, a_rest) = a.as_chunks::<LANES>();
        let (b, b_rest) = b.as_chunks::<LANES>();
        for (a, b) in a.iter().zip(b) {
            for i in 0..LANES {
                sums[i] = fused::<FUSED>(a[i], b[i], sums[i]);
            }
        }
        Lanes::<4>::sum2(a_rest, b_rest, |a, b| a * b)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Held, for_levels};
    use super::*;
    use crate::backend::codes::pack;

    fn positive(count: usize, seed: u64) -> Vec<f32> {
        Held::noise(&[count], 0, seed).dense().into_iter().map(|v| v.abs() + 0.1).collect()
    }

    fn check(level: Level, weights: Weights, dense: &[f32], input: usize, output: usize) {
        let x = positive(input, 9);
        let x = Held::of(&[input], 0, &x);
        // Products are positive, so that nothing cancels; every second output is negative.
        let (scale, shift): (Vec<f32>, Vec<f32>) = (0..output)
            .map(|i| (if i % 2 == 0 { 1.0 } else { -1.0 }, i as f32))
            .map(|(sign, i)| (sign * (1.0 + i), sign * 0.5 * i))
            .unzip();
        let mut wanted: Vec<f64> = dense
            .chunks(input)
            .map(|row| row.iter().zip(x.dense()).map(|(&w, x)| f64::from(w) * f64::from(x)).sum())
            .collect();
        for ((sum, &a), &b) in wanted.iter_mut().zip(&scale).zip(&shift) {
            *sum = *sum * f64::from(a) + f64::from(b);
        }
        let linear = Linear::new(weights, scale, shift, input, output, level);
        let mut y = Held::garbage(&[output], 0);
        linear.run(false, x.source(), y.target());
        y.near(&wanted, 2e-6);
        linear.run(true, x.source(), y.target());
        y.near(&wanted.iter().map(|v| v.max(0.0)).collect::<Vec<_>>(), 2e-6);
    }

    #[test]
    fn outputs_are_products_with_floats_or_codes() {
        for_levels(|level| {
            for (input, output) in [(1, 1), (37, 5), (256, 9), (700, 3)] {
                let dense = positive(output * input, 1);
                check(level, Weights::Floats(dense.clone()), &dense, input, output);
                for (bits, per_output) in (1..=8).flat_map(|bits| [(bits, false), (bits, true)]) {
                    let entries = 1 << bits;
                    let books = if per_output { output } else { 1 };
                    let values = positive(books * entries, 2);
                    let names: Vec<u8> =
                        (0..output * input).map(|i| (i * 37 % entries) as u8).collect();
                    let entry = |(i, &code): (usize, &u8)| {
                        let book = if per_output { i / input } else { 0 };
                        values[book * entries + usize::from(code)]
                    };
                    let dense: Vec<f32> = names.iter().enumerate().map(entry).collect();
                    let codes = pack(&names, bits);
                    let bits = bits as u32;
                    let weights = Weights::Codes { bits, codes, values, per_output };
                    check(level, weights, &dense, input, output);
                }
            }
        });
    }

    #[test]
    fn packed_weights_stay_packed() {
        let weights = Weights::Codes {
            bits: 4,
            codes: vec![0; 50],
            values: vec![0.0; 16],
            per_output: false,
        };
        let linear = Linear::new(weights, vec![1.0; 4], vec![0.0; 4], 25, 4, Level::best());
        assert_eq!(linear.bytes(), 50 + 4 * (16 + 4 + 4));
    }
}
