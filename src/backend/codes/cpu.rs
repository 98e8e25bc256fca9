//! Lookups in tables of f32 values in memory, on all threads.

use burn::backend::Flex;
use burn::backend::tensor::{FloatTensor, IntTensor};
use rayon::prelude::*;

use super::codes;
use crate::backend::flex::{contiguous, slice, vector};

/// Values of a task: a multiple of 8, so codes of every width begin on a byte.
const TASK: usize = 1 << 14;

pub(super) fn nearest(
    x: FloatTensor<Flex>,
    bounds: FloatTensor<Flex>,
    table: FloatTensor<Flex>,
) -> FloatTensor<Flex> {
    let groups = table.layout().shape()[0];
    let (x, bounds, table) = (contiguous(x), contiguous(bounds), contiguous(table));
    let (x, bounds, table) = (slice(&x), slice(&bounds), slice(&table));
    let entries = table.len() / groups;
    let each = x.len() / groups;
    let mut y = vec![0.0f32; x.len()];
    let rows = bounds.chunks(entries - 1).zip(table.chunks(entries));
    for ((y, x), (bounds, table)) in y.chunks_mut(each).zip(x.chunks(each)).zip(rows) {
        y.par_chunks_mut(TASK).zip(x.par_chunks(TASK)).for_each(|(y, x)| {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = table[above(bounds, x)];
            }
        });
    }
    vector(y)
}

/// How many of `2^bits - 1` ascending bounds a value is above, by bisection without branches.
#[inline]
fn above(bounds: &[f32], x: f32) -> usize {
    let (mut at, mut step) = (0, bounds.len().div_ceil(2));
    while step > 0 {
        at += step * usize::from(x > bounds[at + step - 1]);
        step /= 2;
    }
    at
}

pub(super) fn unpack(
    words: IntTensor<Flex>,
    table: FloatTensor<Flex>,
    bits: usize,
    count: usize,
) -> FloatTensor<Flex> {
    let groups = table.layout().shape()[0];
    let words = if words.is_contiguous() { words } else { words.to_contiguous() };
    let table = contiguous(table);
    let bytes: &[u8] = bytemuck::cast_slice(words.as_slice::<i32>().expect("words of 32 bits"));
    let table = slice(&table);
    let entries = table.len() / groups;
    let mut y = vec![0.0f32; count];
    if groups > 1 {
        let each = count / groups;
        for (i, (y, code)) in y.iter_mut().zip(codes(bytes, bits, count)).enumerate() {
            *y = table[i / each * entries + usize::from(code)];
        }
        return vector(y);
    }
    let parts = y.par_chunks_mut(TASK).zip(bytes.par_chunks(TASK / 8 * bits));
    match bits {
        1 => spread::<8>(parts, table),
        2 => spread::<4>(parts, table),
        4 => spread::<2>(parts, table),
        8 => spread::<1>(parts, table),
        _ => parts.for_each(|(y, bytes)| {
            let count = y.len();
            for (y, code) in y.iter_mut().zip(codes(bytes, bits, count)) {
                *y = table[usize::from(code)];
            }
        }),
    }
    vector(y)
}

/// Codes of 8 / N bits: one lookup gives the N values of a byte.
fn spread<'a, const N: usize>(
    parts: impl IndexedParallelIterator<Item = (&'a mut [f32], &'a [u8])>,
    table: &[f32],
) {
    let bits = 8 / N;
    let value = |byte: usize, i: usize| {
        table.get(byte >> (i * bits) & ((1 << bits) - 1)).copied().unwrap_or(0.0)
    };
    let values: Vec<[f32; N]> =
        (0..256).map(|byte| std::array::from_fn(|i| value(byte, i))).collect();
    parts.for_each(|(y, bytes)| {
        let whole = y.len() / N;
        let (front, back) = y.split_at_mut(whole * N);
        for (y, &byte) in front.chunks_exact_mut(N).zip(bytes) {
            y.copy_from_slice(&values[usize::from(byte)]);
        }
        if let Some(&byte) = bytes.get(whole) {
            back.copy_from_slice(&values[usize::from(byte)][..back.len()]);
        }
    });
}
