//! The tensors of a model as constants of ONNX. Packed weights become f32, or stay packed: then the
//! graph unpacks them, to the bit, from codes in bytes and their codebook.

use super::WeightForm;
use super::builder::Builder;
use super::proto::{Attribute, Data, I32, Setting};
use crate::backend::codes::pack;
use crate::error::{Error, Result};
use crate::infer::kernels;
use crate::infer::weights::{Codes, Tensor, Tensors};
use crate::model_file::Model;
use crate::nn::{Epsilon, scale_and_shift};

/// A model's tensors, and the form in which the file holds them. Each goes to the one node that
/// wants it.
pub(super) struct Weights {
    tensors: Tensors,
    form: WeightForm,
}

impl Weights {
    /// The tensors of a model, to be written in this form.
    ///
    /// # Errors
    /// Those of [`Tensors::of`]; codes of a model that has none.
    pub fn of(model: &Model, form: WeightForm) -> Result<Self> {
        let tensors = Tensors::of(model)?;
        if form == WeightForm::Codes && model.header.quantization.is_empty() {
            return Err(Error::invalid("the model's weights are f32 and have no codes"));
        }
        Ok(Self { tensors, form })
    }

    /// Takes a tensor's values.
    ///
    /// # Errors
    /// No such tensor, or not any more.
    pub fn values(&mut self, name: &str) -> Result<Vec<f32>> {
        Ok(self.tensors.take(name)?.floats())
    }

    /// Takes a tensor's values, packed if they are.
    ///
    /// # Errors
    /// No such tensor, or not any more.
    pub fn packed(&mut self, name: &str) -> Result<kernels::Weights> {
        Ok(self.tensors.take(name)?.weights(1).remove(0))
    }

    /// Writes a tensor in this shape.
    ///
    /// # Errors
    /// No such tensor, or not any more.
    pub fn write(&mut self, b: &mut Builder, name: &str, dims: &[usize]) -> Result<String> {
        Ok(match self.tensors.take(name)? {
            Tensor::Codes(codes) if self.form == WeightForm::Codes => {
                write_codes(b, name, dims, codes)
            }
            tensor => b.tensor(name.to_owned(), dims, Data::F32(tensor.floats())),
        })
    }

    /// The factors and summands of a BatchNorm layer, by the names of its tensors as a graph has
    /// them.
    ///
    /// # Errors
    /// No such tensor, or not any more.
    pub fn norm(&mut self, names: &[&str], epsilon: Epsilon) -> Result<[Vec<f32>; 2]> {
        let (affine, mean, variance) = match *names {
            [weight, bias, mean, variance] => {
                (Some([self.values(weight)?, self.values(bias)?]), mean, variance)
            }
            [mean, variance] => (None, mean, variance),
            _ => return Err(Error::invalid(format!("a BatchNorm layer of {names:?}"))),
        };
        match affine {
            // Packed models hold factors and summands already, without statistics.
            Some(affine) if !self.tensors.0.contains_key(mean) => Ok(affine),
            affine => {
                let (mean, variance) = (self.values(mean)?, self.values(variance)?);
                let [weight, bias] =
                    affine.unwrap_or_else(|| [1.0, 0.0].map(|value| vec![value; mean.len()]));
                let (scale, shift) = scale_and_shift(&weight, &bias, &mean, &variance, epsilon);
                Ok([scale, shift])
            }
        }
    }
}

#[cfg(test)]
impl Weights {
    /// Zeros in the place of a network's tensors.
    pub fn zeros(graph: &crate::nn::Graph) -> Self {
        let zeros = |(name, shape): (String, Vec<usize>)| {
            (name, Tensor::Floats(vec![0.0; shape.iter().product()]))
        };
        let tensors = Tensors(graph.names_and_shapes().into_iter().map(zeros).collect());
        Self { tensors, form: WeightForm::F32 }
    }
}

/// Bits that a code takes in the file: those of 3 bits take 4, those of more than 4 take 8, so that
/// a byte holds whole codes.
pub(crate) fn width(bits: usize) -> usize {
    bits.next_power_of_two()
}

