//! What each unit of a cube has of a block: some words, and the values of their codes.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use crate::backend::optim8::cube::codec::{Code, encode};

/// How the units of a cube share a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Shares {
    /// Units of a cube.
    pub units: u32,
    /// Words of a block that each unit has.
    pub words: u32,
}

/// The place of a unit's word number `j` of a block among the words of its tensor.
#[cube]
pub(super) fn place(block: u32, #[comptime] j: u32, #[comptime] shares: Shares) -> u32 {
    block * comptime![shares.units * shares.words] + comptime![j * shares.units] + UNIT_POS_X
}

/// Reads a unit's values of a block. The tensor has `count` values.
#[cube]
pub(super) fn read_values(
    from: &[f32],
    to: &mut Array<f32>,
    block: u32,
    count: u32,
    #[comptime] shares: Shares,
) {
    let words = comptime![shares.words];
    #[unroll]
    for j in 0..words {
        let first = place(block, j, shares) * 4;
        #[unroll]
        for q in 0..4u32 {
            let i = first + q;
            if i < count {
                to[comptime![(4 * j + q) as usize]] = from[i as usize];
            }
        }
    }
}

/// Writes them back.
#[cube]
pub(super) fn write_values(
    to: &mut [f32],
    from: &Array<f32>,
    block: u32,
    count: u32,
    #[comptime] shares: Shares,
) {
    let words = comptime![shares.words];
    #[unroll]
    for j in 0..words {
        let first = place(block, j, shares) * 4;
        #[unroll]
        for q in 0..4u32 {
            let i = first + q;
            if i < count {
                to[i as usize] = from[comptime![(4 * j + q) as usize]];
            }
        }
    }
}

/// Reads a unit's words of a block.
#[cube]
pub(super) fn read_words(
    from: &[u32],
    to: &mut Array<u32>,
    block: u32,
    count: u32,
    #[comptime] shares: Shares,
) {
    let words = comptime![shares.words];
    #[unroll]
    for j in 0..words {
        let word = place(block, j, shares);
        if word * 4 < count {
            to[comptime![j as usize]] = from[word as usize];
        }
    }
}

/// Writes them back.
#[cube]
pub(super) fn write_words(
    to: &mut [u32],
    from: &Array<u32>,
    block: u32,
    count: u32,
    #[comptime] shares: Shares,
) {
    let words = comptime![shares.words];
    #[unroll]
    for j in 0..words {
        let word = place(block, j, shares);
        if word * 4 < count {
            to[word as usize] = from[comptime![j as usize]];
        }
    }
}

/// The words of a unit's new moments in a block whose largest magnitude is `top`.
#[cube]
#[allow(clippy::too_many_arguments, reason = "what a unit knows of its block")]
pub(super) fn pack(
    moments: &Array<f32>,
    codes: &mut Array<u32>,
    top: f32,
    table: &Shared<[f32]>,
    block: u32,
    count: u32,
    #[comptime] shares: Shares,
    #[comptime] which: Code,
) {
    let words = comptime![shares.words];
    #[unroll]
    for j in 0..words {
        let first = place(block, j, shares) * 4;
        let mut packed = 0u32;
        #[unroll]
        for q in 0..4u32 {
            if first + q < count {
                let moment = moments[comptime![(4 * j + q) as usize]];
                packed |= encode(moment, top, table, which) << comptime![8 * q];
            }
        }
        codes[comptime![j as usize]] = packed;
    }
}
