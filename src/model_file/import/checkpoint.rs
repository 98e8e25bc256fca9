//! A checkpoint's tensors by name. Opening it reads names, number formats and shapes; values are
//! read one tensor at a time, after names and shapes were compared.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::io::BufReader;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::TensorData;
use pytorch_reader::{DType, PickleValue, PytorchReader};
use safetensors::tensor::{Dtype, SafeTensors};

use super::format::Format;
use super::number::Number;
use super::{archive, format, onnx, pickle, unreadable};
use crate::error::{Error, Result};
use crate::fs;
use crate::model_file::KEY;
use crate::model_file::graph::GRAPH;

/// A checkpoint, opened.
pub(super) struct Checkpoint {
    path: PathBuf,
    /// Every tensor by its name, the keys of the dictionaries around it joined by dots.
    pub tensors: BTreeMap<String, Entry>,
    /// An upper bound on the bytes of values in the file, after inflation.
    pub held: u64,
    /// The file's content, if tensors are ranges of it.
    content: Arc<Vec<u8>>,
}

/// A tensor whose values have not been read.
pub(super) struct Entry {
    /// Its number format, if weights may have it.
    pub number: Option<Number>,
    /// The number format as the file calls it.
    pub dtype: String,
    /// Its shape.
    pub shape: Vec<usize>,
    source: Source,
}

/// Where values come from.
enum Source {
    /// PyTorch's reader.
    PyTorch(Box<pytorch_reader::Tensor>),
    /// A range of [`Checkpoint::content`].
    Content(Range<usize>, Form),
    /// The same value everywhere.
    Constant(f32),
}

/// How a tensor's values lie in a range of the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// In the tensor's order.
    AsIs,
    /// Of two axes, the second first.
    Turned,
    /// With the other sign.
    Negated,
}

impl Form {
    /// The values of a tensor of this shape.
    fn arrange(self, values: Vec<f32>, shape: &[usize]) -> Vec<f32> {
        match (self, shape) {
            (Self::Negated, _) => values.into_iter().map(|x| -x).collect(),
            (Self::Turned, &[rows, columns]) => {
                let at = |i: usize| values[i % columns * rows + i / columns];
                (0..values.len()).map(at).collect()
            }
            (Self::AsIs | Self::Turned, _) => values,
        }
    }
}

impl Entry {
    /// A tensor whose values lie in a range of its file's content.
    pub fn within(
        number: Option<Number>,
        dtype: String,
        shape: Vec<usize>,
        range: Range<usize>,
        form: Form,
    ) -> Self {
        Self { number, dtype, shape, source: Source::Content(range, form) }
    }

    /// So many times the same value.
    pub fn constant(value: f32, count: usize) -> Self {
        let (number, dtype) = (Some(Number::F32), "F32".to_owned());
        Self { number, dtype, shape: vec![count], source: Source::Constant(value) }
    }

    /// How many values it has.
    pub fn count(&self) -> u64 {
        self.shape.iter().fold(1, |n: u64, &d| n.saturating_mul(d as u64))
    }

    /// Bytes of its values, if the file held all of them.
    pub fn bytes(&self) -> u64 {
        self.count().saturating_mul(self.number.map_or(8, Number::size))
    }
}

impl Checkpoint {
    /// Opens a file and reads names, number formats and shapes.
    ///
    /// # Errors
    /// Files that are no checkpoint, or whose description alone would take more memory than any
    /// checkpoint's.
    pub fn open(path: &Path) -> Result<Self> {
        let (format, length) = format::of(path)?;
        match format {
            Format::Safetensors => Self::safetensors(path, length),
            Format::Onnx => onnx::File::read(path)?.initialisers().filled(),
            Format::Zip => Self::pytorch(path, archive::check(path, length)?),
            Format::Legacy => {
                // The pickles are magic number, protocol, system, checkpoint, order of storages.
                let file = BufReader::new(fs::open(path)?);
                pickle::check(file, 5).map_err(|e| unreadable(path, &e))?;
                Self::pytorch(path, length)
            }
        }
    }

    /// Tensors that are ranges of a file's content.
    pub fn within(path: &Path, content: &Arc<Vec<u8>>, tensors: BTreeMap<String, Entry>) -> Self {
        let (held, content) = (content.len() as u64, Arc::clone(content));
        Self { path: path.into(), tensors, held, content }
    }

