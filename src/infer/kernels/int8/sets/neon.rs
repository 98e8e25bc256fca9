//! Neon, without its dot product. Bytes are made signed, so that two products fit in an i16.

use std::arch::aarch64::*;

pub(in super::super) type Ints = int32x4_t;
pub(in super::super) type Input = int8x16_t;
pub(in super::super) type Weight = int8x16_t;
pub(in super::super) const LANES: usize = 4;
pub(in super::super) const WIDE: bool = false;
pub(in super::super) const BIAS: i32 = 128;

#[inline]
#[target_feature(enable = "neon")]
pub(in super::super) fn ints(value: i32) -> Ints {
    vdupq_n_s32(value)
}

#[inline]
#[target_feature(enable = "neon")]
pub(in super::super) fn to_bits(values: float32x4_t) -> Ints {
    vreinterpretq_s32_f32(values)
}

#[inline]
#[target_feature(enable = "neon")]
pub(in super::super) fn from_bits(words: Ints) -> float32x4_t {
    vreinterpretq_f32_s32(words)
}

#[inline]
#[target_feature(enable = "neon")]
pub(in super::super) fn input(words: Ints) -> Input {
    veorq_s8(vreinterpretq_s8_s32(words), vdupq_n_s8(i8::MIN))
}

#[inline]
#[target_feature(enable = "neon")]
pub(in super::super) unsafe fn weight(at: *const u32) -> Weight {
    // SAFETY: the caller vouches for the word.
    vreinterpretq_s8_s32(vdupq_n_s32(unsafe { at.cast::<i32>().read_unaligned() }))
}

#[inline]
#[target_feature(enable = "neon")]
pub(in super::super) fn dot(sum: Ints, input: Input, weight: Weight) -> Ints {
    let low = vmull_s8(vget_low_s8(input), vget_low_s8(weight));
    let high = vmull_high_s8(input, weight);
    vpadalq_s16(sum, vpaddq_s16(low, high))
}

#[inline]
#[target_feature(enable = "neon")]
pub(in super::super) fn byte<const I: usize>(words: Ints) -> Ints {
    vandq_s32(vshlq_s32(words, vdupq_n_s32(-8 * I as i32)), vdupq_n_s32(0xff))
}

#[inline]
#[target_feature(enable = "neon")]
pub(in super::super) fn word([a, b, c, d]: [Ints; 4]) -> Ints {
    let low = vorrq_s32(a, vshlq_n_s32::<8>(b));
    vorrq_s32(low, vorrq_s32(vshlq_n_s32::<16>(c), vshlq_n_s32::<24>(d)))
}

#[inline]
#[target_feature(enable = "neon")]
pub(in super::super) fn plus(a: Ints, b: Ints) -> Ints {
    vaddq_s32(a, b)
}

#[inline]
#[target_feature(enable = "neon")]
pub(in super::super) fn floats(ints: Ints) -> float32x4_t {
    vcvtq_f32_s32(ints)
}

#[inline]
#[target_feature(enable = "neon")]
pub(in super::super) fn rounded(values: float32x4_t, low: float32x4_t, high: float32x4_t) -> Ints {
    // Of a NaN and a number, the instruction gives the number.
    vcvtnq_s32_f32(vminnmq_f32(vmaxnmq_f32(values, low), high))
}
