//! Named tensors of safetensors files: f32 values, and bytes for packed codes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{DType, TensorData};
use safetensors::tensor::Dtype;

use super::FILE;
use super::graph::is_graph;
use crate::bytes;
use crate::error::{Error, Result};
use crate::tensor_file::{self, Contents, Data, Part};

/// Tensors with their names, in order.
#[derive(Debug, Clone, Default)]
pub struct NamedTensors(pub Vec<(String, TensorData)>);

impl NamedTensors {
    /// The tensors that [`collect_named`](crate::nn::collect_named) gives.
    pub fn from_burn(tensors: Vec<(String, TensorData)>) -> Self {
        Self(tensors)
    }

    /// The same tensors with `prefix` before each name.
    pub fn prefixed(self, prefix: &str) -> Self {
        Self(self.0.into_iter().map(|(n, d)| (format!("{prefix}{n}"), d)).collect())
    }

    /// A safetensors file's bytes, with one metadata entry and a checksum (see [`tensor_file`]);
    /// `path` appears in errors.
    ///
    /// # Errors
    /// Two tensors of one name; values that are neither bytes nor floating-point numbers.
    pub fn to_safetensors(&self, path: &Path, key: &str, value: String) -> Result<Vec<u8>> {
        tensor_file::to_bytes(path, &[(key, &value)], &self.parts(path)?)
    }

    /// The tensors as a file holds them: bytes unchanged, everything else in f32.
    pub(super) fn parts(&self, path: &Path) -> Result<Vec<Part<'_>>> {
        let mut parts = Vec::with_capacity(self.0.len());
        for (name, data) in &self.0 {
            let (dtype, bytes) = match data.dtype() {
                DType::U8 => (Dtype::U8, Data::from(data.as_bytes())),
                _ => {
                    let values = floats(data).map_err(|e| {
                        Error::file(path, format!("cannot encode tensors: `{name}`: {e}"))
                    })?;
                    (Dtype::F32, Data::from(values))
                }
            };
            parts.push(Part {
                name: name.as_str().into(),
                dtype,
                shape: data.shape().to_vec(),
                bytes,
            });
        }
        Ok(parts)
    }
}

/// The values as f32. They are copied only if they have another number format.
fn floats(data: &TensorData) -> Result<Cow<'_, [f32]>, String> {
    match data.as_slice::<f32>() {
        Ok(values) => Ok(Cow::Borrowed(values)),
        Err(_) => data.try_to_vec_as::<f32>().map(Cow::Owned).map_err(|e| format!("{e:?}")),
    }
}

/// The f32 tensors and the metadata of a safetensors file, with or without a checksum. 64-bit
/// integers (PyTorch's `num_batches_tracked`) are left out. No more memory is allocated than the
/// file's size justifies.
///
/// # Errors
/// A file that is no safetensors file, or damaged; tensors of other number formats.
pub fn read_safetensors(path: &Path) -> Result<(NamedTensors, BTreeMap<String, String>)> {
    let file = tensor_file::read_foreign(path, FILE)?;
    let tensors = all_of(path, &file)?;
    match tensors.0.iter().find(|(_, data)| data.dtype() == DType::U8) {
        Some((name, _)) => Err(Error::file(path, format!("tensor `{name}` is U8; F32 is wanted"))),
        None => Ok((tensors, file.metadata)),
    }
}

/// The tensors of f32 and of bytes in a file, sorted by name, without the graph of a model file.
pub(super) fn all_of(path: &Path, file: &Contents) -> Result<NamedTensors> {
    let mut all = Vec::new();
    for (name, view) in file.tensors().iter() {
        if is_graph(name, file) {
            continue;
        }
        let shape = view.shape().to_vec();
        let data = match view.dtype() {
            Dtype::I64 => continue,
            Dtype::F32 => TensorData::new(bytes::to_f32(view.data()), shape),
            Dtype::U8 => TensorData::new(view.data().to_vec(), shape),
            other => {
                return Err(Error::file(
                    path,
                    format!("tensor `{name}` is {other:?}; F32 is wanted"),
                ));
            }
        };
        all.push((name.to_owned(), data));
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(NamedTensors(all))
}
