//! The tensors of a model as constants of ONNX. Packed weights become f32, or stay packed: then the
//! graph unpacks them, to the bit, from codes in bytes and their codebook.

use std::collections::{BTreeMap, HashMap};

use burn::module::Reparameterization;
use burn::tensor::TensorData;

use super::WeightForm;
use super::builder::Builder;
use super::proto::{Attribute, Data, I32, Setting};
use crate::backend::codes::{codes, pack};
use crate::error::{Error, Result};
use crate::model_file::{Model, PackedTensor, codes_name};
use crate::nn::{Epsilon, scale_and_shift};
use crate::quant::{Codebook, FakeQuant};

/// A model's tensors by name.
pub(super) struct Weights {
    tensors: HashMap<String, TensorData>,
    packed: BTreeMap<String, PackedTensor>,
    form: WeightForm,
}

/// A packed tensor's values: its codes, and the table `[groups, 2^bits]` that they stand in.
struct Unpacked {
    codes: Vec<u8>,
    book: Codebook,
}

impl Weights {
    /// The tensors of a model, to be written in this form.
    ///
    /// # Errors
    /// A network in training form, to which a quantizer is attached; codes of a model that has
    /// none.
    pub fn of(model: &Model, form: WeightForm) -> Result<Self> {
        let tensors: HashMap<String, TensorData> = model.tensors().0.into_iter().collect();
        let quantizer = format!(".{}.", FakeQuant::NAME);
        if tensors.keys().any(|name| name.contains(&quantizer)) {
            return Err(Error::invalid(
                "the network has a quantizer attached, as in training; export the packed model",
            ));
        }
        let packed = model.header.quantization.clone();
        if form == WeightForm::Codes && packed.is_empty() {
            return Err(Error::invalid("the model's weights are f32 and have no codes"));
        }
        Ok(Self { tensors, packed, form })
    }

    fn tensor(&self, name: &str) -> Result<&TensorData> {
        let missing = || Error::invalid(format!("the model has no tensor `{name}`"));
        self.tensors.get(name).ok_or_else(missing)
    }

    fn unpacked(&self, name: &str, tensor: &PackedTensor) -> Result<Unpacked> {
        let (data, book) = (self.tensor(&codes_name(name))?, self.tensor(&tensor.codebook)?);
        let count = tensor.shape.iter().product();
        let codes = codes(data.as_bytes(), tensor.scheme.bits, count).collect();
        let book = Codebook::stored(tensor.scheme, book.iter::<f32>().collect(), &tensor.shape)?;
        Ok(Unpacked { codes, book })
    }

    /// A tensor's values.
    ///
    /// # Errors
    /// A name that the model lacks.
    pub fn values(&self, name: &str) -> Result<Vec<f32>> {
        match self.packed.get(name) {
            None => Ok(self.tensor(name)?.iter::<f32>().collect()),
            Some(tensor) => {
                let Unpacked { codes, book } = self.unpacked(name, tensor)?;
                Ok(book.decode(&codes))
            }
        }
    }

    /// Writes a tensor in this shape.
    ///
    /// # Errors
    /// A name that the model lacks.
    pub fn write(&self, b: &mut Builder, name: &str, dims: &[usize]) -> Result<String> {
        match self.packed.get(name) {
            Some(tensor) if self.form == WeightForm::Codes => {
                Ok(write_codes(b, name, dims, &self.unpacked(name, tensor)?))
            }
            _ => Ok(b.tensor(name.to_owned(), dims, Data::F32(self.values(name)?))),
        }
    }

    /// The factors and summands of a BatchNorm layer, by the names of its tensors as a graph has
    /// them.
    ///
    /// # Errors
    /// A name that the model lacks.
    pub fn norm(&self, names: &[&str], epsilon: Epsilon) -> Result<[Vec<f32>; 2]> {
        let (affine, statistics) = match *names {
            [weight, bias, mean, variance] => (Some([weight, bias]), [mean, variance]),
            [mean, variance] => (None, [mean, variance]),
            _ => return Err(Error::invalid(format!("a BatchNorm layer of {names:?}"))),
        };
        let affine = match affine {
            Some([weight, bias]) => Some([self.values(weight)?, self.values(bias)?]),
            None => None,
        };
        match affine {
            // Packed models hold factors and summands already, without statistics.
            Some(affine) if !self.tensors.contains_key(statistics[0]) => Ok(affine),
            affine => {
                let [mean, variance] = statistics.map(|name| self.values(name));
                let (mean, variance) = (mean?, variance?);
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
    pub fn zeros(graph: &crate::nn::Graph, form: WeightForm) -> Self {
        let zeros = |(name, shape): (String, Vec<usize>)| {
            let count = shape.iter().product();
            (name, TensorData::new(vec![0f32; count], shape))
        };
        let tensors = graph.names_and_shapes().into_iter().map(zeros).collect();
        Self { tensors, packed: BTreeMap::new(), form }
    }
}

/// Bits that a code takes in the file: those of 3 bits take 4, those of more than 4 take 8, so that
/// a byte holds whole codes.
fn width(bits: usize) -> usize {
    bits.next_power_of_two()
}

/// Codes as bytes, taken apart by division, and looked up in the codebook.
fn write_codes(b: &mut Builder, name: &str, dims: &[usize], unpacked: &Unpacked) -> String {
    let Unpacked { codes, book } = unpacked;
    let width = width(book.scheme().bits);
    let (table, groups) = (book.table(), book.groups());
    let (each, entries) = (codes.len() / groups, table.len() / groups);
    let bytes = pack(codes, width);
    let count = bytes.len();
    let packed = b.tensor(format!("{name}.codes"), &[count, 1], Data::U8(bytes));
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
    if count * 8 / width > codes.len() {
        let (all, end) = (b.reshape(&found, &[-1]), b.ints(&[codes.len() as i64]));
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
    use crate::quant::TensorScheme;

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
        let unpacked = Unpacked { codes, book };
        let mut b = Builder::default();
        let made = write_codes(&mut b, "w", &[2, 2], &unpacked);
        assert_eq!(b.nodes.last().unwrap().output, made);
        let data = |name: &str| b.tensors.iter().find(|t| t.name == name).unwrap().data.clone();
        assert_eq!(data("w.codes"), Data::U8(vec![0b0101]));
        assert_eq!(data("w.codebook"), Data::F32(table));
        assert_eq!(data("w.rows"), Data::I32(vec![0, 2]));
    }
}
