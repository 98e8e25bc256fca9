//! Runs of blocks. Written so that the compiler turns every loop into vector instructions;
//! [`pulp`] compiles them for each generation of processors and picks at run time.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::cells::{Nearest, Table};
use crate::backend::optim8::{Rounding, Update};

/// A moment's part of a run: codes, and the largest magnitude of each block.
pub(in crate::backend::optim8) struct Part<'a> {
    pub(super) codes: &'a mut [u8],
    pub(super) absmax: &'a mut [f32],
    pub(super) table: Table,
    pub(super) rounding: Rounding,
}

impl Part<'_> {
    /// The values of a block, whose codes are at `at`.
    #[inline(always)]
    fn decode(&self, block: usize, at: Range<usize>, values: &mut [f32]) {
        decode(&self.codes[at], values, self.absmax[block], self.table);
    }

    /// Replaces a block by these values, of which `absmax` is the largest magnitude.
    #[inline(always)]
    fn encode(&mut self, block: usize, at: Range<usize>, values: &[f32], absmax: f32) {
        self.absmax[block] = absmax;
        let codes = &mut self.codes[at];
        match self.table {
            Table::Signed(map) => encode(values, codes, absmax, map, self.rounding),
            Table::Unsigned(map) => encode(values, codes, absmax, map, self.rounding),
        }
    }
}

/// The largest magnitude. Magnitudes order as integers as they do as numbers; so it is found
/// without regard to what is not a number.
#[inline(always)]
fn largest(values: &[f32]) -> f32 {
    let mut top = 0u32;
    for x in values {
        top = top.max(x.to_bits() & 0x7fff_ffff);
    }
    f32::from_bits(top)
}

#[inline(always)]
fn encode<N: Nearest>(values: &[f32], codes: &mut [u8], absmax: f32, map: &N, rounding: Rounding) {
    // A block of zeros has no scale; dividing by 1 gives zeros.
    let divisor = if absmax > 0.0 { absmax } else { 1.0 };
    let each = codes.iter_mut().zip(values);
    match rounding {
        Rounding::Nearest => each.for_each(|(c, &x)| *c = map.code(x, divisor, 0)),
        Rounding::SignPreserving => {
            each.for_each(|(c, &x)| *c = map.code(x, divisor, u32::from(x < 0.0)))
        }
        Rounding::AboveZero => {
            each.for_each(|(c, &x)| *c = map.code(x, divisor, u32::from(x > 0.0)))
        }
    }
}

/// The values of a block of codes.
#[inline(always)]
pub(super) fn decode(codes: &[u8], values: &mut [f32], absmax: f32, table: Table) {
    #[inline(always)]
    fn with<N: Nearest>(codes: &[u8], values: &mut [f32], absmax: f32, map: &N) {
        for (x, &c) in values.iter_mut().zip(codes) {
            *x = map.values()[usize::from(c)] * absmax;
        }
    }
    match table {
        Table::Signed(map) => with(codes, values, absmax, map),
        Table::Unsigned(map) => with(codes, values, absmax, map),
    }
}

/// A run of blocks to be quantized.
pub(super) struct Encode<'a> {
    pub values: &'a [f32],
    pub part: Part<'a>,
    pub block: usize,
}

impl WithSimd for Encode<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { values, mut part, block } = self;
        for (i, x) in values.chunks(block).enumerate() {
            part.encode(i, i * block..i * block + x.len(), x, largest(x));
        }
    }
}

/// Values of a cache line.
const LINE: usize = 16;

/// The first `count` values that begin with a cache line, for which there must be room. A vector of
/// 64 bytes that lies across two lines takes two accesses, so that a step of Adam takes some per
/// cent longer wherever the allocator puts the values like that.
fn aligned(room: &mut [f32], count: usize) -> &mut [f32] {
    let start = room.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE - 1);
    &mut room[start..][..count]
}

/// A rule's step over a run of blocks. Any rule: each block's moments are decoded, updated and
/// encoded.
pub(super) struct Steps<'a, R, const M: usize> {
    pub parameter: &'a mut [f32],
    pub gradient: &'a [f32],
    pub parts: [Part<'a>; M],
    pub block: usize,
    pub rule: R,
}

impl<R, const M: usize> WithSimd for Steps<'_, R, M>
where
    R: Update<M>,
    for<'b> [&'b mut [f32]; M]: Beside<M>,
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { parameter, gradient, mut parts, block, rule } = self;
        let mut rooms: [Vec<f32>; M] = std::array::from_fn(|_| vec![0.0; block + LINE - 1]);
        let mut moments = rooms.each_mut().map(|room| aligned(room, block));
        let blocks = parameter.chunks_mut(block).zip(gradient.chunks(block));
        for (i, (p, g)) in blocks.enumerate() {
            let (start, n) = (i * block, p.len());
            let values = moments.each_mut().map(|values| &mut values[..n]);
            values.step(p, g, &rule, &mut parts, i, start);
        }
    }
}

/// The values of a block's moments beside its parameters.
///
/// What is done with them is written out for each number of moments: zipped slices become vector
/// instructions, where an index into each would be checked against its length, and a loop that
/// decodes and encodes one moment after the other makes a step of Adam 3 % slower.
pub(in crate::backend::optim8) trait Beside<const M: usize> {
    /// Makes the rule's step on every value of block `i`, whose codes begin at `start`.
    fn step<R: Update<M>>(
        self,
        parameter: &mut [f32],
        gradient: &[f32],
        rule: &R,
        parts: &mut [Part; M],
        i: usize,
        start: usize,
    );
}

impl Beside<1> for [&mut [f32]; 1] {
    #[inline(always)]
    fn step<R: Update<1>>(
        self,
        parameter: &mut [f32],
        gradient: &[f32],
        rule: &R,
        parts: &mut [Part; 1],
        i: usize,
        start: usize,
    ) {
        let ([first], [part]) = (self, parts);
        let codes = start..start + first.len();
        part.decode(i, codes.clone(), first);
        for ((p, g), m) in parameter.iter_mut().zip(gradient).zip(&mut *first) {
            let (change, [moment]) = rule.change(&*p, *g, [*m]);
            *m = moment;
            *p = rule.shrink() * *p - change;
        }
        part.encode(i, codes, first, largest(first));
    }
}

impl Beside<2> for [&mut [f32]; 2] {
    #[inline(always)]
    fn step<R: Update<2>>(
        self,
        parameter: &mut [f32],
        gradient: &[f32],
        rule: &R,
        parts: &mut [Part; 2],
        i: usize,
        start: usize,
    ) {
        let ([first, second], [part1, part2]) = (self, parts);
        let codes = start..start + first.len();
        part1.decode(i, codes.clone(), first);
        part2.decode(i, codes.clone(), second);
        let values = parameter.iter_mut().zip(gradient).zip(&mut *first).zip(&mut *second);
        for (((p, g), m), v) in values {
            let (change, moments) = rule.change(&*p, *g, [*m, *v]);
            [*m, *v] = moments;
            *p = rule.shrink() * *p - change;
        }
        // The second is looked for while the first, which a division waits for, is on its way.
        let (absmax1, absmax2) = (largest(first), largest(second));
        part1.encode(i, codes.clone(), first, absmax1);
        part2.encode(i, codes, second, absmax2);
    }
}
