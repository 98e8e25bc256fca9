//! The products of a tap in a whole tile, with AVX2. Sums, input and a weight take all 16
//! registers. Left to itself, the compiler loads the next weight before it has a register for it,
//! and moves sums to memory and back for that: half as fast.

#![allow(unsafe_code, reason = "the order of instructions is written down")]

use std::arch::asm;
use std::arch::x86_64::__m256;

/// Adds the products of three vectors of input, which lie side by side, with four weights.
///
/// # Safety
/// There are 24 values at `x`, and 4 at `weights`.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn add_products(sums: &mut [[__m256; 3]; 4], x: *const f32, weights: *const f32) {
    let [[a0, a1, a2], [b0, b1, b2], [c0, c1, c2], [d0, d1, d2]] = sums;
    // SAFETY: the caller vouches for what is read; nothing but registers is written.
    unsafe {
        asm!(
            "vmovups {x0}, [{x}]",
            "vmovups {x1}, [{x} + 32]",
            "vmovups {x2}, [{x} + 64]",
            "vbroadcastss {weight}, [{weights}]",
            "vfmadd231ps {a0}, {weight}, {x0}",
            "vfmadd231ps {a1}, {weight}, {x1}",
            "vfmadd231ps {a2}, {weight}, {x2}",
            "vbroadcastss {weight}, [{weights} + 4]",
            "vfmadd231ps {b0}, {weight}, {x0}",
            "vfmadd231ps {b1}, {weight}, {x1}",
            "vfmadd231ps {b2}, {weight}, {x2}",
            "vbroadcastss {weight}, [{weights} + 8]",
            "vfmadd231ps {c0}, {weight}, {x0}",
            "vfmadd231ps {c1}, {weight}, {x1}",
            "vfmadd231ps {c2}, {weight}, {x2}",
            "vbroadcastss {weight}, [{weights} + 12]",
            "vfmadd231ps {d0}, {weight}, {x0}",
            "vfmadd231ps {d1}, {weight}, {x1}",
            "vfmadd231ps {d2}, {weight}, {x2}",
            x = in(reg) x,
            weights = in(reg) weights,
            x0 = out(ymm_reg) _,
            x1 = out(ymm_reg) _,
            x2 = out(ymm_reg) _,
            weight = out(ymm_reg) _,
            a0 = inout(ymm_reg) *a0,
            a1 = inout(ymm_reg) *a1,
            a2 = inout(ymm_reg) *a2,
            b0 = inout(ymm_reg) *b0,
            b1 = inout(ymm_reg) *b1,
            b2 = inout(ymm_reg) *b2,
            c0 = inout(ymm_reg) *c0,
            c1 = inout(ymm_reg) *c1,
            c2 = inout(ymm_reg) *c2,
            d0 = inout(ymm_reg) *d0,
            d1 = inout(ymm_reg) *d1,
            d2 = inout(ymm_reg) *d2,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
}
