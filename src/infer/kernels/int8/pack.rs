//! Weights as the tiles read them: blocks of as many outputs as a tile has; in a block four input
//! channels after the other, tap by tap, the outputs side by side, and of each output a word of the
//! four channels. Codes lie in the same order, and become weights one block at a time.

use std::ops::Range;

use super::super::dense::{Geometry, Weights};
use super::kernel::{Kernel, MOST};
use super::unpack::{unpack, widen};
use super::weights::{Ints, rounded};
use crate::backend::codes::pack;

/// Weights of a block of codes are a multiple of it: whole vectors that begin on a byte.
const GROUP: usize = 64;

/// All weights of a convolution.
pub(super) struct Packed {
    /// Words of a block.
    block: usize,
    /// Outputs of a block.
    outputs: usize,
    /// Whether tiles want two words of i16 in place of a word of bytes.
    wide: bool,
    values: Values,
    /// Sums of each tap's weights, times what must be added to each byte of input; for each block
    /// tap by tap, the outputs side by side. Empty where nothing must.
    sums: Vec<i32>,
}

enum Values {
    Words(Vec<u32>),
    Codes {
        bits: usize,
        codes: Vec<u8>,
        /// What each code stands for: `2^bits` for all outputs, or for each.
        tables: Vec<i8>,
    },
}

impl Packed {
    /// Rounds and packs weights, for input whose `zero` stands for 0. With them comes each output's
    /// step.
    ///
    /// # Panics
    /// If there are too few weights, codes or values, or a sum could overflow.
    pub fn new(
        weights: Weights,
        geometry: &Geometry,
        zero: u8,
        kernel: &Kernel,
    ) -> (Self, Vec<f64>) {
        let Kernel { outputs, wide, bias, .. } = *kernel;
        let taps = geometry.kernel[0] * geometry.kernel[1];
        let each = geometry.input * taps;
        assert!(
            each.next_multiple_of(4) * 255 * 127 <= i32::MAX as usize,
            "sums of {each} overflow"
        );
        let (ints, steps) = rounded(weights, geometry);
        let order = Order { taps, planes: geometry.input.div_ceil(4), outputs };
        let offset = bias - i32::from(zero);
        let (block, values, sums) = match ints {
            Ints::Bytes(bytes) => {
                let block = order.block();
                let bytes = order.ordered(&bytes, geometry.input, block);
                let sums = order.sums(&bytes, block, offset, |_, byte| byte);
                let (words, _) = bytes.as_chunks::<4>();
                let word = |bytes: &[i8; 4]| u32::from_le_bytes(bytes.map(|byte| byte as u8));
                (block / 4, Values::Words(words.iter().map(word).collect()), sums)
            }
            Ints::Codes { bits, codes, mut tables } => {
                let block = order.block().next_multiple_of(GROUP);
                let codes = order.ordered(&codes, geometry.input, block);
                if tables.len() > 1 << bits {
                    tables.resize((codes.len() / block * outputs) << bits, 0);
                }
                let of = |output: usize, code: u8| {
                    let table = if tables.len() > 1 << bits { output << bits } else { 0 };
                    tables[table + usize::from(code)]
                };
                let sums = order.sums(&codes, block, offset, of);
                let codes = pack(&codes, bits);
                (block / 4, Values::Codes { bits, codes, tables }, sums)
            }
        };
        (Self { block, outputs, wide, values, sums }, steps)
    }

    /// Words that [`block`](Self::block) wants to put weights into.
    pub fn scratch(&self) -> usize {
        let unpacked = if matches!(self.values, Values::Codes { .. }) { self.block } else { 0 };
        unpacked + if self.wide { 2 * self.block } else { 0 }
    }

    /// The weights of a block, from memory or put into `scratch`.
    pub fn block<'a>(&'a self, block: usize, scratch: &'a mut [u32]) -> &'a [u32] {
        let (words, scratch) = match &self.values {
            Values::Words(words) => (&words[block * self.block..][..self.block], scratch),
            Values::Codes { bits, codes, tables } => {
                let (words, scratch) = scratch.split_at_mut(self.block);
                let bytes = self.block / 2 * bits;
                let codes = &codes[block * bytes..][..bytes];
                let row = self.outputs << bits;
                let tables =
                    if tables.len() > 1 << bits { &tables[block * row..][..row] } else { tables };
                unpack(codes, *bits, tables, words);
                (&*words, scratch)
            }
        };
        if !self.wide {
            return words;
        }
        let wide = &mut scratch[..2 * self.block];
        widen(words, wide);
        wide
    }

    /// What the sums of a block's outputs begin with, where these taps are used.
    pub fn start(&self, block: usize, taps: Range<usize>, all_taps: usize) -> [i32; MOST] {
        let mut start = [0; MOST];
        if !self.sums.is_empty() {
            let sums = &self.sums[block * all_taps * self.outputs..];
            for sums in
                sums[taps.start * self.outputs..taps.end * self.outputs].chunks(self.outputs)
            {
                for (start, sum) in start.iter_mut().zip(sums) {
                    *start += sum;
                }
            }
        }
        start
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        let values = match &self.values {
            Values::Words(words) => size_of_val(words.as_slice()),
            Values::Codes { codes, tables, .. } => codes.len() + tables.len(),
        };
        values + size_of_val(self.sums.as_slice())
    }
}

/// Where weights lie.
struct Order {
    taps: usize,
    /// Words of input channels.
    planes: usize,
    /// Outputs of a block.
    outputs: usize,
}

impl Order {
    /// Weights of a block.
    fn block(&self) -> usize {
        self.planes * self.taps * self.outputs * 4
    }

    /// Rows `[input, taps]`, one for every output, in the order of blocks of `block` weights;
    /// defaults where there is no weight. An input that is not there has the value 0.
    fn ordered<T: Copy + Default>(&self, rows: &[T], input: usize, block: usize) -> Vec<T> {
        let each = input * self.taps;
        let blocks = rows.len().div_ceil(each * self.outputs);
        let mut all = vec![T::default(); blocks * block];
        for (output, row) in rows.chunks(each).enumerate() {
            let block = &mut all[output / self.outputs * block..];
            for (channel, taps) in row.chunks(self.taps).enumerate() {
                for (tap, &weight) in taps.iter().enumerate() {
                    let place = (channel / 4 * self.taps + tap) * self.outputs;
                    block[(place + output % self.outputs) * 4 + channel % 4] = weight;
                }
            }
        }
        all
    }

    /// `offset` times the sums of weights by block, tap and output, nothing where `offset` is 0.
    /// `of` gives an output's weight. Places without an input count: there lies the byte of 0.
    fn sums<T: Copy>(
        &self,
        all: &[T],
        block: usize,
        offset: i32,
        of: impl Fn(usize, T) -> i8,
    ) -> Vec<i32> {
        if offset == 0 {
            return Vec::new();
        }
        let mut sums = Vec::with_capacity(all.len() / block * self.taps * self.outputs);
        for (i, block) in all.chunks(block).enumerate() {
            for place in 0..self.taps * self.outputs {
                let output = i * self.outputs + place % self.outputs;
                let words = (0..self.planes).map(|plane| plane * self.taps * self.outputs + place);
                let weights = words.flat_map(|word| &block[word * 4..][..4]);
                sums.push(
                    offset * weights.map(|&weight| i32::from(of(output, weight))).sum::<i32>(),
                );
            }
        }
        sums
    }
}
