//! The kernels. A cube takes one block of values after another: its units read the codes of a word
//! each, make the step, find the block's largest magnitude together, and write the words.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::{UpdateOne, UpdateTwo};

/// Sizes that a kernel needs.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct Plan {
    /// Values of the tensor.
    count: u32,
    /// Values of a block.
    #[cube(comptime)]
    block: u32,
    /// Units of a cube.
    #[cube(comptime)]
    units: u32,
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

/// The code of `x` in a block of largest magnitude `absmax`; `rule` is 0, 1 or 2 for nearest,
/// sign-preserving, above zero.
#[cube]
fn encode(
    x: f32,
    absmax: f32,
    table: &Shared<[f32]>,
    #[comptime] offset: u32,
    #[comptime] zero: u32,
    #[comptime] rule: u32,
) -> u32 {
    let divisor = select(absmax > 0.0f32, absmax, 1.0f32);
    let mut code = nearest(x / divisor, table, offset);
    if comptime![rule == 1 && zero > 0] {
        code = select(code == zero && x < 0.0f32, zero - 1, code);
    }
    if comptime![rule == 2] {
        code = select(code == zero && x > 0.0f32, zero + 1, code);
    }
    code
}

/// The larger of two numbers that are not NaN.
#[cube]
fn larger(a: f32, b: f32) -> f32 {
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
fn largest(own: f32, scratch: &mut Shared<[f32]>, #[comptime] units: u32) -> f32 {
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

#[cube]
fn load_table(
    from: &Tensor<f32>,
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

#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel takes its buffers one by one")]
pub(super) fn one_kernel<U: UpdateOne>(
    parameter: &mut Tensor<f32>,
    gradient: &Tensor<f32>,
    words: &mut Tensor<u32>,
    absmax: &mut Tensor<f32>,
    tables: &Tensor<f32>,
    plan: Plan,
    numbers: U::Numbers,
    #[comptime] zero: u32,
    #[comptime] rule: u32,
) {
    let units = comptime![plan.units];
    let per_unit = comptime![plan.block / 4 / plan.units];
    let mut table = Shared::<[f32]>::new_slice(512usize);
    let mut scratch = Shared::<[f32]>::new_slice(comptime![units as usize]);
    load_table(tables, &mut table, 512u32, units);
    let count = plan.count;
    let blocks = (count + comptime![plan.block - 1]) / comptime![plan.block];
    let mut moments = Array::<f32>::new(comptime![4 * per_unit as usize]);
    let mut block = CUBE_POS_X;
    while block < blocks {
        let old = absmax[block as usize];
        let mut top = 0.0f32;
        #[unroll]
        for k in 0..per_unit {
            let word = block * comptime![plan.block / 4] + k * units + UNIT_POS_X;
            let mut codes = 0u32;
            if word * 4 < count {
                codes = words[word as usize];
            }
            #[unroll]
            for j in 0..4u32 {
                let i = word * 4 + j;
                let mut moment = 0.0f32;
                if i < count {
                    let code = (codes >> (j * 8)) & 255u32;
                    let p = parameter[i as usize];
                    let g = gradient[i as usize];
                    let m = table[code as usize] * old;
                    let (p, m) = U::update(p, g, m, &numbers);
                    parameter[i as usize] = p;
                    moment = m;
                }
                moments[comptime![(4 * k + j) as usize]] = moment;
                top = larger(top, f32::abs(moment));
            }
        }
        let top = largest(top, &mut scratch, units);
        #[unroll]
        for k in 0..per_unit {
            let word = block * comptime![plan.block / 4] + k * units + UNIT_POS_X;
            let mut packed = 0u32;
            #[unroll]
            for j in 0..4u32 {
                if word * 4 + j < count {
                    let moment = moments[comptime![(4 * k + j) as usize]];
                    packed |= encode(moment, top, &table, 0u32, zero, rule) << (j * 8);
                }
            }
            if word * 4 < count {
                words[word as usize] = packed;
            }
        }
        if UNIT_POS_X == 0 {
            absmax[block as usize] = top;
        }
        block += CUBE_COUNT_X;
    }
}

#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel takes its buffers one by one")]
pub(super) fn two_kernel<U: UpdateTwo>(
    parameter: &mut Tensor<f32>,
    gradient: &Tensor<f32>,
    words1: &mut Tensor<u32>,
    absmax1: &mut Tensor<f32>,
    words2: &mut Tensor<u32>,
    absmax2: &mut Tensor<f32>,
    tables: &Tensor<f32>,
    plan: Plan,
    numbers: U::Numbers,
    #[comptime] zero1: u32,
    #[comptime] rule1: u32,
    #[comptime] zero2: u32,
    #[comptime] rule2: u32,
) {
    let units = comptime![plan.units];
    let per_unit = comptime![plan.block / 4 / plan.units];
    let mut table = Shared::<[f32]>::new_slice(1024usize);
    let mut scratch = Shared::<[f32]>::new_slice(comptime![units as usize]);
    load_table(tables, &mut table, 1024u32, units);
    let count = plan.count;
    let blocks = (count + comptime![plan.block - 1]) / comptime![plan.block];
    let mut firsts = Array::<f32>::new(comptime![4 * per_unit as usize]);
    let mut seconds = Array::<f32>::new(comptime![4 * per_unit as usize]);
    let mut block = CUBE_POS_X;
    while block < blocks {
        let old1 = absmax1[block as usize];
        let old2 = absmax2[block as usize];
        let mut top1 = 0.0f32;
        let mut top2 = 0.0f32;
        #[unroll]
        for k in 0..per_unit {
            let word = block * comptime![plan.block / 4] + k * units + UNIT_POS_X;
            let mut codes1 = 0u32;
            let mut codes2 = 0u32;
            if word * 4 < count {
                codes1 = words1[word as usize];
                codes2 = words2[word as usize];
            }
            #[unroll]
            for j in 0..4u32 {
                let i = word * 4 + j;
                let mut first = 0.0f32;
                let mut second = 0.0f32;
                if i < count {
                    let code1 = (codes1 >> (j * 8)) & 255u32;
                    let code2 = (codes2 >> (j * 8)) & 255u32;
                    let p = parameter[i as usize];
                    let g = gradient[i as usize];
                    let m = table[code1 as usize] * old1;
                    let v = table[(512 + code2) as usize] * old2;
                    let (p, m, v) = U::update(p, g, m, v, &numbers);
                    parameter[i as usize] = p;
                    first = m;
                    second = v;
                }
                firsts[comptime![(4 * k + j) as usize]] = first;
                seconds[comptime![(4 * k + j) as usize]] = second;
                top1 = larger(top1, f32::abs(first));
                top2 = larger(top2, f32::abs(second));
            }
        }
        let top1 = largest(top1, &mut scratch, units);
        let top2 = largest(top2, &mut scratch, units);
        #[unroll]
        for k in 0..per_unit {
            let word = block * comptime![plan.block / 4] + k * units + UNIT_POS_X;
            let mut packed1 = 0u32;
            let mut packed2 = 0u32;
            #[unroll]
            for j in 0..4u32 {
                if word * 4 + j < count {
                    let first = firsts[comptime![(4 * k + j) as usize]];
                    let second = seconds[comptime![(4 * k + j) as usize]];
                    packed1 |= encode(first, top1, &table, 0u32, zero1, rule1) << (j * 8);
                    packed2 |= encode(second, top2, &table, 512u32, zero2, rule2) << (j * 8);
                }
            }
            if word * 4 < count {
                words1[word as usize] = packed1;
                words2[word as usize] = packed2;
            }
        }
        if UNIT_POS_X == 0 {
            absmax1[block as usize] = top1;
            absmax2[block as usize] = top2;
        }
        block += CUBE_COUNT_X;
    }
}
