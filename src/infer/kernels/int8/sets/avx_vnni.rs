//! AVX2 with a dot product of bytes (AVX-VNNI).

use std::arch::x86_64::*;

pub(in super::super) use super::avx2::{Ints, LANES, byte, floats, ints};

pub(in super::super) type Input = __m256i;
pub(in super::super) type Weight = __m256i;
pub(in super::super) const WIDE: bool = false;
pub(in super::super) const BIAS: i32 = 0;

#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) fn input(words: Ints) -> Input {
    words
}

#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) unsafe fn weight(at: *const u32) -> Weight {
    // SAFETY: the caller vouches for the word.
    _mm256_set1_epi32(unsafe { at.cast::<i32>().read_unaligned() })
}

#[inline]
#[target_feature(enable = "avx2,avxvnni")]
pub(in super::super) fn dot(sum: Ints, input: Input, weight: Weight) -> Ints {
    _mm256_dpbusd_avx_epi32(sum, input, weight)
}
