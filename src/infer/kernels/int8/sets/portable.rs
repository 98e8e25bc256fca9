//! Arrays, of which the compiler makes what vectors the target has.

use std::array::from_fn;

pub(in super::super) type Ints = [i32; LANES];
/// The first bytes of the words, the second ones, and so on.
pub(in super::super) type Input = [Ints; 4];
pub(in super::super) type Weight = [i32; 4];
pub(in super::super) const LANES: usize = 4;
pub(in super::super) const WIDE: bool = false;
pub(in super::super) const BIAS: i32 = 0;

/// A sum with it is rounded to a whole number, in the lowest bits.
const WHOLE: f32 = 12_582_912.0;

#[inline(always)]
pub(in super::super) fn ints(value: i32) -> Ints {
    [value; LANES]
}

#[inline(always)]
pub(in super::super) fn to_bits(values: [f32; LANES]) -> Ints {
    values.map(|value| value.to_bits() as i32)
}

#[inline(always)]
pub(in super::super) fn from_bits(words: Ints) -> [f32; LANES] {
    words.map(|word| f32::from_bits(word as u32))
}

#[inline(always)]
pub(in super::super) fn input(words: Ints) -> Input {
    [byte::<0>(words), byte::<1>(words), byte::<2>(words), byte::<3>(words)]
}

#[inline(always)]
pub(in super::super) unsafe fn weight(at: *const u32) -> Weight {
    // SAFETY: the caller vouches for the word.
    unsafe { at.read_unaligned() }.to_le_bytes().map(|byte| i32::from(byte as i8))
}

#[inline(always)]
pub(in super::super) fn dot(mut sum: Ints, input: Input, weight: Weight) -> Ints {
    for (input, weight) in input.iter().zip(weight) {
        for (sum, input) in sum.iter_mut().zip(input) {
            *sum = sum.wrapping_add(input * weight);
        }
    }
    sum
}

#[inline(always)]
pub(in super::super) fn byte<const I: usize>(words: Ints) -> Ints {
    words.map(|word| word >> (8 * I) & 0xff)
}

#[inline(always)]
pub(in super::super) fn word([a, b, c, d]: [Ints; 4]) -> Ints {
    from_fn(|i| a[i] | b[i] << 8 | c[i] << 16 | d[i] << 24)
}

#[inline(always)]
pub(in super::super) fn plus(a: Ints, b: Ints) -> Ints {
    from_fn(|i| a[i] + b[i])
}

#[inline(always)]
pub(in super::super) fn floats(ints: Ints) -> [f32; LANES] {
    ints.map(|value| value as f32)
}

#[inline(always)]
pub(in super::super) fn rounded(
    values: [f32; LANES],
    low: [f32; LANES],
    high: [f32; LANES],
) -> Ints {
    from_fn(|i| {
        let value = if values[i] > low[i] { values[i] } else { low[i] };
        let value = if value < high[i] { value } else { high[i] };
        (value + WHOLE).to_bits().wrapping_sub(WHOLE.to_bits()) as i32
    })
}
