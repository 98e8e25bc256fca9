//! What is done around a tile's sums: four rows of input, and three of weights, become four kinds
//! of them, and four sums become two rows.

#![allow(unsafe_code, reason = "vector instructions, and places that are no neighbours")]

use super::super::super::{Level, vector};
use super::KINDS;

/// Lanes of the largest vector.
const MOST: usize = 16;
/// What stands for a row that is not there.
static ZEROS: [f32; MOST] = [0.0; MOST];

/// Rows of a channel's input that are transformed.
pub(super) struct Rows {
    /// The first value of each; null for a row of zeros that is not in memory.
    pub from: [*const f32; 4],
    /// The place of the first kind, and values from a kind to the next one.
    pub to: *mut f32,
    pub to_plane: usize,
    /// Positions. Whole vectors of them, of 16 values at most, are read and written.
    pub length: usize,
}

/// Sums that become two rows, or one, of a block's outputs.
pub(super) struct Sums<'a> {
    /// The sum of the first kind and output, at the first position. Whole vectors are read, of 16
    /// values at most.
    pub sums: *const f32,
    /// Values from a kind to the next one, and from an output to the next one.
    pub kind: usize,
    pub plane: usize,
    /// Factors and summands of the block's outputs.
    pub scale: &'a [f32],
    pub shift: &'a [f32],
    /// What is added, for the first output and position, or null.
    pub add: *const f32,
    pub relu: bool,
    /// The first output's first position.
    pub y: *mut f32,
    /// Values from an output to the next one, and from a row to the next one, in `y` and `add`.
    pub y_plane: usize,
    pub y_row: usize,
    /// Rows, 1 or 2.
    pub rows: usize,
    /// Outputs.
    pub outputs: usize,
    /// Positions.
    pub length: usize,
}

/// The steps of a level.
pub(super) struct Steps {
    lanes: usize,
    weights: unsafe fn(*const f32, *mut f32, usize, usize),
    input: unsafe fn(&Rows),
    output: unsafe fn(&Sums<'_>),
}

impl Steps {
    /// The steps of a level, which the processor has.
    ///
    /// # Panics
    /// If the level is one of another processor family.
    pub fn of(level: Level) -> &'static Self {
        assert!(level.is_available(), "the processor does not have {level:?}");
        match level {
            Level::Portable => &portable::STEPS,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => &avx2::STEPS,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => &avx512::STEPS,
            #[cfg(target_arch = "aarch64")]
            Level::Neon => &neon::STEPS,
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Level::Simd128 => &simd128::STEPS,
            _ => panic!("{level:?} is not of this processor family"),
        }
    }

    /// Transforms weights: for each channel three rows of `length` values become one row in each
    /// of the four kinds, which follow each other.
    ///
    /// # Panics
    /// If there are too few values, or fewer in a row than in a vector.
    pub fn weights(&self, from: &[f32], to: &mut [f32], channels: usize, length: usize) {
        assert!(length >= self.lanes, "rows of weights are shorter than vectors");
        assert!(from.len() >= 3 * channels * length, "weights");
        assert!(to.len() >= KINDS * channels * length, "room for weights");
        // SAFETY: the processor has the level's instructions; lengths were checked.
        unsafe { (self.weights)(from.as_ptr(), to.as_mut_ptr(), channels, length) }
    }

    /// Transforms input.
    ///
    /// # Safety
    /// The pointers are valid for what [`Rows`] says.
    pub unsafe fn input(&self, rows: &Rows) {
        // SAFETY: the processor has the level's instructions; the caller vouches for the pointers.
        unsafe { (self.input)(rows) }
    }

    /// Makes rows of sums: scaled, shifted, added to and rectified.
    ///
    /// # Safety
    /// The pointers are valid for what [`Sums`] says. Nobody else uses these places of `y`
    /// meanwhile.
    pub unsafe fn output(&self, sums: &Sums<'_>) {
        // SAFETY: as above.
        unsafe { (self.output)(sums) }
    }
}

