//! Transforms of complex values.
//!
//! Lengths whose prime factors are small are split by them, in Stockham's order, which sorts on the
//! way (Van Loan 1992, "Computational frameworks for the fast Fourier transform", 1.7). Others are
//! convolutions (Bluestein 1970, "A linear filtering approach to the computation of discrete
//! Fourier transform").

use num_complex::Complex;

use crate::{FftNum, root, zero};

/// The largest prime that is a radix. Each costs its square.
const LARGEST: usize = 13;

pub(crate) struct Fft<T> {
    len: usize,
    way: Way<T>,
}

enum Way<T> {
    /// By radices. The roots of unity are all of the length's.
    Split { radices: Vec<usize>, roots: Vec<Complex<T>> },
    /// As a convolution with a chirp.
    Chirp { inner: Box<Fft<T>>, chirp: Vec<Complex<T>>, filter: Vec<Complex<T>> },
}

/// Fours first: a radix of four multiplies least.
fn radices(mut len: usize) -> Option<Vec<usize>> {
    let mut all = Vec::new();
    for radix in [4, 2, 3, 5, 7, 11, LARGEST] {
        while len.is_multiple_of(radix) {
            all.push(radix);
            len /= radix;
        }
    }
    (len == 1).then_some(all)
}

impl<T: FftNum> Fft<T> {
    /// A transform of at least one value.
    pub fn new(len: usize) -> Self {
        if let Some(radices) = radices(len) {
            let roots = (0..len).map(|k| root(k, len)).collect();
            return Self { len, way: Way::Split { radices, roots } };
        }
        let inner = Self::new((2 * len - 1).next_power_of_two());
        // e^(-pi i k^2 / n), whose exponent repeats after 2 n.
        let square = |k: usize| ((k as u128 * k as u128) % (2 * len as u128)) as usize;
        let chirp: Vec<Complex<T>> = (0..len).map(|k| root(square(k), 2 * len)).collect();
        let mut filter = vec![zero(); inner.len];
        for (k, value) in chirp.iter().enumerate() {
            filter[k] = value.conj();
            filter[(inner.len - k) % inner.len] = value.conj();
        }
        let mut scratch = vec![zero(); inner.scratch()];
        inner.forward(&mut filter, &mut scratch);
        let scale = T::from_f64(1.0 / inner.len as f64).expect("a real number");
        filter.iter_mut().for_each(|value| *value = value.scale(scale));
        Self { len, way: Way::Chirp { inner: Box::new(inner), chirp, filter } }
    }

    /// Values of the scratch.
    pub fn scratch(&self) -> usize {
        match &self.way {
            Way::Split { .. } => self.len,
            Way::Chirp { inner, .. } => inner.len + inner.scratch(),
        }
    }

    /// Transforms the values in their place.
    pub fn forward(&self, values: &mut [Complex<T>], scratch: &mut [Complex<T>]) {
        match &self.way {
            Way::Split { radices, roots } => {
                let scratch = &mut scratch[..self.len];
                let (mut from, mut to) = (&mut *values, &mut *scratch);
                let mut stride = 1;
                for &radix in radices {
                    match radix {
                        2 => two(from, to, stride, roots),
                        4 => four(from, to, stride, roots),
                        _ => odd(from, to, stride, roots, radix),
                    }
                    stride *= radix;
                    std::mem::swap(&mut from, &mut to);
                }
                if radices.len() % 2 == 1 {
                    values.copy_from_slice(scratch);
                }
            }
            Way::Chirp { inner, chirp, filter } => {
                let (long, scratch) = scratch.split_at_mut(inner.len);
                let (front, rest) = long.split_at_mut(self.len);
                for ((place, value), turn) in front.iter_mut().zip(&*values).zip(chirp) {
                    *place = value * turn;
                }
                rest.fill(zero());
                inner.forward(long, scratch);
                for (value, by) in long.iter_mut().zip(filter) {
                    *value = *value * by;
                }
                inner.inverse(long, scratch);
                for ((place, value), turn) in values.iter_mut().zip(&*long).zip(chirp) {
                    *place = value * turn;
                }
            }
        }
    }

    /// The transform back, times the length.
    pub fn inverse(&self, values: &mut [Complex<T>], scratch: &mut [Complex<T>]) {
        let swap = |value: &mut Complex<T>| *value = Complex::new(value.im, value.re);
        values.iter_mut().for_each(swap);
        self.forward(values, scratch);
        values.iter_mut().for_each(swap);
    }
}

