//! Values become bytes.

#![allow(unsafe_code, reason = "vector instructions, and channels that are no neighbours")]
#![allow(clippy::needless_range_loop, reason = "loops of fixed length become registers")]

use rayon::prelude::*;

use super::super::{Level, vector};
use super::scale::{Rounding, Scale};
use super::sets;
use crate::infer::plane::{GUARD, Plane, TAIL};

/// Words that are worth a task.
const WORTH: usize = 1 << 13;

/// Up to four channels' values that become words.
pub(super) struct Row {
    /// The first channel's first value, and how many values further the next channel is.
    x: *const f32,
    x_plane: usize,
    /// How many channels there are. The others' bytes are those of 0.
    channels: usize,
    rounding: Rounding,
    y: *mut u32,
    count: usize,
}

/// The conversions of an instruction set.
macro_rules! conversions {
    ($set:ident, [$($feature:meta)?]) => {
        pub(super) mod $set {
            use super::sets::$set::*;
            use super::vector::$set as f32s;
            use super::{Rounding, Row};

            /// As many words as lanes, at any pointer to them.
            #[inline]
            $(#[$feature])?
            pub(in super::super) unsafe fn load(from: *const u32) -> Ints {
                // SAFETY: the caller vouches for the words.
                to_bits(unsafe { f32s::load(from.cast()) })
            }

            /// The first `count` of them; 0 in the other lanes.
            #[inline]
            $(#[$feature])?
            pub(in super::super) unsafe fn load_part(from: *const u32, count: usize) -> Ints {
                // SAFETY: the caller vouches for the words.
                to_bits(unsafe { f32s::load_part(from.cast(), count) })
            }

            /// The first `count` lanes become words at any pointer to as many.
            #[inline]
            $(#[$feature])?
            pub(in super::super) unsafe fn store(to: *mut u32, words: Ints, count: usize) {
                // SAFETY: the caller vouches for the place.
                unsafe {
                    match count {
                        LANES => f32s::store(to.cast(), from_bits(words)),
                        _ => f32s::store_part(to.cast(), from_bits(words), count),
                    }
                }
            }

            /// The bytes of four channels' values, as words.
            #[inline]
            $(#[$feature])?
            pub(in super::super) fn word_of(
                values: [f32s::Vector; 4],
                rounding: Rounding,
            ) -> Ints {
                let inverse = f32s::splat(rounding.inverse);
                let (low, high) = (f32s::splat(rounding.low), f32s::splat(rounding.high));
                let mut bytes = [ints(rounding.zero); 4];
                for i in 0..4 {
                    bytes[i] = plus(bytes[i], rounded(f32s::times(values[i], inverse), low, high));
                }
                word(bytes)
            }

            /// # Safety
            /// The processor has the set's instructions, and the row's pointers are valid for what
            /// it says.
            $(#[$feature])?
            pub(super) unsafe fn quantize(row: &Row) {
                for at in (0..row.count).step_by(LANES) {
                    let count = LANES.min(row.count - at);
                    let mut values = [f32s::zero(); 4];
                    // SAFETY: the caller vouches for the pointers.
                    unsafe {
                        for i in 0..4 {
                            if i < row.channels {
                                let x = row.x.add(i * row.x_plane + at);
                                values[i] = match count {
                                    LANES => f32s::load(x),
                                    _ => f32s::load_part(x, count),
                                };
                            }
                        }
                        store(row.y.add(at), word_of(values, row.rounding), count);
                    }
                }
            }
        }
    };
}

conversions!(portable, []);
#[cfg(target_arch = "x86_64")]
conversions!(avx2, [target_feature(enable = "avx2,fma")]);
#[cfg(target_arch = "x86_64")]
conversions!(avx512, [target_feature(enable = "avx512f")]);
#[cfg(target_arch = "aarch64")]
conversions!(neon, [target_feature(enable = "neon")]);
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
conversions!(simd128, [target_feature(enable = "simd128")]);

/// The bytes of an f32 value `[channels, rows, frames]`, whose rows are followed by `x_pad` zeros:
/// words of four channels, whose rows are followed by `y_pad` words of zeros, with guards. The
/// input lies as [`IntCall::x`](super::IntCall::x) may.
///
/// # Panics
/// If a slice is too short, or the processor does not have the level.
pub(crate) fn quantize(
    level: Level,
    x: &[f32],
    size: [usize; 3],
    x_pad: usize,
    scale: Scale,
    y: &mut [u32],
    y_pad: usize,
) {
    assert!(level.is_available(), "the processor does not have {level:?}");
    let convert: unsafe fn(&Row) = match level {
        Level::Portable => portable::quantize,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => avx2::quantize,
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => avx512::quantize,
        #[cfg(target_arch = "aarch64")]
        Level::Neon => neon::quantize,
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        Level::Simd128 => simd128::quantize,
        _ => panic!("{level:?} is not of this processor family"),
    };
    let [channels, mels, frames] = size;
    let from = Plane::of(&size, x_pad);
    let to = Plane::of(&[channels.div_ceil(4), mels, frames], y_pad);
    assert!(x.len() >= from.buffer() && y.len() >= to.buffer(), "values without guards");
    let x = &x[GUARD..GUARD + from.len()];
    let (guard, y) = y.split_at_mut(GUARD);
    let (y, tail) = y.split_at_mut(to.len());
    guard.fill(scale.word());
    tail[..TAIL].fill(scale.word());
    if y.is_empty() {
        return;
    }

    let x_plane = mels * from.pitch;
    let rounding = scale.rounding();
    let planes = y.par_chunks_exact_mut(mels * to.pitch).zip(x.par_chunks(4 * x_plane));
    planes.with_min_len((WORTH / (mels * to.pitch)).max(1)).for_each(|(y, x)| {
        let channels = x.len() / x_plane;
        let row = |x: &[f32], y: &mut [u32], count: usize| {
            let (x, y) = (x.as_ptr(), y.as_mut_ptr());
            // SAFETY: the level is there. From here on each channel has so many values, and the
            // plane so many words.
            unsafe { convert(&Row { x, x_plane, channels, rounding, y, count }) };
        };
        if x_pad == y_pad {
            // Zeros become words of zeros.
            return row(x, y, x_plane);
        }
        for (i, y) in y.chunks_exact_mut(to.pitch).enumerate() {
            let (y, pads) = y.split_at_mut(frames);
            pads.fill(scale.word());
            row(&x[i * from.pitch..], y, frames);
        }
    });
}
