//! AVX-512F, and its dot product of bytes (VNNI).

use std::arch::x86_64::*;

pub(in super::super) type Ints = __m512i;
pub(in super::super) type Input = __m512i;
pub(in super::super) type Weight = __m512i;
pub(in super::super) const LANES: usize = 16;
pub(in super::super) const WIDE: bool = false;
pub(in super::super) const BIAS: i32 = 0;

#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) fn ints(value: i32) -> Ints {
    _mm512_set1_epi32(value)
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) fn to_bits(values: __m512) -> Ints {
    _mm512_castps_si512(values)
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) fn from_bits(words: Ints) -> __m512 {
    _mm512_castsi512_ps(words)
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) fn input(words: Ints) -> Input {
    words
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) unsafe fn weight(at: *const u32) -> Weight {
    // SAFETY: the caller vouches for the word.
    _mm512_set1_epi32(unsafe { at.cast::<i32>().read_unaligned() })
}

#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
pub(in super::super) fn dot(sum: Ints, input: Input, weight: Weight) -> Ints {
    _mm512_dpbusd_epi32(sum, input, weight)
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) fn byte<const I: usize>(words: Ints) -> Ints {
    let shifted = _mm512_srl_epi32(words, _mm_cvtsi32_si128(8 * I as i32));
    _mm512_and_si512(shifted, _mm512_set1_epi32(0xff))
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) fn word([a, b, c, d]: [Ints; 4]) -> Ints {
    let low = _mm512_or_si512(a, _mm512_slli_epi32::<8>(b));
    let high = _mm512_or_si512(_mm512_slli_epi32::<16>(c), _mm512_slli_epi32::<24>(d));
    _mm512_or_si512(low, high)
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) fn plus(a: Ints, b: Ints) -> Ints {
    _mm512_add_epi32(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) fn floats(ints: Ints) -> __m512 {
    _mm512_cvtepi32_ps(ints)
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) fn rounded(values: __m512, low: __m512, high: __m512) -> Ints {
    // Of a NaN and a number, the instruction gives its second operand.
    _mm512_cvtps_epi32(_mm512_min_ps(_mm512_max_ps(values, low), high))
}
