//! AVX-512F.

use std::arch::x86_64::*;

pub(in super::super) type Vector = __m512;
pub(in super::super) const LANES: usize = 16;

#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) fn zero() -> Vector {
    _mm512_setzero_ps()
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) fn splat(value: f32) -> Vector {
    _mm512_set1_ps(value)
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) unsafe fn load(from: *const f32) -> Vector {
    // SAFETY: the caller vouches for the values.
    unsafe { _mm512_loadu_ps(from) }
}

/// The lanes of the first values.
#[inline]
fn first(count: usize) -> __mmask16 {
    ((1u32 << count) - 1) as __mmask16
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) unsafe fn load_part(from: *const f32, count: usize) -> Vector {
    // SAFETY: the caller vouches for the values. Others are not touched.
    unsafe { _mm512_maskz_loadu_ps(first(count), from) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) unsafe fn store(to: *mut f32, vector: Vector) {
    // SAFETY: the caller vouches for the place.
    unsafe { _mm512_storeu_ps(to, vector) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) unsafe fn store_part(to: *mut f32, vector: Vector, count: usize) {
    // SAFETY: the caller vouches for the place. Others are not touched.
    unsafe { _mm512_mask_storeu_ps(to, first(count), vector) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) fn fetch(from: *const f32) {
    _mm_prefetch::<_MM_HINT_T0>(from.cast());
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) fn plus(a: Vector, b: Vector) -> Vector {
    _mm512_add_ps(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) fn minus(a: Vector, b: Vector) -> Vector {
    _mm512_sub_ps(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) fn times(a: Vector, b: Vector) -> Vector {
    _mm512_mul_ps(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) fn plus_product(sum: Vector, a: Vector, b: Vector) -> Vector {
    _mm512_fmadd_ps(a, b, sum)
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) fn positive(vector: Vector) -> Vector {
    // Of two zeros, or a NaN and a number, the instruction gives its second operand.
    _mm512_max_ps(_mm512_setzero_ps(), vector)
}
