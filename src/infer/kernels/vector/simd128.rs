//! WebAssembly's vectors of 128 bits.

use std::arch::wasm32::*;

pub(in super::super) type Vector = v128;
pub(in super::super) const LANES: usize = 4;

#[inline]
#[target_feature(enable = "simd128")]
pub(in super::super) fn zero() -> Vector {
    f32x4_splat(0.0)
}

#[inline]
#[target_feature(enable = "simd128")]
pub(in super::super) fn splat(value: f32) -> Vector {
    f32x4_splat(value)
}

#[inline]
#[target_feature(enable = "simd128")]
pub(in super::super) unsafe fn load(from: *const f32) -> Vector {
    // SAFETY: the caller vouches for the values.
    unsafe { v128_load(from.cast()) }
}

#[inline]
#[target_feature(enable = "simd128")]
pub(in super::super) unsafe fn load_part(from: *const f32, count: usize) -> Vector {
    let mut values = [0.0f32; LANES];
    // SAFETY: the caller vouches for `count` values, which are at most as many as lanes.
    unsafe {
        from.copy_to_nonoverlapping(values.as_mut_ptr(), count);
        v128_load(values.as_ptr().cast())
    }
}

#[inline]
#[target_feature(enable = "simd128")]
pub(in super::super) unsafe fn store(to: *mut f32, vector: Vector) {
    // SAFETY: the caller vouches for the place.
    unsafe { v128_store(to.cast(), vector) }
}

#[inline]
#[target_feature(enable = "simd128")]
pub(in super::super) unsafe fn store_part(to: *mut f32, vector: Vector, count: usize) {
    let mut values = [0.0f32; LANES];
    // SAFETY: the caller vouches for `count` places, which are at most as many as lanes.
    unsafe {
        v128_store(values.as_mut_ptr().cast(), vector);
        to.copy_from_nonoverlapping(values.as_ptr(), count);
    }
}

#[inline]
#[target_feature(enable = "simd128")]
pub(in super::super) fn fetch(_from: *const f32) {}

#[inline]
#[target_feature(enable = "simd128")]
pub(in super::super) fn plus(a: Vector, b: Vector) -> Vector {
    f32x4_add(a, b)
}

#[inline]
#[target_feature(enable = "simd128")]
pub(in super::super) fn minus(a: Vector, b: Vector) -> Vector {
    f32x4_sub(a, b)
}

#[inline]
#[target_feature(enable = "simd128")]
pub(in super::super) fn times(a: Vector, b: Vector) -> Vector {
    f32x4_mul(a, b)
}

#[inline]
#[target_feature(enable = "simd128")]
pub(in super::super) fn plus_product(sum: Vector, a: Vector, b: Vector) -> Vector {
    f32x4_add(sum, f32x4_mul(a, b))
}

#[inline]
#[target_feature(enable = "simd128")]
pub(in super::super) fn positive(vector: Vector) -> Vector {
    v128_andnot(vector, f32x4_lt(vector, f32x4_splat(0.0)))
}
