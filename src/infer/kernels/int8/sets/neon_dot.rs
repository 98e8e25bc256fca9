//! Neon with a dot product of bytes.

use std::arch::aarch64::*;
use std::arch::asm;

pub(in super::super) use super::neon::{
    BIAS, Input, Ints, LANES, WIDE, Weight, byte, floats, input, ints, weight,
};

#[inline]
#[target_feature(enable = "neon,dotprod")]
pub(in super::super) fn dot(sum: Ints, input: Input, weight: Weight) -> Ints {
    let mut sum: int32x4_t = sum;
    // SAFETY: nothing but the register is written. The instruction has no stable function.
    unsafe {
        asm!(
            "sdot {sum:v}.4s, {input:v}.16b, {weight:v}.16b",
            sum = inout(vreg) sum,
            input = in(vreg) input,
            weight = in(vreg) weight,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}
