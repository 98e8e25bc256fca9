//! Sums in several lanes: partial sums side by side, which the compiler turns into vector
//! instructions and which round less than one running sum.
//!
//! The order is fixed, so a sum is the same, to the bit, on every machine. Term `i` of the whole
//! groups of `N` goes to lane `i % N`, in the order of `i`; then the lanes are added, the first one
//! first. The terms behind the last whole group are added to each other, one after the other. The
//! two parts are added last.

use std::iter::Sum;
use std::ops::{Add, AddAssign};

/// What lanes can add up.
pub(crate) trait Number: Copy + Default + Add<Output = Self> + AddAssign + Sum {}

impl Number for f32 {}
impl Number for f64 {}

/// Sums in `N` lanes, of slices that must have one length.
pub(crate) struct Lanes<const N: usize>;

impl<const N: usize> Lanes<N> {
    /// The sum of `term` over two slices.
    #[inline(always)]
    pub(crate) fn sum2<A: Copy, B: Copy, T: Number>(
        a: &[A],
        b: &[B],
        term: impl Fn(A, B) -> T,
    ) -> T {
        Self::sum3(a, b, b, |a, b, _| term(a, b))
    }

    /// The sum of `term` over three slices.
    #[inline(always)]
    pub(crate) fn sum3<A: Copy, B: Copy, C: Copy, T: Number>(
        a: &[A],
        b: &[B],
        c: &[C],
        term: impl Fn(A, B, C) -> T,
    ) -> T {
        let [lanes, rest] = Self::parts(a, b, c, term);
        lanes + rest
    }

    /// The two parts of a sum, for callers that add them in another precision: the sum of the
    /// lanes, and the sum of the terms behind the last whole group.
    #[inline(always)]
    pub(crate) fn parts<A: Copy, B: Copy, C: Copy, T: Number>(
        a: &[A],
        b: &[B],
        c: &[C],
        term: impl Fn(A, B, C) -> T,
    ) -> [T; 2] {
        debug_assert!(a.len() == b.len() && a.len() == c.len(), "slices of several lengths");
        let (a, a_rest) = a.as_chunks::<N>();
        let (b, b_rest) = b.as_chunks::<N>();
        let (c, c_rest) = c.as_chunks::<N>();
        let mut lanes = [T::default(); N];
        for ((a, b), c) in a.iter().zip(b).zip(c) {
            for k in 0..N {
                lanes[k] += term(a[k], b[k], c[k]);
            }
        }
        let rest = a_rest.iter().zip(b_rest).zip(c_rest).map(|((&a, &b), &c)| term(a, b, c));
        Self::total(lanes, rest)
    }

    /// The two parts of a sum, of lanes and of the terms behind the last whole group.
    #[inline(always)]
    pub(crate) fn total<T: Number>(lanes: [T; N], rest: impl Iterator<Item = T>) -> [T; 2] {
        [lanes.into_iter().sum(), rest.sum()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values whose sum depends on the order of summation.
    fn values(n: usize, step: f32) -> Vec<f32> {
        (0..n).map(|i| (i as f32 * step).sin() * 10f32.powi(i as i32 % 9 - 4)).collect()
    }

    #[test]
    fn the_order_of_summation_is_that_of_the_lanes() {
        for n in [0, 1, 7, 8, 9, 31, 400] {
            let (a, b, c) = (values(n, 0.7), values(n, 1.3), values(n, 2.1));
            let whole = n / 8 * 8;
            let mut lanes = [0.0f32; 8];
            for i in 0..whole {
                lanes[i % 8] += a[i] * b[i];
            }
            let rest: f32 = (whole..n).map(|i| a[i] * b[i]).sum();
            let wanted = [lanes.iter().sum::<f32>(), rest];
            let found = Lanes::<8>::parts(&a, &b, &b, |a, b, _| a * b);
            assert_eq!(found.map(f32::to_bits), wanted.map(f32::to_bits), "{n} values");
            let sum = Lanes::<8>::sum2(&a, &b, |a, b| a * b);
            assert_eq!(sum.to_bits(), (wanted[0] + wanted[1]).to_bits(), "{n} values");
            let sum = Lanes::<4>::sum3(&a, &b, &c, |a, b, c| f64::from(a * b * c));
            let terms = (0..n).map(|i| f64::from(a[i] * b[i] * c[i]));
            let (direct, size) = terms.fold((0.0, 0.0), |(s, size), x| (s + x, size + x.abs()));
            assert!((sum - direct).abs() <= 1e-12 * size, "{sum} instead of {direct}");
        }
    }
}
