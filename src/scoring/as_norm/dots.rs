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
pub(super) struct Values<T> {
    all: Vec<T>,
    start: usize,
    dim: usize,
    /// Values from a member to the next one.
    stride: usize,
}

impl<T: Copy + Default> Values<T> {
    /// So many members of `dim` zeros.
    pub fn zeros(count: usize, dim: usize) -> Self {
        let line = LINE / size_of::<T>();
        let stride = dim.next_multiple_of(line);
        let all = vec![T::default(); count * stride + line];
        let start = all.as_ptr().align_offset(LINE).min(line);
        Self { all, start, dim, stride }
    }

    /// The values of a member.
    ///
    /// # Panics
    /// If there is no such member.
    pub fn member(&self, place: usize) -> &[T] {
        &self.all[self.start + place * self.stride..][..self.dim]
    }

    /// As [`member`](Self::member).
    pub fn member_mut(&mut self, place: usize) -> &mut [T] {
        &mut self.all[self.start + place * self.stride..][..self.dim]
    }
}

impl<T: Copy + Default + Into<f64>> Values<T> {
    /// The plain twin of [`dots`](Self::dots).
    #[inline(always)]
    pub fn plain(&self, row: &[f64], first: usize, places: &[u32], dots: &mut Vec<f64>) {
        let dot = |member: &[T]| Lanes::<8>::sum2(row, member, |x, y| x * Into::<f64>::into(y));
        dots.extend(places.iter().map(|&place| dot(self.member(first + place as usize))));
    }
}

#[cfg(not(target_arch = "x86_64"))]
impl<T: Copy + Default + Into<f64>> Values<T> {
    /// Appends the products of `row` with the members at `places`, which count from `first` on.
    /// With f32, the row's values are f32 too.
    ///
    /// # Panics
    /// If there is no such member, or the row has another dimension.
    pub fn dots(&self, row: &[f64], first: usize, places: &[u32], dots: &mut Vec<f64>) {
        self.plain(row, first, places, dots);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::x86_64::*;

    use super::{Lanes, Values};

    /// Members that are multiplied side by side. Four sums fill the time of an addition.
    const WIDTH: usize = 4;

    /// The functions of a kind of value. Generic ones would hide the instructions from the
    /// compiler's inliner.
    /// `$plus` adds the product of `$load` and a value of the row to a sum.
    macro_rules! dots {
        ($value:ty, $load:expr, $plus:expr) => {
            impl Values<$value> {
                /// Appends the products of `row` with the members at `places`, which count from
                /// `first` on. With f32, the row's values are f32 too.
                ///
                /// # Panics
                /// If there is no such member, or the row has another dimension.
                pub fn dots(&self, row: &[f64], first: usize, places: &[u32], dots: &mut Vec<f64>) {
                    assert_eq!(row.len(), self.dim, "a row of another dimension");
                    if is_x86_feature_detected!("avx512f") {
                        // SAFETY: the processor has these instructions.
                        unsafe { self.with_512_bits(row, first, places, dots) };
                    } else if is_x86_feature_detected!("avx2") {
                        // SAFETY: as above.
                        unsafe { self.with_256_bits(row, first, places, dots) };
                    } else {
                        self.plain(row, first, places, dots);
                    }
                }

                #[target_feature(enable = "avx2")]
                fn with_256_bits(
                    &self,
                    row: &[f64],
                    first: usize,
                    places: &[u32],
                    dots: &mut Vec<f64>,
                ) {
                    self.plain(row, first, places, dots);
                }

                #[target_feature(enable = "avx512f")]
                fn with_512_bits(
                    &self,
                    row: &[f64],
                    first: usize,
                    places: &[u32],
                    dots: &mut Vec<f64>,
                ) {
                    let (groups, rest) = row.as_chunks::<8>();
                    let member = |place: u32| self.member(first + place as usize);
                    let (fours, others) = places.as_chunks::<WIDTH>();
                    dots.reserve(places.len());
                    for (i, four) in fours.iter().enumerate() {
                        let members = four.map(member);
                        let [a, b, c, d] = members.map(|member| member.as_ptr());
                        let next = fours.get(i + 1).unwrap_or(four).map(|p| member(p).as_ptr());
                        let mut sums = [_mm512_setzero_pd(); WIDTH];
                        for (k, group) in groups.iter().enumerate() {
                            // SAFETY: the row and all members have 8 values at this place.
                            unsafe {
                                for member in next {
                                    _mm_prefetch::<_MM_HINT_T0>(member.add(8 * k).cast());
                                }
                                let x = _mm512_loadu_pd(group.as_ptr());
                                sums = [
                                    $plus(sums[0], x, $load(a.add(8 * k))),
                                    $plus(sums[1], x, $load(b.add(8 * k))),
                                    $plus(sums[2], x, $load(c.add(8 * k))),
                                    $plus(sums[3], x, $load(d.add(8 * k))),
                                ];
                            }
                        }
                        for (sums, member) in sums.into_iter().zip(members) {
                            let mut lanes = [0.0; 8];
                            // SAFETY: there is room for 8 values.
                            unsafe { _mm512_storeu_pd(lanes.as_mut_ptr(), sums) };
                            let ends = rest.iter().zip(&member[8 * groups.len()..]);
                            let ends = ends.map(|(x, &y)| x * f64::from(y));
                            let [lanes, rest] = Lanes::<8>::total(lanes, ends);
                            dots.push(lanes + rest);
                        }
                    }
                    self.plain(row, first, others, dots);
                }
            }
        };
    }

    // The product of two f32 is exact in f64, so a fused addition rounds the same sum.
    dots!(f32, |at| _mm512_cvtps_pd(_mm256_loadu_ps(at)), |sum, x, y| _mm512_fmadd_pd(x, y, sum));
    dots!(f64, |at| _mm512_loadu_pd(at), |sum, x, y| _mm512_add_pd(sum, _mm512_mul_pd(x, y)));
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
            let (mut floats, mut doubles) = (Values::zeros(30, dim), Values::zeros(30, dim));
            for i in 0..30 {
                floats.member_mut(i).copy_from_slice(&values());
                let to = doubles.member_mut(i).iter_mut();
                to.zip(floats.member(i)).for_each(|(to, &x)| *to = f64::from(x) / 7.0);
            }
            for count in [0, 1, 3, 4, 9] {
                let places: Vec<u32> = (0..count).map(|_| stream.below(25) as u32).collect();
                let (mut dots, mut wanted) = (vec![1.0], vec![1.0]);
                floats.dots(&narrow, 5, &places, &mut dots);
                floats.plain(&narrow, 5, &places, &mut wanted);
                doubles.dots(&wide, 5, &places, &mut dots);
                doubles.plain(&wide, 5, &places, &mut wanted);
                assert_eq!(dots, wanted, "{count} members of {dim} values");
            }
        }
    }
}
