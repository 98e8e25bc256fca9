//! The tensors of a model as constants of ONNX. Packed weights become f32, or stay packed: then the
//! graph unpacks them, to the bit, from codes in bytes and their codebook.

use std::collections::HashMap;

use burn::tensor::TensorData;

use super::WeightForm;
use super::builder::Builder;
use super::proto::{Attribute, Data, I32, Setting};
use crate::backend::codes::pack;
use crate::error::{Error, Result};
use crate::infer::kernels;
use crate::infer::weights::{Codes, Tensor, Tensors};
use crate::model_file::{Model, code_width};
use crate::nn::{Epsilon, scale_and_shift};
use crate::quant::{Codebook, Scheme};

/// A model's tensors. Each goes to the one node that wants it.
pub(super) struct Weights {
    tensors: Tensors,
    /// The codebooks of tensors that stay packed, by their names.
    books: HashMap<String, Codebook>,
}

impl Weights {
    /// The tensors of a model, to be written in this form.
    ///
    /// # Errors
    /// Those of [`Tensors::of`]; codes of a model that has none.
    pub fn of(model: &Model, form: WeightForm) -> Result<Self> {
        let tensors = Tensors::of(model)?;
        let books = match form {
            WeightForm::Codes if model.header.quantization.is_empty() => {
                return Err(Error::invalid("the model's weights are f32 and have no codes"));
            }
            WeightForm::Codes => codebooks(model)?,
            WeightForm::F32 | WeightForm::Int8 => HashMap::new(),
        };
        Ok(Self { tensors, books })
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
        Ok(match (self.tensors.take(name)?, self.books.get(name)) {
            (Tensor::Codes(codes), Some(book)) => write_codes(b, name, dims, &codes, book),
            (tensor, _) => b.tensor(name.to_owned(), dims, Data::F32(tensor.floats())),
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
        Self { tensors, books: HashMap::new() }
    }

    /// The same, but tensors of a plan are packed: codebooks are full, and there is no code.
    pub fn without_codes(graph: &crate::nn::Graph, plan: &crate::quant::Plan) -> Self {
        let mut all = Self::zeros(graph);
        for (name, planned) in plan {
            let values: Vec<f32> = (0..1 << planned.scheme.bits).map(|i| i as f32).collect();
            let book = Codebook::stored(planned.scheme, values, &planned.shape).unwrap();
            let (bits, packed, table) = (planned.scheme.bits, vec![], book.table());
            let codes = Codes { bits, packed, count: 0, table, groups: 1 };
            all.tensors.0.insert(name.clone(), Tensor::Codes(codes));
            all.books.insert(name.clone(), book);
        }
        all
    }
}

/// Codes as bytes, taken apart by division, and looked up in the codebook.
fn write_codes(
    b: &mut Builder,
    name: &str,
    dims: &[usize],
    codes: &Codes,
    book: &Codebook,
) -> String {
    let (width, count) = (code_width(codes.bits), codes.count);
    let unpacked: Vec<u8> = codes.unpacked().collect();
    let bytes = pack(&unpacked, width);
    let room = bytes.len() * 8 / width;
    let packed = b.tensor(format!("{name}.codes"), &[bytes.len(), 1], Data::U8(bytes));
    let table = write_table(b, name, book);
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
    let groups = book.groups();
    if groups > 1 {
        let entries = book.entries();
        found = b.reshape(&found, &[groups as i64, (count / groups) as i64]);
        let rows = Data::I32((0..groups).map(|group| (group * entries) as i32).collect());
        let rows = b.tensor(format!("rows/{groups}x{entries}"), &[groups, 1], rows);
        found = b.op("Add", &[&found, &rows]);
    }
    let shape: Vec<i64> = dims.iter().map(|&n| n as i64).collect();
    let found = b.reshape(&found, &shape);
    b.node("Gather", &[&table, &found], vec![Attribute("axis", Setting::Int(0))])
}

/// The values of codes, those of a group behind those of the group before. The file holds what the
/// model holds: the values, or scales and offsets, of which the network computes them.
fn write_table(b: &mut Builder, name: &str, book: &Codebook) -> String {
    let (name, values) = (format!("{name}.codebook"), book.values().to_vec());
    if book.scheme().scheme == Scheme::KMeans {
        return b.tensor(name, &[values.len()], Data::F32(values));
    }
    let columns = values.len() / book.groups();
    let stored = b.tensor(name, &[book.groups(), columns], Data::F32(values));
    let (scale, offset) = match columns {
        1 => (stored, b.number(0.0)),
        _ => (b.channels(&stored, 0, 1), b.channels(&stored, 1, 2)),
    };
    let (low, high) = (b.op("Sub", &[&offset, &scale]), b.op("Add", &[&offset, &scale]));
    let both = b.concat(&[&low, &high], 1);
    b.reshape(&both, &[-1])
}

/// The codebooks of a model's packed tensors, by their names.
fn codebooks(model: &Model) -> Result<HashMap<String, Codebook>> {
    let stored: HashMap<String, TensorData> = model.tensors().0.into_iter().collect();
    let mut all = HashMap::new();
    for (name, packed) in &model.header.quantization {
        let book = &packed.codebook;
        let data = stored
            .get(book)
            .ok_or_else(|| Error::invalid(format!("the model has no tensor `{book}`")))?;
        let values = data.iter::<f32>().collect();
        all.insert(name.clone(), Codebook::stored(packed.scheme, values, &packed.shape)?);
    }
    Ok(all)
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
                let width = code_width(bits);
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
        let codes = Codes { bits: 1, packed, count, table, groups: book.groups() };
        let mut b = Builder::default();
        let made = write_codes(&mut b, "w", &[2, 2], &codes, &book);
        assert_eq!(b.nodes.last().unwrap().output, made);
        let data = |name: &str| b.tensors.iter().find(|t| t.name == name).unwrap().data.clone();
        assert_eq!(data("w.codes"), Data::U8(vec![0b0101]));
        // Scales, as the model's file has them.
        assert_eq!(data("w.codebook"), Data::F32(vec![1.0, 4.0]));
        assert_eq!(data("rows/2x2"), Data::I32(vec![0, 2]));
    }
}
