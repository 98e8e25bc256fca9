//! What stands between the convolutions: functions of values as [`Plane`] has them. Formulas are
//! those of [`crate::nn`].
//!
//! An operation reads [`Source`]s and fills one [`Target`], whose pads it leaves 0; `_in_place`
//! means that the target holds an operand before. Loops are plain: the compiler makes vector
//! instructions of them, once for each [`Level`]. Rows, channels or columns are shared among
//! threads, and each is computed by one, so results do not depend on the number of threads.

#![allow(unsafe_code, reason = "instructions that are found out at run time, shared columns")]

use rayon::prelude::*;

use super::Level;
use crate::infer::plane::{GUARD, Plane};

/// Compiles a function for every [`Level`], the first argument of what it makes. `FUSED` says
/// whether products and sums are fused.
macro_rules! vectorised {
    (
        $(#[$about:meta])*
        $vis:vis fn $name:ident<$fused:ident>($($arg:ident: $type:ty),* $(,)?) $(-> $made:ty)?
        $body:block
    ) => {
        $(#[$about])*
        $vis fn $name(level: Level, $($arg: $type),*) $(-> $made)? {
            #[inline(always)]
            fn body<const $fused: bool>($($arg: $type),*) $(-> $made)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($arg: $type),*) $(-> $made)? {
                body::<true>($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx2,fma")]
            fn avx512($($arg: $type),*) $(-> $made)? {
                body::<true>($($arg),*)
            }

            match level {
                // SAFETY: a level is used where the processor was found to have it.
                #[cfg(target_arch = "x86_64")]
                Level::Avx2 => unsafe { avx2($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                Level::Avx512 => unsafe { avx512($($arg),*) },
                // Every aarch64 processor has it.
                #[cfg(target_arch = "aarch64")]
                Level::Neon => body::<true>($($arg),*),
                _ => body::<false>($($arg),*),
            }
        }
    };
}

mod attend;
mod depthwise;
mod element;
mod grid;
mod linear;
mod mix;
mod norm;
mod pool;
mod rows;
mod spans;
mod sums;
#[cfg(test)]
mod testing;

pub(crate) use attend::{attend, scores, softmax_in_place};
pub(crate) use depthwise::{Depthwise, Rows};
pub(crate) use element::{affine, affine_in_place, combine, combine_in_place, map, map_in_place};
pub(crate) use grid::{shift, shift_in_place, snap, snap_in_place};
pub(crate) use linear::Linear;
pub(crate) use mix::{mix, mix_weights};
pub(crate) use norm::{layer_norm, layer_norm_in_place, simam, simam_in_place};
pub(crate) use pool::pool;
pub(crate) use rows::{append, concat, fit, repeat, reshape, squeeze, swap};
pub(crate) use spans::{mean, segments, spread};

/// Values that are worth a task of their own.
const TASK: usize = 1 << 13;

/// A value to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    /// Its memory, with guards.
    pub values: &'a [f32],
    /// Its axes, up to three, without the batch.
    pub size: &'a [usize],
    /// Where they lie.
    pub plane: Plane,
}

/// A value to write.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    /// Its memory, with guards, which stay as they are.
    pub values: &'a mut [f32],
    /// Its axes, up to three, without the batch.
    pub size: &'a [usize],
    /// Where they lie.
    pub plane: Plane,
}

impl<'a> Source<'a> {
    /// The values of a row.
    fn row(&self, row: usize) -> &'a [f32] {
        &self.values[GUARD + row * self.plane.pitch..][..self.plane.width]
    }

    /// The values of the row at these places on the axes that rows count.
    fn row_at(&self, places: [usize; 2]) -> &'a [f32] {
        let axes = outer(self.size).iter().zip(places);
        self.row(axes.fold(0, |row, (&size, place)| row * size + place))
    }
}

impl<'a> Target<'a> {
    /// Its memory without guards.
    fn inner(self) -> &'a mut [f32] {
        &mut self.values[GUARD..GUARD + self.plane.len()]
    }

    /// Fills every row, given its number and its values, and zeroes what is behind it. A row costs
    /// as much as reading so many values.
    fn rows(self, cost: usize, fill: impl Fn(usize, &mut [f32]) + Sync) {
        let Plane { width, pitch, .. } = self.plane;
        let rows = self.inner().par_chunks_mut(pitch.max(1)).enumerate();
        rows.with_min_len(per_task(cost)).for_each(|(row, values)| {
            let (values, pad) = values.split_at_mut(width);
            fill(row, values);
            pad.fill(0.0);
        });
    }

    /// As [`rows`](Self::rows), of values that hold those of `x` before.
    fn rows_of(self, x: Source<'_>, cost: usize, change: impl Fn(usize, &mut [f32]) + Sync) {
        self.rows(cost, |row, values| {
            values.copy_from_slice(x.row(row));
            change(row, values);
        });
    }
}

/// How many items make a task, where one costs as much as reading so many values.
fn per_task(cost: usize) -> usize {
    (TASK / cost.max(1)).max(1)
}

/// All axes but the last: those that rows count.
fn outer(size: &[usize]) -> &[usize] {
    &size[..size.len().saturating_sub(1)]
}

/// The places of a row on the axes that rows count.
fn places(outer: &[usize], mut row: usize) -> [usize; 2] {
    let mut places = [0; 2];
    for (axis, &size) in outer.iter().enumerate().rev() {
        places[axis] = row % size;
        row /= size;
    }
    places
}

/// `a * b + c`.
#[inline(always)]
fn fused<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// Adds to each sum its value times the weight. Arrays, so that sums stay in registers.
#[inline(always)]
fn add_products<const FUSED: bool, const N: usize>(sums: &mut [f32; N], x: &[f32; N], weight: f32) {
    for i in 0..N {
        sums[i] = fused::<FUSED>(weight, x[i], sums[i]);
    }
}
