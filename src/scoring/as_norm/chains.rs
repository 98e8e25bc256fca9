//! Inner products of a row with members of a cohort in f32, for statistics of many of them.
//!
//! Two products are added in f32, and such pairs in f64. So half as many values are converted to
//! f64, which is what [`Values::dots`] takes most of its time for. The order of all sums is fixed,
//! and the second product is added before it is rounded. So no bit depends on the processor.
//!
//! A product passes through at most two roundings in f32. With u = 2^-24, the sum is off by at most
//! 2 u |x| |y|. [`Quick`](super::quick::Quick) says how far it is off in fact.

#![allow(unsafe_code, reason = "vector instructions are used where the processor has them")]

use super::dots::Values;

/// A vector of f32.
const LANES: usize = 16;
/// A vector of f64.
const HALF: usize = LANES / 2;
/// Values that are multiplied together: two vectors of f32.
const GROUP: usize = 2 * LANES;

impl Values {
    /// Appends the products of `row` with the members at `places`, which count from `first` on.
    ///
    /// # Panics
    /// If there is no such member, or the row has another dimension.
    pub fn quick_dots(&self, row: &[f32], first: usize, places: &[u32], dots: &mut Vec<f64>) {
        assert_eq!(row.len(), self.dim(), "another dimension");
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has these instructions.
            return unsafe { self.quick_with_512_bits(row, first, places, dots) };
        } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: as above.
            return unsafe { self.quick_with_256_bits(row, first, places, dots) };
        }
        self.quick_plain(row, first, places, dots);
    }

    /// The plain twin of [`quick_dots`](Self::quick_dots).
    #[inline(always)]
    fn quick_plain(&self, row: &[f32], first: usize, places: &[u32], dots: &mut Vec<f64>) {
        dots.reserve(places.len());
        // No closure: it would not be compiled for the instructions of the function around it.
        for &place in places {
            dots.push(paired(row, self.member(first + place as usize)));
        }
    }
}

/// The product of two vectors of one length.
#[inline(always)]
fn paired(row: &[f32], member: &[f32]) -> f64 {
    let (groups, rest) = row.as_chunks::<GROUP>();
    let (others, ends) = member.as_chunks::<GROUP>();
    let mut lanes = [0.0f64; HALF];
    for (x, y) in groups.iter().zip(others) {
        let mut pairs = [0.0f32; LANES];
        for k in 0..LANES {
            pairs[k] = x[LANES + k].mul_add(y[LANES + k], x[k] * y[k]);
        }
        for k in 0..HALF {
            lanes[k] += f64::from(pairs[k]) + f64::from(pairs[HALF + k]);
        }
    }
    with_ends(lanes, rest, ends)
}

/// The sum of lanes and of the products behind the last whole group.
#[inline(always)]
fn with_ends(lanes: [f64; HALF], rest: &[f32], ends: &[f32]) -> f64 {
    let four = [lanes[0] + lanes[4], lanes[1] + lanes[5], lanes[2] + lanes[6], lanes[3] + lanes[7]];
    and_ends((four[0] + four[2]) + (four[1] + four[3]), rest, ends)
}

