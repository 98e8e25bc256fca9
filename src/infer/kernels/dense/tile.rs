//! The inner loops: a tile is the sums of a few output channels at a few vectors of positions, all
//! in registers. For every input channel and tap, the vectors of input are loaded and multiplied
//! with one weight after the other.

#![allow(unsafe_code, reason = "vector instructions, and places that are no neighbours")]
#![allow(clippy::needless_range_loop, reason = "loops of fixed length become registers")]

use super::super::Level;
use super::super::vector;
#[cfg(target_arch = "x86_64")]
use super::avx2::add_products as add_products_avx2;
use crate::infer::plane::TAIL;

/// Values of a cache line.
const LINE: usize = 16;
/// How many channels ahead the input is fetched: it comes from the second cache, line by line from
/// places that are far from each other.
const AHEAD: usize = 4;

/// Positions that follow each other, for one block of outputs.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    /// Input of the first position, in the first channel.
    pub x: *const f32,
    /// Values from an input channel to the next one.
    pub x_plane: usize,
    /// Input channels.
    pub channels: usize,
    /// Where the taps lie, from a position of `x` on.
    pub taps: &'a [isize],
    /// Weights of the first channel and tap: the block's outputs, tap by tap.
    pub weights: *const f32,
    /// Values from the weights of a channel to those of the next one.
    pub weights_step: usize,
    /// Factors and summands of the block's outputs, as many as the kernel has. Without factors,
    /// sums stay as they are.
    pub scale: *const f32,
    pub shift: *const f32,
    /// What is added, for the first output and position, or null.
    pub add: *const f32,
    pub relu: bool,
    /// The first output's first position.
    pub y: *mut f32,
    /// Values from an output to the next one, in `y` and `add`.
    pub y_plane: usize,
    /// Outputs of the block, at most those of the kernel.
    pub outputs: usize,
    /// Positions.
    pub length: usize,
}

/// The inner loops of a level.
pub(super) struct Kernel {
    /// Outputs of a tile.
    pub outputs: usize,
    /// Positions of a tile. Input is read for whole vectors of them, of 16 values at most.
    pub positions: usize,
    /// Computes a run.
    ///
    /// # Safety
    /// The processor has the level's instructions. The run's pointers are valid for what it says:
    /// `x` for every channel and tap at every position of whole vectors, the others for the run's
    /// outputs and positions. Nobody else uses these places of `y` meanwhile.
    pub run: unsafe fn(&Run<'_>),
}

impl Kernel {
    /// The kernel of a level.
    ///
    /// # Panics
    /// If the level is one of another processor family.
    pub fn of(level: Level) -> &'static Self {
        match level {
            Level::Portable => &portable::KERNEL,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => &avx2::KERNEL,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => &avx512::KERNEL,
            #[cfg(target_arch = "aarch64")]
            Level::Neon => &neon::KERNEL,
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Level::Simd128 => &simd128::KERNEL,
            _ => panic!("{level:?} is not of this processor family"),
        }
    }
}

/// Calls `tile`, a function of so many vectors, for all positions of a run: `tile(run, at, last)`
/// for those from `at` on, whose last vector has `last` values.
macro_rules! by_tiles {
    ($run:ident, $vectors:literal, $lanes:expr, $tile:ident) => {{
        let mut at = 0;
        while at < $run.length {
            let rest = $run.length - at;
            let vectors = rest.div_ceil($lanes);
            // The values of the last vector, where that is not full.
            let last = rest - (vectors - 1) * $lanes;
            match vectors {
                1 => $tile::<1>($run, at, last),
                2 if $vectors >= 2 => $tile::<2>($run, at, last),
                3 if $vectors == 3 => $tile::<3>($run, at, last),
                _ => $tile::<$vectors>($run, at, $lanes),
            }
            at += $vectors * $lanes;
        }
    }};
}
pub(in super::super) use by_tiles;