    fn pytorch(path: &Path, held: u64) -> Result<Self> {
        let bad = |e: String| unreadable(path, &e);
        let reader = PytorchReader::new(path).map_err(|e| bad(e.to_string()))?;
        // The reader joins keys by dots too. Of two tensors that get the same name it keeps either.
        let tree = PytorchReader::read_pickle_data(path, None).map_err(|e| bad(e.to_string()))?;
        distinct(&tree, &mut Vec::new(), &mut HashSet::new()).map_err(bad)?;
        let tensors = reader.into_tensors().into_iter().map(|(name, tensor)| {
            let number = match tensor.dtype() {
                DType::F64 => Some(Number::F64),
                DType::F32 => Some(Number::F32),
                DType::F16 => Some(Number::F16),
                DType::BF16 => Some(Number::Bf16),
                _ => None,
            };
            let (dtype, shape) = (format!("{:?}", tensor.dtype()), tensor.shape().to_vec());
            (name, Entry { number, dtype, shape, source: Source::PyTorch(Box::new(tensor)) })
        });
        let tensors = tensors.collect();
        Self { path: path.into(), tensors, held, content: Arc::default() }.filled()
    }

    fn safetensors(path: &Path, held: u64) -> Result<Self> {
        let content = fs::read(path)?;
        // This compares lengths, offsets and sizes with the file's.
        let (header, metadata) = SafeTensors::read_metadata(&content)
            .map_err(|e| Error::file(path, format!("not a readable safetensors file: {e}")))?;
        // A model file of ours holds the network's graph, too.
        let is_model = metadata.metadata().as_ref().is_some_and(|all| all.contains_key(KEY));
        let all = metadata.tensors().into_iter().filter(|(name, _)| !(is_model && name == GRAPH));
        let tensors = all.map(|(name, info)| {
            let number = match info.dtype {
                Dtype::F64 => Some(Number::F64),
                Dtype::F32 => Some(Number::F32),
                Dtype::F16 => Some(Number::F16),
                Dtype::BF16 => Some(Number::Bf16),
                _ => None,
            };
            let (start, end) = info.data_offsets;
            let range = 8 + header + start..8 + header + end;
            let (dtype, shape) = (format!("{:?}", info.dtype), info.shape.clone());
            (name, Entry::within(number, dtype, shape, range, Form::AsIs))
        });
        let tensors = tensors.collect();
        Self { path: path.into(), tensors, held, content: Arc::new(content) }.filled()
    }

    /// Refuses a checkpoint without tensors.
    fn filled(self) -> Result<Self> {
        match self.tensors.is_empty() {
            true => Err(Error::file(&self.path, "a checkpoint that holds no tensors")),
            false => Ok(self),
        }
    }

    /// A tensor's values as f32; `name` appears in errors.
    ///
    /// # Errors
    /// Number formats that weights do not have, values that are not finite, and values that the
    /// file does not hold.
    pub fn values(&self, name: &str, entry: &Entry) -> Result<TensorData> {
        let number = entry.number.ok_or_else(|| {
            let dtype = &entry.dtype;
            Error::file(
                &self.path,
                format!("tensor `{name}` is {dtype}; weights are F32, F64, F16 or BF16"),
            )
        })?;
        let bytes: Cow<[u8]> = match &entry.source {
            Source::PyTorch(tensor) => {
                let read =
                    tensor.read().map_err(|e| unreadable(&self.path, &format!("`{name}`: {e}")))?;
                Cow::Owned(read)
            }
            Source::Content(range, _) => Cow::Borrowed(&self.content[range.clone()]),
            Source::Constant(value) => {
                let values = vec![*value; entry.count() as usize];
                return Ok(TensorData::new(values, entry.shape.clone()));
            }
        };
        let values = number.values(&bytes);
        if values.len() as u64 != entry.count() {
            let message =
                format!("tensor `{name}` has {} values for shape {:?}", values.len(), entry.shape);
            return Err(unreadable(&self.path, &message));
        }
        let values = match &entry.source {
            Source::Content(_, form) => form.arrange(values, &entry.shape),
            Source::PyTorch(_) | Source::Constant(_) => values,
        };
        match values.iter().all(|x| x.is_finite()) {
            true => Ok(TensorData::new(values, entry.shape.clone())),
            false => Err(Error::file(
                &self.path,
                format!("tensor `{name}` holds values that are not numbers"),
            )),
        }
    }
}

/// Refuses two tensors of one name.
fn distinct(
    value: &PickleValue,
    place: &mut Vec<String>,
    seen: &mut HashSet<String>,
) -> Result<(), String> {
    let mut inside = |key: String, value: &PickleValue| {
        place.push(key);
        let result = distinct(value, place, seen);
        place.pop();
        result
    };
    match value {
        PickleValue::Dict(entries) => {
            entries.iter().try_for_each(|(key, value)| inside(key.clone(), value))
        }
        PickleValue::List(items) => {
            items.iter().enumerate().try_for_each(|(i, value)| inside(i.to_string(), value))
        }
        PickleValue::Unsupported(kind) if kind == "torch.Tensor" => {
            match seen.insert(place.join(".")) {
                true => Ok(()),
                false => Err(format!("two tensors are called `{}`", place.join("."))),
            }
        }
        _ => Ok(()),
    }
}
