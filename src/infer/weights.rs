//! The tensors of a model, as its file has them: f32 values, or packed codes and their values.

#[cfg(feature = "burn")]
mod of_network;

use std::collections::HashMap;

use super::kernels::Weights;
use crate::backend::codes::{codes, pack};
use crate::error::{Error, Result};
use crate::model_file::PlainTensor;
use crate::quant::Codebook;
#[cfg(feature = "burn")]
pub(super) use of_network::is_plain;

/// The tensors by name. Each goes to the one layer that wants it.
pub(super) struct Tensors(pub(super) HashMap<String, Tensor>);

/// One tensor, row-major.
pub(super) enum Tensor {
    /// Values.
    Floats(Vec<f32>),
    /// Packed codes.
    Codes(Codes),
}

/// Codes of values in a table.
pub(super) struct Codes {
    /// Bits of a code.
    pub(super) bits: usize,
    /// The codes, packed.
    pub(super) packed: Vec<u8>,
    /// How many there are.
    pub(super) count: usize,
    /// `[groups, 2^bits]`: the values that a group's codes stand for.
    pub(super) table: Vec<f32>,
    /// One, or one for each output.
    pub(super) groups: usize,
}

impl Tensors {
    /// The tensors of a model's file.
    pub fn of_plain(tensors: HashMap<String, PlainTensor>) -> Self {
        let tensor = |tensor| match tensor {
            PlainTensor::Floats(values) => Tensor::Floats(values),
            PlainTensor::Codes(packed, count, book) => {
                Tensor::Codes(Codes::new(packed, count, &book))
            }
        };
        Self(tensors.into_iter().map(|(name, data)| (name, tensor(data))).collect())
    }

    /// Takes a tensor away.
    ///
    /// # Errors
    /// No such tensor, or not any more.
    pub fn take(&mut self, name: &str) -> Result<Tensor> {
        self.0.remove(name).ok_or_else(|| missing(name))
    }

    /// Takes a tensor away, unless it is not there.
    pub fn take_if_there(&mut self, name: &str) -> Option<Tensor> {
        self.0.remove(name)
    }
}

fn missing(name: &str) -> Error {
    Error::Invalid(format!("the model has no tensor `{name}`"))
}

impl Tensor {
    /// Its values, unpacked.
    pub fn floats(self) -> Vec<f32> {
        match self {
            Self::Floats(values) => values,
            Self::Codes(tensor) => {
                let (each, row) = (tensor.count / tensor.groups, 1 << tensor.bits);
                let all = tensor.unpacked().enumerate();
                all.map(|(i, code)| tensor.table[i / each * row + usize::from(code)]).collect()
            }
        }
    }

    /// The weights of so many groups of outputs, which are equal parts. Codes stay packed.
    pub fn weights(self, groups: usize) -> Vec<Weights> {
        match self {
            Self::Floats(values) if groups == 1 => vec![Weights::Floats(values)],
            Self::Floats(values) => {
                let each = values.len() / groups;
                values.chunks_exact(each).map(|part| Weights::Floats(part.to_vec())).collect()
            }
            Self::Codes(tensor) => tensor.weights(groups),
        }
    }
}

impl Codes {
    /// Packed codes of so many entries of a codebook.
    fn new(packed: Vec<u8>, count: usize, book: &Codebook) -> Self {
        let (bits, table, groups) = (book.scheme().bits, book.table(), book.groups());
        Self { bits, packed, count, table, groups }
    }

    /// A byte for each code.
    pub fn unpacked(&self) -> impl Iterator<Item = u8> {
        codes(&self.packed, self.bits, self.count)
    }

    fn weights(self, groups: usize) -> Vec<Weights> {
        let (bits, per_output) = (self.bits as u32, self.groups > 1);
        if groups == 1 {
            let (codes, values) = (self.packed, self.table);
            return vec![Weights::Codes { bits, codes, values, per_output }];
        }
        let all: Vec<u8> = self.unpacked().collect();
        let parts = all.chunks_exact(self.count / groups).enumerate();
        let part = |(i, codes): (usize, &[u8])| {
            let each = self.table.len() / groups;
            let values = match per_output {
                true => self.table[i * each..(i + 1) * each].to_vec(),
                false => self.table.clone(),
            };
            Weights::Codes { bits, codes: pack(codes, self.bits), values, per_output }
        };
        parts.map(part).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Six codes of 3 bits, so that the second group begins within a byte.
    #[test]
    fn groups_of_outputs_have_their_own_codes_and_values() {
        let given = [1, 7, 0, 5, 2, 3];
        let table: Vec<f32> = (0..16).map(|i| i as f32).collect();
        for groups in [1, 2] {
            let tensor = || {
                Tensor::Codes(Codes {
                    bits: 3,
                    packed: pack(&given, 3),
                    count: 6,
                    table: table[..8 * groups].to_vec(),
                    groups,
                })
            };
            let second = if groups == 1 { 0.0 } else { 8.0 };
            let wanted = [1.0, 7.0, 0.0, second + 5.0, second + 2.0, second + 3.0];
            assert_eq!(tensor().floats(), wanted);
            let parts = tensor().weights(2);
            assert_eq!(parts.len(), 2);
            for (part, wanted) in parts.iter().zip(wanted.chunks(3)) {
                let Weights::Codes { bits: 3, codes: packed, values, .. } = part else {
                    panic!("codes stay packed")
                };
                let found: Vec<f32> =
                    codes(packed, 3, 3).map(|code| values[usize::from(code)]).collect();
                assert_eq!(found, wanted);
            }
        }
    }
}
