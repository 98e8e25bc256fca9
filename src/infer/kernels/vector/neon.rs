//! Neon, which every AArch64 processor has.

use std::arch::aarch64::*;

pub(in super::super) type Vector = float32x4_t;
pub(in super::super) const LANES: usize = 4;

#[inline]
#[target_feature(enable = "neon")]
pub(in super::super) fn zero() -> Vector {
    vdupq_n_f32(0.0)
}

#[inline]
#[target_feature(enable = "neon")]
pub(in super::super) fn splat(value: f32) -> Vector {
    vdupq_n_f32(value)
}

#[inline]
#[target_feature(enable = "neon")]
pub(in super::super) unsafe fn load(from: *const f32) -> Vector {
    // SAFETY: the caller vouches for the values.
    unsafe { vld1q_f32(from) }
}

#[inline]
#[target_feature(enable = "neon")]
pub(in super::super) unsafe fn load_part(from: *const f32, count: usize) -> Vector {
    let mut values = [0.0f32; LANES];
    // SAFETY: the caller vouches for `count` values, which are at most as many as lanes.
    unsafe {
        from.copy_to_nonoverlapping(values.as_mut_ptr(), count);
        vld1q_f32(values.as_ptr())
    }
}

#[inline]
#[target_feature(enable = "neon")]
pub(in super::super) unsafe fn store(to: *mut f32, vector: Vector) {
    // SAFETY: the caller vouches for the place.
    unsafe { vst1q_f32(to, vector) }
}

#[inline]
#[target_feature(enable = "neon")]
pub(in super::super) unsafe fn store_part(to: *mut f32, vector: Vector, count: usize) {
    let mut values = [0.0f32; LANES];
    // SAFETY: the caller vouches for `count` places, which are at most as many as lanes.
    unsafe {
        vst1q_f32(values.as_mut_ptr(), vector);
        to.copy_from_nonoverlapping(values.as_ptr(), count);
    }
}

#[inline]
#[target_feature(enable = "neon")]
pub(in super::super) fn fetch(_from: *const f32) {}

#[inline]
#[target_feature(enable = "neon")]
pub(in super::super) fn plus(a: Vector, b: Vector) -> Vector {
    vaddq_f32(a, b)
}

#[inline]
#[target_feature(enable = "neon")]
pub(in super::super) fn minus(a: Vector, b: Vector) -> Vector {
    vsubq_f32(a, b)
}

#[inline]
#[target_feature(enable = "neon")]
pub(in super::super) fn times(a: Vector, b: Vector) -> Vector {
    vmulq_f32(a, b)
}

#[inline]
#[target_feature(enable = "neon")]
pub(in super::super) fn plus_product(sum: Vector, a: Vector, b: Vector) -> Vector {
    vfmaq_f32(sum, a, b)
}

#[inline]
#[target_feature(enable = "neon")]
pub(in super::super) fn positive(vector: Vector) -> Vector {
    vbslq_f32(vcltzq_f32(vector), vdupq_n_f32(0.0), vector)
}
