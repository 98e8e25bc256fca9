//! Inner products of a row with members of a cohort, in f64.
//!
//! One product alone waits for one addition after the other, and for the cache. With AVX-512 four
//! members are multiplied side by side while the next four are fetched. Each is summed in the order
//! of [`Lanes`], so no bit changes.

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

    /// Appends the products of `row`, whose values are f32, with the members at `places`, which
    /// count from `first` on.
    ///
    /// # Panics
    /// If there is no such member, or the row has another dimension.
    pub fn dots(&self, row: &[f64], first: usize, places: &[u32], dots: &mut Vec<f64>) {
        self.products::<false>(row, row, first, places, dots);
    }

    /// Appends the products of `row` with the members at `places` less `mean`. The places count
    /// from `first` on.
    ///
    /// # Panics
    /// If there is no such member, or the row or the mean has another dimension.
    pub fn dots_less(
        &self,
        mean: &[f64],
        row: &[f64],
        first: usize,
        places: &[u32],
        dots: &mut Vec<f64>,
    ) {
        self.products::<true>(mean, row, first, places, dots);
    }

    /// [`dots_less`](Self::dots_less) if `LESS`, else [`dots`](Self::dots), which has no use for
    /// the mean.
    fn products<const LESS: bool>(
        &self,
        mean: &[f64],
        row: &[f64],
        first: usize,
        places: &[u32],
        dots: &mut Vec<f64>,
    ) {
        assert_eq!((row.len(), mean.len()), (self.dim, self.dim), "another dimension");
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has these instructions.
            return unsafe { self.with_512_bits::<LESS>(mean, row, first, places, dots) };
        } else if is_x86_feature_detected!("avx2") {
            // SAFETY: as above.
            return unsafe { self.with_256_bits::<LESS>(mean, row, first, places, dots) };
        }
        self.plain::<LESS>(mean, row, first, places, dots);
    }

    /// The plain twin of [`products`](Self::products), for a row of any values.
    #[inline(always)]
    pub fn plain<const LESS: bool>(
        &self,
        mean: &[f64],
        row: &[f64],
        first: usize,
        places: &[u32],
        dots: &mut Vec<f64>,
    ) {
        let dot = |member: &[f32]| match LESS {
            true => Lanes::<8>::sum3(row, member, mean, |x, y, m| x * (f64::from(y) - m)),
            false => Lanes::<8>::sum2(row, member, |x, y| x * f64::from(y)),
        };
        dots.extend(places.iter().map(|&place| dot(self.member(first + place as usize))));
    }
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::x86_64::*;

    use super::{Lanes, Values};

    /// Members that are multiplied side by side. Four sums fill the time of an addition.
    const WIDTH: usize = 4;

    impl Values {
        #[target_feature(enable = "avx2")]
        pub(super) fn with_256_bits<const LESS: bool>(
            &self,
            mean: &[f64],
            row: &[f64],
            first: usize,
            places: &[u32],
            dots: &mut Vec<f64>,
        ) {
            self.plain::<LESS>(mean, row, first, places, dots);
        }

        /// Row and mean have as many values as a member.
        #[target_feature(enable = "avx512f")]
        pub(super) fn with_512_bits<const LESS: bool>(
            &self,
            mean: &[f64],
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
                    // SAFETY: the row, the mean and all members have 8 values at this place.
                    unsafe {
                        for member in next {
                            _mm_prefetch::<_MM_HINT_T0>(member.add(8 * k).cast());
                        }
                        let x = _mm512_loadu_pd(group.as_ptr());
                        let m = _mm512_loadu_pd(mean.as_ptr().add(8 * k));
                        for j in 0..WIDTH {
                            let y = _mm512_cvtps_pd(_mm256_loadu_ps(now[j].add(8 * k)));
                            sums[j] = if LESS {
                                let product = _mm512_mul_pd(x, _mm512_sub_pd(y, m));
                                _mm512_add_pd(sums[j], product)
                            } else {
                                // The product of two f32 is exact in f64, so a fused addition
                                // rounds the same sum.
                                _mm512_fmadd_pd(x, y, sums[j])
                            };
                        }
                    }
                }
                for (sums, member) in sums.into_iter().zip(members) {
                    let mut lanes = [0.0; 8];
                    // SAFETY: there is room for 8 values.
                    unsafe { _mm512_storeu_pd(lanes.as_mut_ptr(), sums) };
                    let ends = rest.iter().zip(&member[whole..]).zip(&mean[whole..]);
                    let ends = ends
                        .map(|((x, &y), m)| x * if LESS { f64::from(y) - m } else { f64::from(y) });
                    let [lanes, rest] = Lanes::<8>::total(lanes, ends);
                    dots.push(lanes + rest);
                }
            }
            self.plain::<LESS>(mean, row, first, others, dots);
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
            let mean: Vec<f64> = values().into_iter().map(|x| f64::from(x) / 7.0).collect();
            let mut members = Values::zeros(30, dim);
            for i in 0..30 {
                members.member_mut(i).copy_from_slice(&values());
            }
            for count in [0, 1, 3, 4, 9] {
                let places: Vec<u32> = (0..count).map(|_| stream.below(25) as u32).collect();
                let (mut dots, mut wanted) = (vec![1.0], vec![1.0]);
                members.dots(&narrow, 5, &places, &mut dots);
                members.plain::<false>(&narrow, &narrow, 5, &places, &mut wanted);
                members.dots_less(&mean, &wide, 5, &places, &mut dots);
                members.plain::<true>(&mean, &wide, 5, &places, &mut wanted);
                assert_eq!(dots, wanted, "{count} members of {dim} values");
            }
        }
    }
}