/// The steps of an instruction set: functions of their own, into which the compiler inlines vector
/// instructions.
macro_rules! steps {
    ($set:ident, [$($feature:meta)?]) => {
        mod $set {
            use super::vector::$set::*;
            use super::{MOST, Rows, Steps, Sums, ZEROS};

            const _: () = assert!(LANES <= MOST, "vectors are longer than the zeros");

            pub(super) static STEPS: Steps = Steps { lanes: LANES, weights, input, output };

            $(#[$feature])?
            unsafe fn weights(from: *const f32, to: *mut f32, channels: usize, length: usize) {
                let (half, kind) = (splat(0.5), channels * length);
                for channel in 0..channels {
                    let mut at = 0;
                    while at < length {
                        // The last vector begins earlier where the row would end within it.
                        let first = at.min(length - LANES);
                        // SAFETY: the caller vouches for three rows, and for places of all kinds.
                        unsafe {
                            let from = from.add(3 * channel * length + first);
                            let to = to.add(channel * length + first);
                            let above = load(from);
                            let middle = load(from.add(length));
                            let below = load(from.add(2 * length));
                            let outer = plus(above, below);
                            store(to, above);
                            store(to.add(kind), times(plus(outer, middle), half));
                            store(to.add(2 * kind), times(minus(outer, middle), half));
                            store(to.add(3 * kind), below);
                        }
                        at += LANES;
                    }
                }
            }

            $(#[$feature])?
            unsafe fn input(rows: &Rows) {
                let Rows { mut from, to, to_plane, length } = *rows;
                let mut steps = [LANES; 4];
                for (from, step) in from.iter_mut().zip(&mut steps) {
                    if from.is_null() {
                        (*from, *step) = (ZEROS.as_ptr(), 0);
                    }
                }
                let mut at = 0;
                while at < length {
                    // SAFETY: the caller vouches for whole vectors of rows, and for their places.
                    unsafe {
                        let to = to.add(at);
                        let (d0, d1) = (load(from[0]), load(from[1]));
                        let (d2, d3) = (load(from[2]), load(from[3]));
                        store(to, minus(d0, d2));
                        store(to.add(to_plane), plus(d1, d2));
                        store(to.add(2 * to_plane), minus(d2, d1));
                        store(to.add(3 * to_plane), minus(d1, d3));
                    }
                    for (from, step) in from.iter_mut().zip(steps) {
                        // Behind the last vector nothing is read.
                        *from = from.wrapping_add(step);
                    }
                    at += LANES;
                }
            }

            $(#[$feature])?
            unsafe fn output(sums: &Sums<'_>) {
                let rows = sums.scale.iter().zip(sums.shift).take(sums.outputs);
                for (o, (&scale, &shift)) in rows.enumerate() {
                    let (scale, shift) = (splat(scale), splat(shift));
                    let mut at = 0;
                    while at < sums.length {
                        let count = (sums.length - at).min(LANES);
                        let place = o * sums.y_plane + at;
                        // SAFETY: the caller vouches for whole vectors of sums, and for the places
                        // of both rows.
                        unsafe {
                            let from = sums.sums.add(o * sums.plane + at);
                            let (m0, m1) = (load(from), load(from.add(sums.kind)));
                            let m2 = load(from.add(2 * sums.kind));
                            let upper = plus_product(shift, plus(plus(m0, m1), m2), scale);
                            finish(sums, place, count, upper);
                            if sums.rows == 2 {
                                let m3 = load(from.add(3 * sums.kind));
                                let lower = minus(minus(m1, m2), m3);
                                let lower = plus_product(shift, lower, scale);
                                finish(sums, place + sums.y_row, count, lower);
                            }
                        }
                        at += LANES;
                    }
                }
            }

            /// Adds, rectifies and stores the first values of a vector.
            #[inline]
            $(#[$feature])?
            unsafe fn finish(sums: &Sums<'_>, place: usize, count: usize, mut values: Vector) {
                let is_full = count == LANES;
                // SAFETY: the caller vouches for the places.
                unsafe {
                    if !sums.add.is_null() {
                        let add = sums.add.add(place);
                        let add = if is_full { load(add) } else { load_part(add, count) };
                        values = plus(values, add);
                    }
                    if sums.relu {
                        values = positive(values);
                    }
                    let y = sums.y.add(place);
                    if is_full { store(y, values) } else { store_part(y, values, count) }
                }
            }
        }
    };
}

steps!(portable, []);
#[cfg(target_arch = "x86_64")]
steps!(avx2, [target_feature(enable = "avx2,fma")]);
#[cfg(target_arch = "x86_64")]
steps!(avx512, [target_feature(enable = "avx512f")]);
#[cfg(target_arch = "aarch64")]
steps!(neon, [target_feature(enable = "neon")]);
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
steps!(simd128, [target_feature(enable = "simd128")]);
