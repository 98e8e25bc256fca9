//! WebAssembly's vectors of 128 bits. They multiply no bytes, so bytes become i16.

use std::arch::wasm32::*;

pub(in super::super) type Ints = v128;
/// Bytes 0 and 2, and bytes 1 and 3, as i16.
pub(in super::super) type Input = [v128; 2];
pub(in super::super) type Weight = [v128; 2];
pub(in super::super) const LANES: usize = 4;
pub(in super::super) const WIDE: bool = true;
pub(in super::super) const BIAS: i32 = 0;

#[inline]
#[target_feature(enable = "simd128")]
pub(in super::super) fn ints(value: i32) -> Ints {
    i32x4_splat(value)
}

#[inline]
#[target_feature(enable = "simd128")]
pub(in super::super) fn to_bits(values: v128) -> Ints {
    values
}

#[inline]
#[target_feature(enable = "simd128")]
pub(in super::super) fn from_bits(words: Ints) -> v128 {
    words
}

#[inline]
#[target_feature(enable = "simd128")]
pub(in super::super) fn input(words: Ints) -> Input {
    [v128_and(words, i16x8_splat(0xff)), u16x8_shr(words, 8)]
}

#[inline]
#[target_feature(enable = "simd128")]
pub(in super::super) unsafe fn weight(at: *const u32) -> Weight {
    // SAFETY: the caller vouches for two words.
    unsafe { [v128_load32_splat(at), v128_load32_splat(at.add(1))] }
}

#[inline]
#[target_feature(enable = "simd128")]
pub(in super::super) fn dot(sum: Ints, input: Input, weight: Weight) -> Ints {
    let even = i32x4_dot_i16x8(input[0], weight[0]);
    i32x4_add(i32x4_add(sum, even), i32x4_dot_i16x8(input[1], weight[1]))
}

#[inline]
#[target_feature(enable = "simd128")]
pub(in super::super) fn byte<const I: usize>(words: Ints) -> Ints {
    v128_and(u32x4_shr(words, 8 * I as u32), i32x4_splat(0xff))
}

#[inline]
#[target_feature(enable = "simd128")]
pub(in super::super) fn word([a, b, c, d]: [Ints; 4]) -> Ints {
    let low = v128_or(a, i32x4_shl(b, 8));
    v128_or(low, v128_or(i32x4_shl(c, 16), i32x4_shl(d, 24)))
}

#[inline]
#[target_feature(enable = "simd128")]
pub(in super::super) fn plus(a: Ints, b: Ints) -> Ints {
    i32x4_add(a, b)
}

#[inline]
#[target_feature(enable = "simd128")]
pub(in super::super) fn floats(ints: Ints) -> v128 {
    f32x4_convert_i32x4(ints)
}

#[inline]
#[target_feature(enable = "simd128")]
pub(in super::super) fn rounded(values: v128, low: v128, high: v128) -> Ints {
    // Where a comparison with NaN decides, the instruction gives its first operand.
    let clamped = f32x4_pmin(high, f32x4_pmax(low, values));
    i32x4_trunc_sat_f32x4(f32x4_nearest(clamped))
}
