//! Inner products of a row with members of a cohort in f32, for statistics of many of them.
//!
//! Four products are added in f32, and such chains in f64. So no value is converted to f64 by
//! itself, which is what [`Values::dots`] takes most of its time for. The order of all sums is
//! fixed, and a product is added before it is rounded. So no bit depends on the processor.
//!
//! A term passes through at most four roundings in f32. With u = 2^-24, such a product is off by at
//! most 4 u |x| |y|. [`Quick`](super::quick::Quick) says how far it is off in fact.

#![allow(unsafe_code, reason = "vector instructions are used where the processor has them")]

use super::dots::Values;

/// Products that are added in f32.
const CHAIN: usize = 4;
/// Chains side by side: a vector of f32.
const LANES: usize = 16;
/// Half of them: a vector of f64.
const HALF: usize = LANES / 2;

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
            dots.push(chained(row, self.member(first + place as usize)));
        }
    }
}

/// The product of two vectors of one length.
#[inline(always)]
fn chained(row: &[f32], member: &[f32]) -> f64 {
    let (groups, rest) = row.as_chunks::<LANES>();
    let (others, ends) = member.as_chunks::<LANES>();
    let mut lanes = [0.0f64; HALF];
    for (groups, others) in groups.chunks(CHAIN).zip(others.chunks(CHAIN)) {
        let mut chains = [0.0f32; LANES];
        for (x, y) in groups.iter().zip(others) {
            for k in 0..LANES {
                chains[k] = x[k].mul_add(y[k], chains[k]);
            }
        }
        for k in 0..HALF {
            lanes[k] = lanes[k] + f64::from(chains[k]) + f64::from(chains[HALF + k]);
        }
    }
    with_ends(lanes, rest, ends)
}

/// The sum of lanes and of the products behind the last whole group, which are exact.
#[inline(always)]
fn with_ends(lanes: [f64; HALF], rest: &[f32], ends: &[f32]) -> f64 {
    let four = [lanes[0] + lanes[4], lanes[1] + lanes[5], lanes[2] + lanes[6], lanes[3] + lanes[7]];
    let mut total = (four[0] + four[2]) + (four[1] + four[3]);
    for (&x, &y) in rest.iter().zip(ends) {
        total += f64::from(x) * f64::from(y);
    }
    total
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::x86_64::*;

    use super::{CHAIN, LANES, Values, with_ends};

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
            let (groups, rest) = row.as_chunks::<LANES>();
            let whole = LANES * groups.len();
            let member = |place: u32| self.member(first + place as usize);
            let (fours, others) = places.as_chunks::<WIDTH>();
            dots.reserve(places.len());
            for (i, four) in fours.iter().enumerate() {
                let members = four.map(member);
                let now = members.map(|member| member.as_ptr());
                let next = fours.get(i + 1).unwrap_or(four).map(|p| member(p).as_ptr());
                let (mut sums, mut at) = ([_mm512_setzero_pd(); WIDTH], 0);
                for groups in groups.chunks(CHAIN) {
                    let mut chains = [_mm512_setzero_ps(); WIDTH];
                    for group in groups {
                        // SAFETY: the row and all members have 16 values at this place.
                        unsafe {
                            for member in next {
                                _mm_prefetch::<_MM_HINT_T0>(member.add(at).cast());
                            }
                            let x = _mm512_loadu_ps(group.as_ptr());
                            for j in 0..WIDTH {
                                let y = _mm512_loadu_ps(now[j].add(at));
                                chains[j] = _mm512_fmadd_ps(x, y, chains[j]);
                            }
                        }
                        at += LANES;
                    }
                    for j in 0..WIDTH {
                        sums[j] = plus(sums[j], chains[j]);
                    }
                }
                for (sums, member) in sums.into_iter().zip(members) {
                    let mut lanes = [0.0; 8];
                    // SAFETY: there is room for 8 values.
                    unsafe { _mm512_storeu_pd(lanes.as_mut_ptr(), sums) };
                    dots.push(with_ends(lanes, rest, &member[whole..]));
                }
            }
            self.quick_plain(row, first, others, dots);
        }
    }

    /// Adds the lower half of the chains, and then the upper one.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn plus(sums: __m512d, chains: __m512) -> __m512d {
        let low = _mm512_castps512_ps256(chains);
        let high = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(chains)));
        let sums = _mm512_add_pd(sums, _mm512_cvtps_pd(low));
        _mm512_add_pd(sums, _mm512_cvtps_pd(high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    #[test]
    fn quick_products_are_those_of_the_plain_twin_and_nearly_exact() {
        let mut stream = Stream::new(1, "test", &[]);
        // Without a whole group, with short chains, with values behind the last group.
        for dim in [1, 15, 16, 64, 80, 193, 256, 300] {
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
                    let most = 4.01 * f64::from(f32::EPSILON) / 2.0 * size;
                    assert!((dot - direct).abs() <= most, "{dot} instead of {direct}");
                }
            }
        }
    }
}
