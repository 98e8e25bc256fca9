//! AVX2 with FMA.

use std::arch::x86_64::*;

pub(in super::super) type Vector = __m256;
pub(in super::super) const LANES: usize = 8;

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in super::super) fn zero() -> Vector {
    _mm256_setzero_ps()
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in super::super) fn splat(value: f32) -> Vector {
    _mm256_set1_ps(value)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in super::super) unsafe fn load(from: *const f32) -> Vector {
    // SAFETY: the caller vouches for the values.
    unsafe { _mm256_loadu_ps(from) }
}

/// The lanes of the first values: those whose highest bit is set.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn first(count: usize) -> __m256i {
    let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), lanes)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in super::super) unsafe fn load_part(from: *const f32, count: usize) -> Vector {
    // SAFETY: the caller vouches for the values. Others are not touched.
    unsafe { _mm256_maskload_ps(from, first(count)) }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in super::super) unsafe fn store(to: *mut f32, vector: Vector) {
    // SAFETY: the caller vouches for the place.
    unsafe { _mm256_storeu_ps(to, vector) }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in super::super) unsafe fn store_part(to: *mut f32, vector: Vector, count: usize) {
    // SAFETY: the caller vouches for the place. Others are not touched.
    unsafe { _mm256_maskstore_ps(to, first(count), vector) }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in super::super) fn fetch(from: *const f32) {
    _mm_prefetch::<_MM_HINT_T0>(from.cast());
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in super::super) fn plus(a: Vector, b: Vector) -> Vector {
    _mm256_add_ps(a, b)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in super::super) fn minus(a: Vector, b: Vector) -> Vector {
    _mm256_sub_ps(a, b)
}

#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) fn times(a: Vector, b: Vector) -> Vector {
    _mm256_mul_ps(a, b)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in super::super) fn plus_product(sum: Vector, a: Vector, b: Vector) -> Vector {
    _mm256_fmadd_ps(a, b, sum)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in super::super) fn positive(vector: Vector) -> Vector {
    // Of two zeros, or a NaN and a number, the instruction gives its second operand.
    _mm256_max_ps(_mm256_setzero_ps(), vector)
}
