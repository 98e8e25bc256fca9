//! The nearest code of a value in [-1, 1] by one table look-up and one comparison of integers: what
//! a processor does for many values at a time.
//!
//! A cell is what the leading bits of a magnitude say: its binary exponent and the first bits of
//! its mantissa. Cells are finer than the codes are apart, so that each holds at most one bound. An
//! entry has the code below the bound in its upper part and the bound's remaining bits in its lower
//! part.

use std::sync::LazyLock;

use crate::backend::optim8::{CODES, CodeMap};

/// The two maps as tables. `N` is a power of two, so that no look-up needs a check.
pub(super) struct Cells<const N: usize, const SIGNS: usize, const LOW: u32> {
    /// Values by code.
    pub values: [f32; CODES],
    entries: [u32; N],
}

/// Cells of 2^17 magnitudes, 64 an octave, for each sign: on a bound the lower code is meant, which
/// is the smaller magnitude on one side only.
pub(super) type Signed = Cells<4096, 2, 17>;
/// Cells of 2^16 magnitudes: 128 an octave.
pub(super) type Unsigned = Cells<4096, 1, 16>;

static SIGNED: LazyLock<Box<Signed>> = LazyLock::new(|| Cells::new(CodeMap::Signed));
static UNSIGNED: LazyLock<Box<Unsigned>> = LazyLock::new(|| Cells::new(CodeMap::Unsigned));

/// Binary exponent, with its bias, of the smallest magnitudes that have cells of their own; all
/// bounds are above.
const LOWEST: u32 = 127 - 23;

impl<const N: usize, const SIGNS: usize, const LOW: u32> Cells<N, SIGNS, LOW> {
    const MASK: u32 = (1 << LOW) - 1;
    const FIRST: u32 = LOWEST << (23 - LOW);
    const SIDE: usize = N / SIGNS;

    fn new(map: CodeMap) -> Box<Self> {
        let zero = usize::from(map.zero());
        let positive: Vec<u32> = map.bounds()[zero..].iter().map(|b| b.to_bits()).collect();
        // Below zero a value has a lower code from the bound on, not only beyond it.
        let negative: Vec<u32> =
            map.bounds()[..zero].iter().rev().map(|b| b.next_up().abs().to_bits()).collect();
        let mut entries = [0; N];
        for (side, bounds) in entries.chunks_mut(Self::SIDE).zip([positive, negative]) {
            assert!(
                bounds[0] >> LOW > Self::FIRST
                    && (1f32.to_bits() >> LOW) - Self::FIRST < Self::SIDE as u32
            );
            for (cell, entry) in side.iter_mut().enumerate() {
                let start = (cell as u32 + Self::FIRST) << LOW;
                let below = bounds.partition_point(|&b| b < start);
                let inside =
                    bounds[below..].iter().take_while(|&&b| b <= start + Self::MASK).count();
                assert!(inside <= 1, "cells are finer than codes");
                let rest = if inside == 1 { bounds[below] & Self::MASK } else { Self::MASK };
                *entry = (below as u32) << LOW | rest;
            }
        }
        Box::new(Self { values: *map.values(), entries })
    }

    /// Codes from zero's to that of a magnitude of at most 1, given as bits.
    #[inline(always)]
    fn steps(&self, magnitude: u32, negative: u32) -> u32 {
        // What is below the first cell has no bound below it, and the first cell has none in it.
        let cell = (magnitude >> LOW).max(Self::FIRST) - Self::FIRST + negative * Self::SIDE as u32;
        let entry = self.entries[cell as usize & (N - 1)];
        (entry >> LOW) + u32::from((magnitude & Self::MASK) > (entry & Self::MASK))
    }
}

/// A map in the form of table look-ups.
pub(super) trait Nearest {
    /// Values by code.
    fn values(&self) -> &[f32; CODES];

    /// The code of `x / absmax`, `least` codes or more away from zero's.
    fn code(&self, x: f32, absmax: f32, least: u32) -> u8;
}

impl Nearest for Signed {
    #[inline(always)]
    fn values(&self) -> &[f32; CODES] {
        &self.values
    }

    #[inline(always)]
    fn code(&self, x: f32, absmax: f32, least: u32) -> u8 {
        let bits = (x / absmax).to_bits();
        let negative = bits >> 31;
        let steps = self.steps(bits & 0x7fff_ffff, negative).max(least);
        // What is not finite may lie beyond all cells. Any code does for it then.
        (if negative == 1 { 127u32.wrapping_sub(steps) } else { 127 + steps }) as u8
    }
}

impl Nearest for Unsigned {
    #[inline(always)]
    fn values(&self) -> &[f32; CODES] {
        &self.values
    }

    #[inline(always)]
    fn code(&self, x: f32, absmax: f32, least: u32) -> u8 {
        let bits = (x / absmax).to_bits();
        // Negative values count as 0.
        if bits >> 31 == 1 { 0 } else { self.steps(bits, 0).max(least) as u8 }
    }
}

/// The tables of either map.
#[derive(Clone, Copy)]
pub(super) enum Table {
    Signed(&'static Signed),
    Unsigned(&'static Unsigned),
}

impl Table {
    pub fn of(map: CodeMap) -> Self {
        match map {
            CodeMap::Signed => Self::Signed(&SIGNED),
            CodeMap::Unsigned => Self::Unsigned(&UNSIGNED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// States that were damaged before they were checked.
    #[test]
    fn what_is_not_finite_has_some_code() {
        for x in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN] {
            for absmax in [1.0, 0.0, f32::NAN, f32::INFINITY, -1e-38] {
                let _ = (SIGNED.code(x, absmax, 1), UNSIGNED.code(x, absmax, 1));
            }
        }
    }

    /// Every bound with its neighbours, and a sweep over all magnitudes.
    #[test]
    fn look_up_equals_search() {
        let check = |x: f32| {
            assert_eq!(SIGNED.code(x, 1.0, 0), CodeMap::Signed.nearest(x), "{x:e}");
            assert_eq!(UNSIGNED.code(x, 1.0, 0), CodeMap::Unsigned.nearest(x), "{x:e}");
        };
        for map in [CodeMap::Signed, CodeMap::Unsigned] {
            for bound in map.bounds() {
                for x in [bound.next_down(), *bound, bound.next_up()] {
                    check(x);
                    check(-x);
                }
            }
        }
        for bits in (0..=1f32.to_bits()).step_by(997) {
            check(f32::from_bits(bits));
            check(-f32::from_bits(bits));
        }
        [0.0, -0.0, 1.0, -1.0, f32::MIN_POSITIVE, f32::from_bits(1), -f32::from_bits(1)]
            .into_iter()
            .for_each(check);
    }
}
