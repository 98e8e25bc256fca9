//! AVX2. Its product of unsigned and signed bytes saturates, so bytes become i16.

use std::arch::x86_64::*;

pub(in super::super) type Ints = __m256i;
/// Bytes 0 and 2, and bytes 1 and 3, as i16.
pub(in super::super) type Input = [__m256i; 2];
pub(in super::super) type Weight = [__m256i; 2];
pub(in super::super) const LANES: usize = 8;
pub(in super::super) const WIDE: bool = true;
pub(in super::super) const BIAS: i32 = 0;

#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) fn ints(value: i32) -> Ints {
    _mm256_set1_epi32(value)
}

#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) fn to_bits(values: __m256) -> Ints {
    _mm256_castps_si256(values)
}

#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) fn from_bits(words: Ints) -> __m256 {
    _mm256_castsi256_ps(words)
}

#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) fn input(words: Ints) -> Input {
    let even = _mm256_and_si256(words, _mm256_set1_epi16(0xff));
    [even, _mm256_srli_epi16::<8>(words)]
}

#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) unsafe fn weight(at: *const u32) -> Weight {
    // SAFETY: the caller vouches for two words. These functions load and repeat in one instruction.
    let both =
        unsafe { [_mm256_broadcast_ss(&*at.cast()), _mm256_broadcast_ss(&*at.add(1).cast())] };
    both.map(|weight| _mm256_castps_si256(weight))
}

#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) fn dot(sum: Ints, input: Input, weight: Weight) -> Ints {
    let even = _mm256_madd_epi16(input[0], weight[0]);
    let odd = _mm256_madd_epi16(input[1], weight[1]);
    _mm256_add_epi32(_mm256_add_epi32(sum, even), odd)
}

#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) fn byte<const I: usize>(words: Ints) -> Ints {
    let shifted = _mm256_srl_epi32(words, _mm_cvtsi32_si128(8 * I as i32));
    _mm256_and_si256(shifted, _mm256_set1_epi32(0xff))
}

#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) fn word([a, b, c, d]: [Ints; 4]) -> Ints {
    let low = _mm256_or_si256(a, _mm256_slli_epi32::<8>(b));
    let high = _mm256_or_si256(_mm256_slli_epi32::<16>(c), _mm256_slli_epi32::<24>(d));
    _mm256_or_si256(low, high)
}

#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) fn plus(a: Ints, b: Ints) -> Ints {
    _mm256_add_epi32(a, b)
}

#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) fn floats(ints: Ints) -> __m256 {
    _mm256_cvtepi32_ps(ints)
}

#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) fn rounded(values: __m256, low: __m256, high: __m256) -> Ints {
    // Of a NaN and a number, the instruction gives its second operand.
    _mm256_cvtps_epi32(_mm256_min_ps(_mm256_max_ps(values, low), high))
}