/// A step of Stockham's: `stride` transforms of values that lie `stride` apart become as many of a
/// radix-th of the length. Here by two.
fn two<T: FftNum>(from: &[Complex<T>], to: &mut [Complex<T>], stride: usize, roots: &[Complex<T>]) {
    let (low, high) = from.split_at(from.len() / 2);
    let rows = low.chunks_exact(stride).zip(high.chunks_exact(stride));
    for ((k, (a, b)), to) in rows.enumerate().zip(to.chunks_exact_mut(2 * stride)) {
        let turn = roots[k * stride];
        let (sum, difference) = to.split_at_mut(stride);
        for (((a, b), sum), difference) in a.iter().zip(b).zip(sum).zip(difference) {
            *sum = a + b;
            *difference = (a - b) * turn;
        }
    }
}

/// As [`two`], by four.
fn four<T: FftNum>(
    from: &[Complex<T>],
    to: &mut [Complex<T>],
    stride: usize,
    roots: &[Complex<T>],
) {
    let quarter = from.len() / 4;
    let [a, b, c, d] = [0, 1, 2, 3].map(|i| &from[i * quarter..(i + 1) * quarter]);
    for (k, to) in to.chunks_exact_mut(4 * stride).enumerate() {
        let at = k * stride;
        let turns = [roots[at], roots[2 * at], roots[3 * at]];
        let here = at..at + stride;
        let [a, b, c, d] = [a, b, c, d].map(|part| &part[here.clone()]);
        let (zeroth, to) = to.split_at_mut(stride);
        let (first, to) = to.split_at_mut(stride);
        let (second, third) = to.split_at_mut(stride);
        for q in 0..stride {
            let (sum, difference) = (a[q] + c[q], a[q] - c[q]);
            let (others, apart) = (b[q] + d[q], b[q] - d[q]);
            // Times -i.
            let apart = Complex::new(apart.im, -apart.re);
            zeroth[q] = sum + others;
            first[q] = (difference + apart) * turns[0];
            second[q] = (sum - others) * turns[1];
            third[q] = (difference - apart) * turns[2];
        }
    }
}

/// As [`two`], by any radix up to the largest.
fn odd<T: FftNum>(
    from: &[Complex<T>],
    to: &mut [Complex<T>],
    stride: usize,
    roots: &[Complex<T>],
    radix: usize,
) {
    let (part, step) = (from.len() / radix, from.len() / radix);
    for (k, to) in to.chunks_exact_mut(radix * stride).enumerate() {
        for q in 0..stride {
            let mut values = [zero(); LARGEST];
            for (j, value) in values[..radix].iter_mut().enumerate() {
                *value = from[j * part + k * stride + q];
            }
            for r in 0..radix {
                let mut sum = values[0];
                for (j, value) in values[1..radix].iter().enumerate() {
                    sum = sum + value * roots[(j + 1) * r % radix * step];
                }
                to[r * stride + q] = sum * roots[k * r * stride];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the definition, in f64.
    fn slow(values: &[Complex<f64>]) -> Vec<Complex<f64>> {
        let n = values.len();
        let term = |k: usize, j: usize| values[j] * root::<f64>(j * k % n, n);
        (0..n).map(|k| (0..n).map(|j| term(k, j)).sum()).collect()
    }

    fn some(len: usize) -> Vec<Complex<f64>> {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040);
            (state >> 40) as f64 / f64::from(1 << 23) - 1.0
        };
        (0..len).map(|_| Complex::new(next(), next())).collect()
    }

    #[test]
    fn transforms_are_those_of_the_definition() {
        let lengths = (1..70).chain([128, 256, 441, 480, 512, 640, 1155, 997, 1002, 2 * 997]);
        for len in lengths {
            let fft = Fft::<f64>::new(len);
            let before = some(len);
            let (mut values, mut scratch) = (before.clone(), vec![zero(); fft.scratch()]);
            fft.forward(&mut values, &mut scratch);
            for (found, wanted) in values.iter().zip(slow(&before)) {
                assert!((found - wanted).norm() < 1e-9 * len as f64, "{len}: {found} {wanted}");
            }
            fft.inverse(&mut values, &mut scratch);
            for (found, wanted) in values.iter().zip(before) {
                assert!((found / len as f64 - wanted).norm() < 1e-10, "{len}");
            }
        }
    }

    #[test]
    fn fours_and_all_small_primes_are_radices() {
        assert_eq!(radices(4 * 4 * 2 * 3 * 5 * 7 * 11 * 13), Some(vec![4, 4, 2, 3, 5, 7, 11, 13]));
        assert_eq!(radices(1), Some(vec![]));
        assert_eq!(radices(17), None);
    }
}
