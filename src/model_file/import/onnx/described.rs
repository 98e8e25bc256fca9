//! What an ONNX file holds, whoever wrote it.

use std::collections::BTreeMap;
use std::path::Path;

use super::File;
use crate::error::Result;
use crate::fs;
use crate::model_file::import::format::{self, Format};

/// An input or output of a file's network: its name, and the sizes of its axes; 0 for a size that
/// is left open.
pub type OnnxPort = (String, Vec<usize>);

/// What an ONNX file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OnnxFile {
    /// The program that wrote it, with its version.
    pub producer: String,
    /// The version of ONNX's own operations; 0 if it does not say.
    pub opset: u64,
    /// What goes in, without initialisers.
    pub inputs: Vec<OnnxPort>,
    /// What comes out.
    pub outputs: Vec<OnnxPort>,
    /// How often each operation occurs, by its name.
    pub operations: BTreeMap<String, usize>,
    /// Initialisers, by name.
    pub tensors: Vec<OnnxTensor>,
    /// Metadata.
    pub metadata: BTreeMap<String, String>,
}

/// An initialiser of an ONNX file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnnxTensor {
    /// Its name: in a file of `revox export`, that of the network.
    pub name: String,
    /// Its number format.
    pub dtype: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Bytes of its values.
    pub bytes: usize,
}

impl OnnxFile {
    /// Whether a file is one, by its first bytes or by its name.
    pub fn is_one(path: &Path) -> bool {
        let is_file = !fs::is_stdin(path) && path.is_file();
        is_file && format::of(path).is_ok_and(|(format, _)| format == Format::Onnx)
    }

    /// Reads the description of a file. Values stay unread.
    ///
    /// # Errors
    /// A file that is no ONNX file, is cut off, or keeps weights in another file.
    pub fn read(path: &Path) -> Result<Self> {
        let file = File::read(path)?;
        let (full, model) = (file.full_names(), file.model);
        let mut operations: BTreeMap<String, usize> = BTreeMap::new();
        for node in &model.nodes {
            *operations.entry(node.op.clone()).or_default() += 1;
        }
        // Old files list initialisers among the inputs too.
        let inputs = model.inputs.into_iter().filter(|(name, _)| !model.tensors.contains_key(name));
        let inputs = inputs.collect();
        let full = |name: String| full.get(&name).cloned().unwrap_or(name);
        let tensors = model.tensors.into_iter().map(|(name, tensor)| OnnxTensor {
            name: full(name),
            dtype: tensor.dtype,
            shape: tensor.shape,
            bytes: tensor.bytes,
        });
        let mut tensors: Vec<OnnxTensor> = tensors.collect();
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self {
            producer: model.producer,
            opset: model.opset,
            inputs,
            outputs: model.outputs.into_iter().zip(model.output_sizes).collect(),
            operations,
            tensors,
            metadata: model.properties,
        })
    }
}
