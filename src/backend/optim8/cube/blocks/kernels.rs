//! The kernels. A cube takes one block of values after another: its units read the codes of a word
//! each, make the step, find the block's largest magnitude together, and write the words.
//!
//! Only reading and writing depend on which tensor a block is of. So the code of a step is there
//! once, however many tensors there are.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::share::{Shares, pack, place, read_values, read_words, write_values, write_words};
use crate::backend::optim8::cube::codec::{Code, decode, larger, largest, load_table};
use crate::backend::optim8::cube::group::opening;
use crate::backend::optim8::cube::{UpdateOne, UpdateTwo};

/// Steps of a rule with one moment.
#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel takes its buffers one by one")]
pub(super) fn blocks_one<U: UpdateOne>(
    parameters: &mut Sequence<Box<[f32]>>,
    gradients: &Sequence<Box<[f32]>>,
    words: &mut Sequence<Box<[u32]>>,
    absmax: &mut Sequence<Box<[f32]>>,
    tables: &[f32],
    gate: &Sequence<Box<[f32]>>,
    counts: &Sequence<u32>,
    starts: &Sequence<u32>,
    factor: f32,
    numbers: U::Numbers,
    #[comptime] shares: Shares,
    #[comptime] which: Code,
) {
    let units = comptime![shares.units];
    let per_unit = comptime![shares.words];
    let values = comptime![(4 * shares.words) as usize];
    let tensors = comptime![parameters.len()];
    let mut table = Shared::<[f32]>::new_slice(512usize);
    let mut scratch = Shared::<[f32]>::new_slice(comptime![units as usize]);
    load_table(tables, &mut table, 512u32, units);
    let mut p = Array::<f32>::new(values);
    let mut g = Array::<f32>::new(values);
    let mut moments = Array::<f32>::new(values);
    let mut codes = Array::<u32>::new(comptime![per_unit as usize]);
    let open = opening(gate, factor);
    let all = starts[tensors];
    let blocks = select(open == 0.0f32, 0u32, all);
    let mut block = CUBE_POS_X;
    while block < blocks {
        let mut own = 0u32;
        let mut count = 0u32;
        let mut old = 0.0f32;
        #[unroll]
        for k in 0..tensors {
            let first = starts[k];
            let end = starts[comptime![k + 1]];
            if block >= first && block < end {
                own = block - first;
                count = counts[k];
                old = absmax[k][own as usize];
                read_values(&parameters[k], &mut p, own, count, shares);
                read_values(&gradients[k], &mut g, own, count, shares);
                read_words(&words[k], &mut codes, own, count, shares);
            }
        }
        let mut top = 0.0f32;
        #[unroll]
        for j in 0..per_unit {
            let first = place(own, j, shares) * 4;
            #[unroll]
            for q in 0..4u32 {
                let at = comptime![(4 * j + q) as usize];
                let mut moment = 0.0f32;
                if first + q < count {
                    let word = codes[comptime![j as usize]];
                    let m = decode(word, old, &table, q, which);
                    let (next, m) = U::update(p[at], g[at] * open, m, &numbers);
                    p[at] = next;
                    moment = m;
                }
                moments[at] = moment;
                top = larger(top, f32::abs(moment));
            }
        }
        let top = largest(top, &mut scratch, units);
        pack(&moments, &mut codes, top, &table, own, count, shares, which);
        #[unroll]
        for k in 0..tensors {
            let first = starts[k];
            let end = starts[comptime![k + 1]];
            if block >= first && block < end {
                write_values(&mut parameters[k], &p, own, count, shares);
                write_words(&mut words[k], &codes, own, count, shares);
                let scales = &mut absmax[k];
                if UNIT_POS_X == 0 {
                    scales[own as usize] = top;
                }
            }
        }
        block += CUBE_COUNT_X;
    }
}