/// Codes as bytes, taken apart by division, and looked up in the codebook.
fn write_codes(b: &mut Builder, name: &str, dims: &[usize], codes: Codes) -> String {
    let unpacked: Vec<u8> = codes.unpacked().collect();
    let Codes { bits, count, table, groups, .. } = codes;
    let width = width(bits);
    let (each, entries) = (count / groups, table.len() / groups);
    let bytes = pack(&unpacked, width);
    let room = bytes.len() * 8 / width;
    let packed = b.tensor(format!("{name}.codes"), &[bytes.len(), 1], Data::U8(bytes));
    let table = b.tensor(format!("{name}.codebook"), &[table.len()], Data::F32(table));
    // Runtimes divide integers of 32 bits; not all of them divide bytes.
    let mut found = b.node("Cast", &[&packed], vec![Attribute("to", Setting::Int(I32))]);
    if width < 8 {
        let places: Vec<i32> = (0..8 / width).map(|place| 1 << (place * width)).collect();
        let row = [1, places.len()];
        let places = b.tensor(format!("places/{width}"), &row, Data::I32(places));
        let base = b.tensor(format!("base/{width}"), &[1], Data::I32(vec![1 << width]));
        found = b.op("Div", &[&found, &places]);
        found = b.op("Mod", &[&found, &base]);
    }
    if room > count {
        let (all, end) = (b.reshape(&found, &[-1]), b.ints(&[count as i64]));
        found = b.first(&all, 0, &end);
    }
    if groups > 1 {
        found = b.reshape(&found, &[groups as i64, each as i64]);
        let rows = (0..groups).map(|group| (group * entries) as i32).collect();
        let rows = b.tensor(format!("{name}.rows"), &[groups, 1], Data::I32(rows));
        found = b.op("Add", &[&found, &rows]);
    }
    let shape: Vec<i64> = dims.iter().map(|&n| n as i64).collect();
    let found = b.reshape(&found, &shape);
    b.node("Gather", &[&table, &found], vec![Attribute("axis", Setting::Int(0))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::{Codebook, TensorScheme};

    /// What the nodes do, in integers: codes are those that went in, for every number of bits and
    /// counts that leave a byte half full.
    #[test]
    fn division_takes_codes_apart() {
        for bits in 1..=8 {
            for count in [256, 1001] {
                let given: Vec<u8> = (0..count).map(|i| (i * 7 % (1 << bits)) as u8).collect();
                let width = width(bits);
                let bytes = pack(&given, width);
                let apart = bytes.iter().flat_map(|&byte| {
                    let place = move |place: usize| i32::from(byte) / (1 << (place * width));
                    (0..8 / width).map(move |at| (place(at) % (1 << width)) as u8)
                });
                let found: Vec<u8> = apart.take(count).collect();
                assert_eq!(found, given, "{bits} bits");
            }
        }
    }

    /// Each group of weights has its row of the table.
    #[test]
    fn codes_are_written_with_their_table() {
        let scheme = TensorScheme {
            scheme: crate::quant::Scheme::BinaryStatic,
            per_channel: true,
            ..TensorScheme::kmeans(1)
        };
        let book = Codebook::fit(scheme, &[1.0, -1.0, 3.0, 5.0], &[2, 2]).unwrap();
        let codes = book.encode(&[1.0, -1.0, 3.0, -5.0]);
        let table = book.table();
        let (packed, count) = (pack(&codes, 1), codes.len());
        let codes = Codes { bits: 1, packed, count, table: table.clone(), groups: book.groups() };
        let mut b = Builder::default();
        let made = write_codes(&mut b, "w", &[2, 2], codes);
        assert_eq!(b.nodes.last().unwrap().output, made);
        let data = |name: &str| b.tensors.iter().find(|t| t.name == name).unwrap().data.clone();
        assert_eq!(data("w.codes"), Data::U8(vec![0b0101]));
        assert_eq!(data("w.codebook"), Data::F32(table));
        assert_eq!(data("w.rows"), Data::I32(vec![0, 2]));
    }
}