/// A sum, and the products behind the last whole group, which are exact.
#[inline(always)]
fn and_ends(mut total: f64, rest: &[f32], ends: &[f32]) -> f64 {
    for (&x, &y) in rest.iter().zip(ends) {
        total += f64::from(x) * f64::from(y);
    }
    total
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::x86_64::*;

    use super::{GROUP, LANES, Values, and_ends};

    /// Members that are multiplied side by side: a value of the row is loaded once for them.
    const WIDTH: usize = 4;

    impl Values {
        #[target_feature(enable = "avx2,fma")]
        pub(super) fn quick_with_256_bits(
            &self,
            row: &[f32],
            first: usize,
            places: &[u32],
            dots: &mut Vec<f64>,
        ) {
            self.quick_plain(row, first, places, dots);
        }

        /// The row has as many values as a member.
        #[target_feature(enable = "avx512f")]
        pub(super) fn quick_with_512_bits(
            &self,
            row: &[f32],
            first: usize,
            places: &[u32],
            dots: &mut Vec<f64>,
        ) {
            let (groups, rest) = row.as_chunks::<GROUP>();
            let whole = GROUP * groups.len();
            // No `map`, which is compiled without these instructions: it would be called.
            let member = |place: u32| self.member(first + place as usize);
            let each = |&[a, b, c, d]: &[u32; WIDTH]| [member(a), member(b), member(c), member(d)];
            let (fours, others) = places.as_chunks::<WIDTH>();
            // Those left over are filled up with copies, which go again: each of them alone would
            // take as long as four.
            let mut last = [others.last().copied().unwrap_or_default(); WIDTH];
            last[..others.len()].copy_from_slice(others);
            let mut all = fours.iter().chain((!others.is_empty()).then_some(&last)).peekable();
            let wanted = dots.len() + places.len();
            dots.reserve(places.len() + WIDTH);
            while let Some(four) = all.next() {
                let now = each(four);
                let next = each(all.peek().copied().unwrap_or(four));
                let mut sums = [_mm512_setzero_pd(); WIDTH];
                for (k, group) in groups.iter().enumerate() {
                    let (a, b) = (GROUP * k, GROUP * k + LANES);
                    // SAFETY: the row and all members have 16 values at both places.
                    unsafe {
                        for member in next {
                            _mm_prefetch::<_MM_HINT_T0>(member.as_ptr().add(a).cast());
                            _mm_prefetch::<_MM_HINT_T0>(member.as_ptr().add(b).cast());
                        }
                        let x = _mm512_loadu_ps(group.as_ptr());
                        let x2 = _mm512_loadu_ps(group.as_ptr().add(LANES));
                        for j in 0..WIDTH {
                            let y = now[j].as_ptr();
                            let pairs = _mm512_mul_ps(x, _mm512_loadu_ps(y.add(a)));
                            let y2 = _mm512_loadu_ps(y.add(b));
                            sums[j] = plus(sums[j], _mm512_fmadd_ps(x2, y2, pairs));
                        }
                    }
                }
                for (sums, member) in sums.into_iter().zip(now) {
                    dots.push(and_ends(total(sums), rest, &member[whole..]));
                }
            }
            dots.truncate(wanted);
        }
    }

    /// The sum of all lanes, in the order of `with_ends`.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn total(lanes: __m512d) -> f64 {
        let four = _mm256_add_pd(_mm512_castpd512_pd256(lanes), _mm512_extractf64x4_pd::<1>(lanes));
        let two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd::<1>(four));
        _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)))
    }

    /// Adds both halves of the pairs' sums.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn plus(sums: __m512d, pairs: __m512) -> __m512d {
        let low = _mm512_castps512_ps256(pairs);
        let high = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(pairs)));
        _mm512_add_pd(sums, _mm512_add_pd(_mm512_cvtps_pd(low), _mm512_cvtps_pd(high)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    #[test]
    fn quick_products_are_those_of_the_plain_twin_and_nearly_exact() {
        let mut stream = Stream::new(1, "test", &[]);
        // Without a whole group, and with values behind the last one.
        for dim in [1, 31, 32, 64, 80, 193, 256, 300] {
            let mut values = || (0..dim).map(|_| stream.normal() as f32).collect::<Vec<f32>>();
            let row = values();
            let mut members = Values::zeros(30, dim);
            (0..30).for_each(|i| members.member_mut(i).copy_from_slice(&values()));
            for count in [0, 1, 3, 4, 9] {
                let places: Vec<u32> = (0..count).map(|_| stream.below(25) as u32).collect();
                let (mut dots, mut wanted) = (vec![1.0], vec![1.0]);
                members.quick_dots(&row, 5, &places, &mut dots);
                members.quick_plain(&row, 5, &places, &mut wanted);
                assert_eq!(dots, wanted, "{count} members of {dim} values");
                for (&dot, &place) in dots[1..].iter().zip(&places) {
                    let member = members.member(5 + place as usize);
                    let term = |(&x, &y): (&f32, &f32)| f64::from(x) * f64::from(y);
                    let terms = || row.iter().zip(member).map(term);
                    let (direct, size) = (terms().sum::<f64>(), terms().map(f64::abs).sum::<f64>());
                    let most = 2.01 * f64::from(f32::EPSILON) / 2.0 * size;
                    assert!((dot - direct).abs() <= most, "{dot} instead of {direct}");
                }
            }
        }
    }
}
