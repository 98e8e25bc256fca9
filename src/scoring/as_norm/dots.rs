//! Inner products of a row with members of a cohort, in f64.
//!
//! One product alone waits for one addition after the other, and for the cache. With AVX-512 four
//! members are multiplied side by side while the next four are fetched. Each is summed in the order
//! of [`Lanes`]. Products of whole groups are added before they are rounded, all others after, on
//! every processor. So no bit changes.

#![allow(unsafe_code, reason = "vector instructions are used where the processor has them")]

use crate::lanes::Lanes;

/// Bytes of a cache line, and of the widest vector.
const LINE: usize = 64;

/// The values of members. Each begins a cache line.
pub(super) struct Values {
    all: Vec<f32>,
    start: usize,
    dim: usize,
    /// Values from a member to the next one.
    stride: usize,
}

impl Values {
    /// So many members of `dim` zeros.
    pub fn zeros(count: usize, dim: usize) -> Self {
        let line = LINE / size_of::<f32>();
        let stride = dim.next_multiple_of(line);
        let all = vec![0.0; count * stride + line];
        let start = all.as_ptr().align_offset(LINE).min(line);
        Self { all, start, dim, stride }
    }

    /// The values of a member.
    ///
    /// # Panics
    /// If there is no such member.
    pub fn member(&self, place: usize) -> &[f32] {
        &self.all[self.start + place * self.stride..][..self.dim]
    }

    /// As [`member`](Self::member).
    pub fn member_mut(&mut self, place: usize) -> &mut [f32] {
        &mut self.all[self.start + place * self.stride..][..self.dim]
    }

    /// Appends the products of `row` with the members at `places`, which count from `first` on.
    ///
    /// # Panics
    /// If there is no such member, or the row has another dimension.
    pub fn dots(&self, row: &[f64], first: usize, places: &[u32], dots: &mut Vec<f64>) {
        assert_eq!(row.len(), self.dim, "another dimension");
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has these instructions.
            return unsafe { self.with_512_bits(row, first, places, dots) };
        } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: as above.
            return unsafe { self.with_256_bits(row, first, places, dots) };
        }
        self.plain(row, first, places, dots);
    }

    /// The plain twin of [`dots`](Self::dots).
    #[inline(always)]
    fn plain(&self, row: &[f64], first: usize, places: &[u32], dots: &mut Vec<f64>) {
        dots.reserve(places.len());
        // No closure: it would not be compiled for the instructions of the function around it.
        for &place in places {
            dots.push(fused(row, self.member(first + place as usize)));
        }
    }
}

/// The product of two vectors of one length.
#[inline(always)]
fn fused(row: &[f64], member: &[f32]) -> f64 {
    let (groups, rest) = row.as_chunks::<8>();
    let (others, ends) = member.as_chunks::<8>();
    let mut lanes = [0.0f64; 8];
    for (x, y) in groups.iter().zip(others) {
        for k in 0..8 {
            lanes[k] = x[k].mul_add(f64::from(y[k]), lanes[k]);
        }
    }
    with_ends(lanes, rest, ends)
}

/// The sum of lanes and of the products behind the last whole group.
#[inline(always)]
fn with_ends(lanes: [f64; 8], rest: &[f64], ends: &[f32]) -> f64 {
    let ends = rest.iter().zip(ends).map(|(x, &y)| x * f64::from(y));
    let [lanes, rest] = Lanes::<8>::total(lanes, ends);
    lanes + rest
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::x86_64::*;

    use super::{Values, with_ends};

    /// Members that are multiplied side by side. Four sums fill the time of an addition.
    const WIDTH: usize = 4;

    impl Values {
        #[target_feature(enable = "avx2,fma")]
        pub(super) fn with_256_bits(
            &self,
            row: &[f64],
            first: usize,
            places: &[u32],
            dots: &mut Vec<f64>,
        ) {
            self.plain(row, first, places, dots);
        }

        /// The row has as many values as a member.
        #[target_feature(enable = "avx512f")]
        pub(super) fn with_512_bits(
            &self,
            row: &[f64],
            first: usize,
            places: &[u32],
            dots: &mut Vec<f64>,
        ) {
            let (groups, rest) = row.as_chunks::<8>();
            let whole = 8 * groups.len();
            let member = |place: u32| self.member(first + place as usize);
            let (fours, others) = places.as_chunks::<WIDTH>();
            dots.reserve(places.len());
            for (i, four) in fours.iter().enumerate() {
                let members = four.map(member);
                let now = members.map(|member| member.as_ptr());
                let next = fours.get(i + 1).unwrap_or(four).map(|p| member(p).as_ptr());
                let mut sums = [_mm512_setzero_pd(); WIDTH];
                for (k, group) in groups.iter().enumerate() {
                    // SAFETY: the row and all members have 8 values at this place.
                    unsafe {
                        for member in next {
                            _mm_prefetch::<_MM_HINT_T0>(member.add(8 * k).cast());
                        }
                        let x = _mm512_loadu_pd(group.as_ptr());
                        for j in 0..WIDTH {
                            let y = _mm512_cvtps_pd(_mm256_loadu_ps(now[j].add(8 * k)));
                            sums[j] = _mm512_fmadd_pd(x, y, sums[j]);
                        }
                    }
                }
                for (sums, member) in sums.into_iter().zip(members) {
                    let mut lanes = [0.0; 8];
                    // SAFETY: there is room for 8 values.
                    unsafe { _mm512_storeu_pd(lanes.as_mut_ptr(), sums) };
                    dots.push(with_ends(lanes, rest, &member[whole..]));
                }
            }
            self.plain(row, first, others, dots);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    #[test]
    fn products_are_those_of_the_plain_twin() {
        let mut stream = Stream::new(1, "test", &[]);
        for dim in [1, 7, 8, 9, 64, 193, 256] {
            // Small, large and denormal numbers.
            let mut values = || {
                let scale = [1.0, 1e-30, 1e30, 1e-40][stream.below(4)];
                (0..dim).map(|_| (scale * stream.normal()) as f32).collect::<Vec<_>>()
            };
            let narrow: Vec<f64> = values().into_iter().map(f64::from).collect();
            let wide: Vec<f64> = narrow.iter().map(|x| x / 3.0).collect();
            let mut members = Values::zeros(30, dim);
            for i in 0..30 {
                members.member_mut(i).copy_from_slice(&values());
            }
            for count in [0, 1, 3, 4, 9] {
                let places: Vec<u32> = (0..count).map(|_| stream.below(25) as u32).collect();
                for row in [&narrow, &wide] {
                    let (mut dots, mut wanted) = (vec![1.0], vec![1.0]);
                    members.dots(row, 5, &places, &mut dots);
                    members.plain(row, 5, &places, &mut wanted);
                    assert_eq!(dots, wanted, "{count} members of {dim} values");
                    for (&dot, &place) in dots[1..].iter().zip(&places) {
                        let member = members.member(5 + place as usize);
                        let terms = || row.iter().zip(member).map(|(x, &y)| x * f64::from(y));
                        let (direct, size) =
                            (terms().sum::<f64>(), terms().map(f64::abs).sum::<f64>());
                        let most = 2.0 * dim as f64 * f64::EPSILON * size;
                        assert!((dot - direct).abs() <= most, "{dot} instead of {direct}");
                    }
                }
            }
        }
    }
}