/// The kernel of an instruction set, with tiles of so many outputs and vectors. They are functions
/// of their own for each set: the compiler inlines vector instructions only there. `by` names a
/// function that adds the products of a tap in a whole tile.
macro_rules! kernel {
    (
        $set:ident, [$($feature:meta)?], $outputs:literal x $vectors:literal $(, by $whole:ident)?
    ) => {
        pub(super) mod $set {
            use super::vector::$set::*;
            use super::{AHEAD, Kernel, LINE, Run, TAIL};

            const OUTPUTS: usize = $outputs;
            const _: () = assert!($vectors * LANES <= TAIL, "tiles reach beyond the values");

            pub(in super::super) static KERNEL: Kernel =
                Kernel { outputs: OUTPUTS, positions: $vectors * LANES, run };

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
                let mut sums = [[zero(); VECTORS]; OUTPUTS];
                // SAFETY: the caller vouches for the run's pointers.
                unsafe {
                    // Where nothing is read, pointers may leave their slice.
                    let (mut x, mut weights) = (run.x.wrapping_add(at), run.weights);
                    for _ in 0..run.channels {
                        let mut weight = weights;
                        for &tap in run.taps {
                            let x = x.wrapping_offset(tap);
                            for line in 0..(VECTORS * LANES).div_ceil(LINE) {
                                fetch(x.wrapping_add(AHEAD * run.x_plane + line * LINE));
                            }
                            add_products(&mut sums, x, weight);
                            weight = weight.wrapping_add(OUTPUTS);
                        }
                        x = x.wrapping_add(run.x_plane);
                        weights = weights.wrapping_add(run.weights_step);
                    }
                    finish(run, at, last, sums);
                }
            }

            /// Adds the products of a tap's input with its weights.
            #[inline]
            $(#[$feature])?
            unsafe fn add_products<const VECTORS: usize>(
                sums: &mut [[Vector; VECTORS]; OUTPUTS],
                x: *const f32,
                weights: *const f32,
            ) {
                // SAFETY: the caller vouches for input and weights. The cast changes no type where
                // the condition holds.
                unsafe {
                    $(if VECTORS == $vectors {
                        let sums = (&raw mut *sums).cast::<[[Vector; $vectors]; OUTPUTS]>();
                        return super::$whole(&mut *sums, x, weights);
                    })?
                    let mut values = [zero(); VECTORS];
                    for v in 0..VECTORS {
                        values[v] = load(x.add(v * LANES));
                    }
                    for o in 0..OUTPUTS {
                        let weight = splat(*weights.add(o));
                        for v in 0..VECTORS {
                            sums[o][v] = plus_product(sums[o][v], weight, values[v]);
                        }
                    }
                }
            }

            /// Scales, shifts, adds, rectifies and stores the sums.
            #[inline]
            $(#[$feature])?
            unsafe fn finish<const VECTORS: usize>(
                run: &Run<'_>,
                at: usize,
                last: usize,
                mut sums: [[Vector; VECTORS]; OUTPUTS],
            ) {
                // SAFETY: the caller vouches for the run's pointers.
                unsafe {
                    if !run.scale.is_null() {
                        for o in 0..OUTPUTS {
                            let scale = splat(*run.scale.add(o));
                            let shift = splat(*run.shift.add(o));
                            for v in 0..VECTORS {
                                sums[o][v] = plus_product(shift, sums[o][v], scale);
                            }
                        }
                    }
                    if !run.add.is_null() {
                        for o in 0..OUTPUTS {
                            if o < run.outputs {
                                let add = run.add.add(o * run.y_plane + at);
                                for v in 0..VECTORS {
                                    let add = add.add(v * LANES);
                                    let full = v + 1 < VECTORS || last == LANES;
                                    let add = if full { load(add) } else { load_part(add, last) };
                                    sums[o][v] = plus(sums[o][v], add);
                                }
                            }
                        }
                    }
                    if run.relu {
                        for o in 0..OUTPUTS {
                            for v in 0..VECTORS {
                                sums[o][v] = positive(sums[o][v]);
                            }
                        }
                    }
                    for o in 0..OUTPUTS {
                        if o < run.outputs {
                            let y = run.y.add(o * run.y_plane + at);
                            for v in 0..VECTORS {
                                let y = y.add(v * LANES);
                                if v + 1 < VECTORS || last == LANES {
                                    store(y, sums[o][v]);
                                } else {
                                    store_part(y, sums[o][v], last);
                                }
                            }
                        }
                    }
                }
            }
        }
    };
}

kernel!(portable, [], 4 x 2);
#[cfg(target_arch = "x86_64")]
kernel!(avx2, [target_feature(enable = "avx2,fma")], 4 x 3, by add_products_avx2);
#[cfg(target_arch = "x86_64")]
kernel!(avx512, [target_feature(enable = "avx512f")], 8 x 3);
#[cfg(target_arch = "aarch64")]
kernel!(neon, [target_feature(enable = "neon")], 8 x 3);
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
kernel!(simd128, [target_feature(enable = "simd128")], 4 x 2);
