//! The inner loops: a tile is the sums of a few output channels at a few vectors of positions, all
//! in registers. For every word of input channels and every tap, the vectors of input are loaded,
//! and each lane's four bytes multiplied with one word of weights after the other.

#![allow(unsafe_code, reason = "vector instructions, and places that are no neighbours")]
#![allow(clippy::needless_range_loop, reason = "loops of fixed length become registers")]

use super::super::dense::tile::by_tiles;
use super::super::vector;
use super::kernel::{Kernel, MOST, Run};
use super::{convert, sets};
use crate::infer::plane::{Form, TAIL};

/// Words of a cache line.
const LINE: usize = 16;
/// How many planes ahead the input is fetched: it comes from the second cache, line by line from
/// places that are far from each other.
const AHEAD: usize = 4;

/// The kernel of an instruction set, with tiles of so many outputs and vectors. They are functions
/// of their own for each set: the compiler inlines vector instructions only there. `floats` names
/// the set's vectors of f32 and conversions.
macro_rules! kernel {
    (
        $set:ident, floats $floats:ident, [$($feature:meta)?], $outputs:literal x $vectors:literal
    ) => {
        pub(super) mod $set {
            use super::convert::$floats::{load, load_part, store, word_of};
            use super::sets::$set::*;
            use super::vector::$floats as f32s;
            use super::{AHEAD, Form, Kernel, LINE, MOST, Run, TAIL, by_tiles};

            const OUTPUTS: usize = $outputs;
            const _: () = assert!($vectors * LANES <= TAIL, "tiles reach beyond the values");
            const _: () = assert!(OUTPUTS % 4 == 0 && OUTPUTS <= MOST, "outputs are whole words");
            /// Words of a weight.
            const EACH: usize = if WIDE { 2 } else { 1 };

            pub(in super::super) static KERNEL: Kernel = Kernel {
                #[cfg(test)]
                name: stringify!($set),
                outputs: OUTPUTS,
                positions: $vectors * LANES,
                wide: WIDE,
                bias: BIAS,
                run,
            };

            $(#[$feature])?
            unsafe fn run(run: &Run<'_>) {
                // SAFETY: the caller vouches for the run.
                unsafe { by_tiles!(run, $vectors, LANES, tile) }
            }

            /// `VECTORS` vectors from a position on. Of the last one, `last` values are positions
            /// of the run.
            #[inline]
            $(#[$feature])?
            unsafe fn tile<const VECTORS: usize>(run: &Run<'_>, at: usize, last: usize) {
                let mut sums = [[ints(0); VECTORS]; OUTPUTS];
                for o in 0..OUTPUTS {
                    sums[o] = [ints(run.start[o]); VECTORS];
                }
                // SAFETY: the caller vouches for the run's pointers.
                unsafe {
                    // Where nothing is read, pointers may leave their slice.
                    let (mut x, mut weights) = (run.x.wrapping_add(at), run.weights);
                    for _ in 0..run.planes {
                        let mut weight = weights;
                        for &tap in run.taps {
                            let x = x.wrapping_offset(tap);
                            for line in 0..(VECTORS * LANES).div_ceil(LINE) {
                                let ahead = x.wrapping_add(AHEAD * run.x_plane + line * LINE);
                                f32s::fetch(ahead.cast());
                            }
                            add_products(&mut sums, x, weight);
                            weight = weight.wrapping_add(OUTPUTS * EACH);
                        }
                        x = x.wrapping_add(run.x_plane);
                        weights = weights.wrapping_add(run.weights_step);
                    }
                    for word in 0..OUTPUTS / 4 {
                        if 4 * word < run.outputs {
                            let sums = [0, 1, 2, 3].map(|i| sums[4 * word + i]);
                            finish(run, 4 * word, at, last, sums);
                        }
                    }
                }
            }

            /// Adds the products of a tap's input with its weights.
            #[inline]
            $(#[$feature])?
            unsafe fn add_products<const VECTORS: usize>(
                sums: &mut [[Ints; VECTORS]; OUTPUTS],
                x: *const u32,
                weights: *const u32,
            ) {
                // SAFETY: the caller vouches for input and weights.
                unsafe {
                    let mut values = [input(ints(0)); VECTORS];
                    for v in 0..VECTORS {
                        values[v] = input(load(x.add(v * LANES)));
                    }
                    for o in 0..OUTPUTS {
                        let weight = weight(weights.add(o * EACH));
                        for v in 0..VECTORS {
                            sums[o][v] = dot(sums[o][v], values[v], weight);
                        }
                    }
                }
            }

            /// Scales, shifts, adds, rectifies and stores the sums of four outputs, from output
            /// `first` on. Of the last vector, `last` values are positions of the run.
            #[inline]
            $(#[$feature])?
            unsafe fn finish<const VECTORS: usize>(
                run: &Run<'_>,
                first: usize,
                at: usize,
                last: usize,
                sums: [[Ints; VECTORS]; 4],
            ) {
                let mut values = [[f32s::zero(); VECTORS]; 4];
                let count = |v: usize| if v + 1 < VECTORS { LANES } else { last };
                // SAFETY: the caller vouches for the run's pointers.
                unsafe {
                    for o in 0..4 {
                        let scale = f32s::splat(*run.scale.add(first + o));
                        let shift = f32s::splat(*run.shift.add(first + o));
                        for v in 0..VECTORS {
                            let sum = f32s::times(floats(sums[o][v]), scale);
                            values[o][v] = f32s::plus(sum, shift);
                        }
                    }
                    match run.add {
                        None => {}
                        Some((add, Form::Floats)) => {
                            for o in 0..4 {
                                if first + o < run.outputs {
                                    let add = add.add((first + o) * run.y_plane + at);
                                    for v in 0..VECTORS {
                                        let add = add.add(v * LANES).cast();
                                        let add = match count(v) {
                                            LANES => f32s::load(add),
                                            count => f32s::load_part(add, count),
                                        };
                                        values[o][v] = f32s::plus(values[o][v], add);
                                    }
                                }
                            }
                        }
                        Some((add, Form::Bytes(scale))) => {
                            let add = add.add(first / 4 * run.y_plane + at);
                            let zero = f32s::splat(-f32::from(scale.zero));
                            let step = f32s::splat(scale.step);
                            for v in 0..VECTORS {
                                let add = add.add(v * LANES);
                                let add = match count(v) {
                                    LANES => load(add),
                                    count => load_part(add, count),
                                };
                                let (a, b) = (byte::<0>(add), byte::<1>(add));
                                let bytes = [a, b, byte::<2>(add), byte::<3>(add)];
                                for o in 0..4 {
                                    let steps = f32s::plus(floats(bytes[o]), zero);
                                    let add = f32s::times(steps, step);
                                    values[o][v] = f32s::plus(values[o][v], add);
                                }
                            }
                        }
                    }
                    if run.relu {
                        for o in 0..4 {
                            for v in 0..VECTORS {
                                values[o][v] = f32s::positive(values[o][v]);
                            }
                        }
                    }
                    match run.rounding {
                        None => {
                            for o in 0..4 {
                                if first + o < run.outputs {
                                    let y = run.y.add((first + o) * run.y_plane + at);
                                    for v in 0..VECTORS {
                                        let y = y.add(v * LANES).cast();
                                        match count(v) {
                                            LANES => f32s::store(y, values[o][v]),
                                            count => f32s::store_part(y, values[o][v], count),
                                        }
                                    }
                                }
                            }
                        }
                        Some(rounding) => {
                            let y = run.y.add(first / 4 * run.y_plane + at);
                            for v in 0..VECTORS {
                                let four = [0, 1, 2, 3].map(|o| values[o][v]);
                                store(y.add(v * LANES), word_of(four, rounding), count(v));
                            }
                        }
                    }
                }
            }
        }
    };
}

kernel!(portable, floats portable, [], 4 x 2);
#[cfg(target_arch = "x86_64")]
kernel!(avx2, floats avx2, [target_feature(enable = "avx2,fma")], 4 x 2);
#[cfg(target_arch = "x86_64")]
kernel!(avx_vnni, floats avx2, [target_feature(enable = "avx2,fma,avxvnni")], 4 x 3);
#[cfg(target_arch = "x86_64")]
kernel!(avx512, floats avx512, [target_feature(enable = "avx512f,avx512vnni")], 8 x 3);
#[cfg(target_arch = "aarch64")]
kernel!(neon, floats neon, [target_feature(enable = "neon")], 4 x 3);
#[cfg(target_arch = "aarch64")]
kernel!(neon_dot, floats neon, [target_feature(enable = "neon,dotprod")], 8 x 3);
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
kernel!(simd128, floats simd128, [target_feature(enable = "simd128")], 4 x 2);