/// Steps of a rule with two moments.
#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel takes its buffers one by one")]
pub(super) fn blocks_two<U: UpdateTwo>(
    parameters: &mut Sequence<Box<[f32]>>,
    gradients: &Sequence<Box<[f32]>>,
    words1: &mut Sequence<Box<[u32]>>,
    absmax1: &mut Sequence<Box<[f32]>>,
    words2: &mut Sequence<Box<[u32]>>,
    absmax2: &mut Sequence<Box<[f32]>>,
    tables: &[f32],
    gate: &Sequence<Box<[f32]>>,
    counts: &Sequence<u32>,
    starts: &Sequence<u32>,
    factor: f32,
    numbers: U::Numbers,
    #[comptime] shares: Shares,
    #[comptime] which1: Code,
    #[comptime] which2: Code,
) {
    let units = comptime![shares.units];
    let per_unit = comptime![shares.words];
    let values = comptime![(4 * shares.words) as usize];
    let tensors = comptime![parameters.len()];
    let mut table = Shared::<[f32]>::new_slice(1024usize);
    let mut scratch = Shared::<[f32]>::new_slice(comptime![units as usize]);
    load_table(tables, &mut table, 1024u32, units);
    let mut p = Array::<f32>::new(values);
    let mut g = Array::<f32>::new(values);
    let mut firsts = Array::<f32>::new(values);
    let mut seconds = Array::<f32>::new(values);
    let mut codes1 = Array::<u32>::new(comptime![per_unit as usize]);
    let mut codes2 = Array::<u32>::new(comptime![per_unit as usize]);
    let open = opening(gate, factor);
    let all = starts[tensors];
    let blocks = select(open == 0.0f32, 0u32, all);
    let mut block = CUBE_POS_X;
    while block < blocks {
        let mut own = 0u32;
        let mut count = 0u32;
        let mut old1 = 0.0f32;
        let mut old2 = 0.0f32;
        #[unroll]
        for k in 0..tensors {
            let first = starts[k];
            let end = starts[comptime![k + 1]];
            if block >= first && block < end {
                own = block - first;
                count = counts[k];
                old1 = absmax1[k][own as usize];
                old2 = absmax2[k][own as usize];
                read_values(&parameters[k], &mut p, own, count, shares);
                read_values(&gradients[k], &mut g, own, count, shares);
                read_words(&words1[k], &mut codes1, own, count, shares);
                read_words(&words2[k], &mut codes2, own, count, shares);
            }
        }
        let mut top1 = 0.0f32;
        let mut top2 = 0.0f32;
        #[unroll]
        for j in 0..per_unit {
            let first = place(own, j, shares) * 4;
            #[unroll]
            for q in 0..4u32 {
                let at = comptime![(4 * j + q) as usize];
                let mut moment1 = 0.0f32;
                let mut moment2 = 0.0f32;
                if first + q < count {
                    let word1 = codes1[comptime![j as usize]];
                    let word2 = codes2[comptime![j as usize]];
                    let m = decode(word1, old1, &table, q, which1);
                    let v = decode(word2, old2, &table, q, which2);
                    let (next, m, v) = U::update(p[at], g[at] * open, m, v, &numbers);
                    p[at] = next;
                    moment1 = m;
                    moment2 = v;
                }
                firsts[at] = moment1;
                seconds[at] = moment2;
                top1 = larger(top1, f32::abs(moment1));
                top2 = larger(top2, f32::abs(moment2));
            }
        }
        let top1 = largest(top1, &mut scratch, units);
        let top2 = largest(top2, &mut scratch, units);
        pack(&firsts, &mut codes1, top1, &table, own, count, shares, which1);
        pack(&seconds, &mut codes2, top2, &table, own, count, shares, which2);
        #[unroll]
        for k in 0..tensors {
            let first = starts[k];
            let end = starts[comptime![k + 1]];
            if block >= first && block < end {
                write_values(&mut parameters[k], &p, own, count, shares);
                write_words(&mut words1[k], &codes1, own, count, shares);
                write_words(&mut words2[k], &codes2, own, count, shares);
                let scales1 = &mut absmax1[k];
                let scales2 = &mut absmax2[k];
                if UNIT_POS_X == 0 {
                    scales1[own as usize] = top1;
                    scales2[own as usize] = top2;
                }
            }
        }
        block += CUBE_COUNT_X;
    }
}
