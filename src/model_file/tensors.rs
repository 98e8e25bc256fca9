//! Named tensors in and out of safetensors bytes: f32, and bytes where packed codes are.

use std::collections::HashMap;
use std::path::Path;

use burn::tensor::{DType, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::error::{Error, Result};
use crate::{bytes, fs};

/// Tensors by name, in order.
#[derive(Debug, Clone, Default)]
pub struct NamedTensors(pub Vec<(String, TensorData)>);

impl NamedTensors {
    /// From what a module gives.
    pub fn from_burn(tensors: Vec<(String, TensorData)>) -> Self {
        Self(tensors)
    }

    /// The same tensors with `prefix` before each name.
    pub fn prefixed(self, prefix: &str) -> Self {
        Self(self.0.into_iter().map(|(n, d)| (format!("{prefix}{n}"), d)).collect())
    }

    /// A safetensors file's bytes, with one metadata entry: the format keeps several in no order, and the same content must be the same
    /// file.
    pub fn to_safetensors(&self, path: &Path, key: &str, value: String) -> Result<Vec<u8>> {
        let bad = |e: String| Error::file(path, format!("cannot encode tensors: {e}"));
        let mut encoded = Vec::with_capacity(self.0.len());
        for (name, data) in &self.0 {
            if data.dtype() == DType::U8 {
                encoded.push((Dtype::U8, data.as_bytes().to_vec()));
                continue;
            }
            let values =
                data.clone().convert::<f32>().try_to_vec::<f32>().map_err(|e| bad(format!("{name}: {e:?}")))?;
            encoded.push((Dtype::F32, bytes::from_f32(&values)));
        }
        let mut views = Vec::with_capacity(self.0.len());
        for ((name, data), (dtype, bytes)) in self.0.iter().zip(&encoded) {
            let view = TensorView::new(*dtype, data.shape().to_vec(), bytes).map_err(|e| bad(e.to_string()))?;
            views.push((name.as_str(), view));
        }
        safetensors::serialize(views, Some(HashMap::from([(key.to_owned(), value)]))).map_err(|e| bad(e.to_string()))
    }
}

/// The f32 tensors and the metadata of a safetensors file. 64-bit integers (PyTorch's `num_batches_tracked`) are left out; other
/// number formats are errors. Nothing is allocated that the file's own bytes do not back.
pub fn read_safetensors(path: &Path) -> Result<(NamedTensors, HashMap<String, String>)> {
    let (tensors, metadata) = read_with_bytes(path)?;
    match tensors.0.iter().find(|(_, data)| data.dtype() == DType::U8) {
        Some((name, _)) => Err(Error::file(path, format!("tensor `{name}` is U8; F32 is wanted"))),
        None => Ok((tensors, metadata)),
    }
}

/// [`read_safetensors`] with tensors of bytes too.
pub(super) fn read_with_bytes(path: &Path) -> Result<(NamedTensors, HashMap<String, String>)> {
    let file_bytes = fs::read(path)?;
    let bad = |e: String| Error::file(path, format!("not a readable safetensors file: {e}"));
    let (_, metadata) = SafeTensors::read_metadata(&file_bytes).map_err(|e| bad(e.to_string()))?;
    let file = SafeTensors::deserialize(&file_bytes).map_err(|e| bad(e.to_string()))?;
    let mut tensors = Vec::new();
    for (name, view) in file.iter() {
        let shape = view.shape().to_vec();
        let data = match view.dtype() {
            Dtype::I64 => continue,
            Dtype::F32 => TensorData::new(bytes::to_f32(view.data()), shape),
            Dtype::U8 => TensorData::new(view.data().to_vec(), shape),
            other => return Err(Error::file(path, format!("tensor `{name}` is {other:?}; F32 is wanted"))),
        };
        tensors.push((name.to_owned(), data));
    }
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    Ok((NamedTensors(tensors), metadata.metadata().clone().unwrap_or_default()))
}
