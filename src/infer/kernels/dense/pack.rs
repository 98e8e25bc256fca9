//! Weights as the tiles read them: blocks of as many outputs as a tile has; in a block input
//! channel by input channel, tap by tap, the outputs side by side. Codes lie in the same order, and
//! become weights one block at a time.

use super::super::Level;
use super::unpack::{Table, unpack};
use super::{Geometry, Weights};
use crate::backend::codes::{codes as stored, pack};

/// Weights of a block of codes are a multiple of it, so that a block begins on a byte and consists
/// of whole vectors.
const GROUP: usize = 16;

/// Bytes that may be read behind the last code.
const SPARE: usize = 8;

/// All weights of a convolution.
pub(super) struct Packed {
    level: Level,
    /// Weights of a block.
    block: usize,
    values: Values,
}

enum Values {
    Floats(Vec<f32>),
    Codes {
        bits: usize,
        codes: Vec<u8>,
        /// The value of each code; with `lanes`, for every block the values of the first code, in
        /// the order of a group's weights, and so on.
        tables: Vec<f32>,
        lanes: bool,
    },
}

impl Packed {
    /// Packs weights for tiles of so many outputs, which divide the group's size.
    ///
    /// # Panics
    /// If there are too few weights, codes or values.
    pub fn new(weights: Weights, geometry: &Geometry, outputs: usize, level: Level) -> Self {
        let each = geometry.input * geometry.kernel[0] * geometry.kernel[1];
        let count = geometry.output * each;
        let blocks = geometry.output.div_ceil(outputs);
        match weights {
            Weights::Floats(floats) => {
                assert_eq!(floats.len(), count, "weights of another convolution");
                let block = each * outputs;
                let values = Values::Floats(ordered(&floats, each, outputs, block));
                Self { level, block, values }
            }
            Weights::Codes { bits, codes, values, per_output } => {
                let bits = bits as usize;
                let block = (each * outputs).next_multiple_of(GROUP);
                let codes: Vec<u8> = stored(&codes, bits, count).collect();
                let mut codes = pack(&ordered(&codes, each, outputs, block), bits);
                // Room for no more: a vector that grows doubles.
                codes.reserve_exact(SPARE);
                codes.extend([0; SPARE]);
                let tables = if per_output {
                    let entries = values.len() / geometry.output;
                    assert_eq!(values.len(), entries * geometry.output, "values of each output");
                    let value = |block: usize, code: usize, lane: usize| {
                        let output = block * outputs + lane % outputs;
                        let is_there = output < geometry.output && code < entries;
                        if is_there { values[output * entries + code] } else { 0.0 }
                    };
                    let mut tables = Vec::with_capacity(blocks * (GROUP << bits));
                    for block in 0..blocks {
                        for code in 0..1 << bits {
                            tables.extend((0..GROUP).map(|lane| value(block, code, lane)));
                        }
                    }
                    tables
                } else {
                    let mut values = values;
                    values.resize(1 << bits, 0.0);
                    values
                };
                let values = Values::Codes { bits, codes, tables, lanes: per_output };
                Self { level, block, values }
            }
        }
    }

    /// Values that [`block`](Self::block) wants to put weights into.
    pub fn scratch(&self) -> usize {
        match self.values {
            Values::Floats(_) => 0,
            Values::Codes { .. } => self.block,
        }
    }

    /// The weights of a block, from memory or put into `scratch`.
    pub fn block<'a>(&'a self, block: usize, scratch: &'a mut [f32]) -> &'a [f32] {
        match &self.values {
            Values::Floats(floats) => &floats[block * self.block..][..self.block],
            Values::Codes { bits, codes, tables, lanes } => {
                let (scratch, _) = scratch.split_at_mut(self.block);
                let table = match lanes {
                    false => Table::One(tables),
                    true => Table::Lanes(&tables[block * (GROUP << bits)..][..GROUP << bits]),
                };
                unpack(self.level, &codes[block * self.block / 8 * bits..], *bits, table, scratch);
                scratch
            }
        }
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        match &self.values {
            Values::Floats(floats) => size_of_val(floats.as_slice()),
            Values::Codes { codes, tables, .. } => codes.len() + size_of_val(tables.as_slice()),
        }
    }
}

/// Rows of `each` values, one for every output, in the order of blocks of `block` values; zeros
/// where there is no output.
fn ordered<T: Copy + Default>(rows: &[T], each: usize, outputs: usize, block: usize) -> Vec<T> {
    let mut all = vec![T::default(); rows.len().div_ceil(each * outputs) * block];
    for (block, rows) in all.chunks_mut(block).zip(rows.chunks(each * outputs)) {
        for (output, row) in rows.chunks(each).enumerate() {
            for (place, &value) in block.chunks_mut(outputs).zip(row) {
                place[output] = value;
            }
        }
    }
    all
}
