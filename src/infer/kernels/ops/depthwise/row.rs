//! A row of a depthwise convolution at stride 1. The sums of a few vectors of outputs stay in
//! registers until they are scaled, shifted and rectified.

#![allow(unsafe_code, reason = "vector instructions, and values at pointers")]
#![allow(clippy::needless_range_loop, reason = "loops of fixed length become registers")]

use super::{Ending, Level, Lines};

/// Fills a row.
pub(super) fn fill(level: Level, lines: &Lines<'_>, end: &Ending<'_>, y: &mut [f32]) {
    // SAFETY: a level is used where the processor was found to have it.
    unsafe {
        match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => avx2::fill(lines, end, y),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => avx512::fill(lines, end, y),
            #[cfg(target_arch = "aarch64")]
            Level::Neon => neon::fill(lines, end, y),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Level::Simd128 => simd128::fill(lines, end, y),
            _ => portable::fill(lines, end, y),
        }
    }
}

/// The functions of an instruction set. The compiler inlines vector instructions only there.
macro_rules! set {
    ($set:ident, [$($feature:meta)?]) => {
        mod $set {
            use super::super::{Ending, Lines};
            use crate::infer::kernels::vector::$set::*;
            use crate::infer::kernels::{Add, Geometry};
            use crate::infer::plane::TAIL;

            const _: () = assert!(4 * LANES <= TAIL, "tiles reach beyond the values");

            /// Fills a row.
            ///
            /// # Safety
            /// The processor has the instructions.
            $(#[$feature])?
            pub(super) unsafe fn fill(lines: &Lines<'_>, end: &Ending<'_>, y: &mut [f32]) {
                let mut at = 0;
                while at < y.len() {
                    // SAFETY: the caller vouches for the instructions.
                    unsafe {
                        match (y.len() - at).div_ceil(LANES) {
                            1 => tile::<1>(lines, end, at, y),
                            2 => tile::<2>(lines, end, at, y),
                            3 => tile::<3>(lines, end, at, y),
                            _ => tile::<4>(lines, end, at, y),
                        }
                    }
                    at += 4 * LANES;
                }
            }

            /// So many vectors of outputs from one on. The last of them may be no whole one: all
            /// its sums are computed, for a row's zeros and the tail can be read.
            #[inline]
            $(#[$feature])?
            unsafe fn tile<const VECTORS: usize>(
                lines: &Lines<'_>,
                end: &Ending<'_>,
                at: usize,
                y: &mut [f32],
            ) {
                let Geometry { kernel, dilation, .. } = lines.geometry;
                let mut sums = [zero(); VECTORS];
                for (row, weights) in lines.weights.chunks_exact(kernel[1]).enumerate() {
                    let Some(x) = lines.seen(row) else { continue };
                    let x = &x[at..][..(kernel[1] - 1) * dilation[1] + VECTORS * LANES];
                    for (tap, &weight) in weights.iter().enumerate() {
                        let weight = splat(weight);
                        for v in 0..VECTORS {
                            // SAFETY: the slice has a whole vector there, as there are `kernel[1]`
                            // taps.
                            let x = unsafe {
                                load(x.as_ptr().add(tap * dilation[1] + v * LANES))
                            };
                            sums[v] = plus_product(sums[v], weight, x);
                        }
                    }
                }
                let (scale, shift) = (splat(end.scale), splat(end.shift));
                for v in 0..VECTORS {
                    let first = at + v * LANES;
                    let own = &mut y[first..];
                    let count = own.len().min(LANES);
                    let mut made = plus_product(shift, sums[v], scale);
                    let add = match end.add {
                        Add::Nothing => None,
                        Add::Of(add) => Some(add[first..][..count].as_ptr()),
                        Add::InPlace => Some(own.as_ptr()),
                    };
                    // SAFETY: there are `count` values in both, at most as many as lanes.
                    unsafe {
                        if let Some(add) = add {
                            let is_whole = count == LANES;
                            let add = if is_whole { load(add) } else { load_part(add, count) };
                            made = plus(made, add);
                        }
                        if end.relu {
                            made = positive(made);
                        }
                        if count == LANES {
                            store(own.as_mut_ptr(), made);
                        } else {
                            store_part(own.as_mut_ptr(), made, count);
                        }
                    }
                }
            }
        }
    };
}

set!(portable, []);
#[cfg(target_arch = "x86_64")]
set!(avx2, [target_feature(enable = "avx2,fma")]);
#[cfg(target_arch = "x86_64")]
set!(avx512, [target_feature(enable = "avx512f")]);
#[cfg(target_arch = "aarch64")]
set!(neon, [target_feature(enable = "neon")]);
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
set!(simd128, [target_feature(enable = "simd128")]);
