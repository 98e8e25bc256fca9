//! The codec inside kernels.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use crate::backend::optim8::{CODES, Codec, Rounding};

/// How a kernel finds a moment's codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Code {
    /// Where the map's values begin in the table; its bounds follow.
    pub offset: u32,
    /// The code of 0.
    pub zero: u32,
    pub rounding: Rounding,
}

impl Code {
    /// Of the map number `place` in the table.
    pub fn new(codec: Codec, place: usize) -> Self {
        let offset = (2 * CODES * place) as u32;
        Self { offset, zero: u32::from(codec.map.zero()), rounding: codec.rounding }
    }
}

/// The code nearest to `x` in the map whose values and bounds start at `offset` of the table.
#[cube]
fn nearest(x: f32, table: &Shared<[f32]>, #[comptime] offset: u32) -> u32 {
    let mut code = 0u32;
    #[unroll]
    for bit in 0..8u32 {
        let step = comptime![128u32 >> bit];
        let bound = table[(offset + 256 + code + step - 1) as usize];
        code += select(x > bound, step, 0u32);
    }
    code
}

/// The code of `x` in a block of largest magnitude `absmax`.
#[cube]
pub(super) fn encode(x: f32, absmax: f32, table: &Shared<[f32]>, #[comptime] which: Code) -> u32 {
    let zero = comptime![which.zero];
    let divisor = select(absmax > 0.0f32, absmax, 1.0f32);
    let mut code = nearest(x / divisor, table, comptime![which.offset]);
    if comptime![which.rounding == Rounding::SignPreserving && zero > 0] {
        code = select(code == zero && x < 0.0f32, zero - 1, code);
    }
    if comptime![which.rounding == Rounding::AboveZero] {
        code = select(code == zero && x > 0.0f32, zero + 1, code);
    }
    code
}

/// The value of the code at place `at` of a word, in a block of largest magnitude `absmax`.
#[cube]
pub(super) fn decode(
    word: u32,
    absmax: f32,
    table: &Shared<[f32]>,
    #[comptime] at: u32,
    #[comptime] which: Code,
) -> f32 {
    let code = (word >> comptime![8 * at]) & 255u32;
    table[(code + comptime![which.offset]) as usize] * absmax
}

/// The larger of two numbers that are not NaN.
#[cube]
pub(super) fn larger(a: f32, b: f32) -> f32 {
    select(b > a, b, a)
}

/// The nearest finite value.
#[cube]
pub(in crate::backend::optim8) fn bounded(x: f32) -> f32 {
    let top = f32::new(3.4028235e38f32);
    let low = f32::new(-3.4028235e38f32);
    let x = select(x > top, top, x);
    select(x < low, low, x)
}

/// The largest of all units' values, for every unit. `scratch` has a place for each unit.
#[cube]
pub(super) fn largest(own: f32, scratch: &mut Shared<[f32]>, #[comptime] units: u32) -> f32 {
    let unit = UNIT_POS_X;
    scratch[unit as usize] = own;
    sync_cube();
    let mut half = comptime![units / 2].runtime();
    while half > 0 {
        if unit < half {
            scratch[unit as usize] =
                larger(scratch[unit as usize], scratch[(unit + half) as usize]);
        }
        sync_cube();
        half /= 2;
    }
    let top = scratch[0];
    sync_cube();
    top
}

/// Copies a table of maps to where all units read it fast.
#[cube]
pub(super) fn load_table(
    from: &[f32],
    table: &mut Shared<[f32]>,
    #[comptime] size: u32,
    #[comptime] units: u32,
) {
    let mut i = UNIT_POS_X;
    while i < size {
        table[i as usize] = from[i as usize];
        i += units;
    }
    sync_cube();
}
