//! The network's graph in a model file: a tensor of bytes.

use std::path::Path;

use safetensors::tensor::Dtype;

#[cfg(feature = "burn")]
use super::Header;
use super::KEY;
use crate::error::{Error, Result};
use crate::nn::graph::Stored;
use crate::tensor_file::Contents;

/// The tensor's name.
pub(super) const GRAPH: &str = "graph";

/// Whether a tensor is the graph of a model file.
pub(super) fn is_graph(name: &str, file: &Contents) -> bool {
    name == GRAPH && file.metadata.contains_key(KEY)
}

/// The bytes for the network of a model with this header.
///
/// # Errors
/// An impossible architecture.
#[cfg(feature = "burn")]
pub(super) fn bytes_of(header: &Header) -> Result<Vec<u8>> {
    header.arch.stored_graph()?.to_bytes()
}

/// The graph in a model file, if it has one: older versions wrote none.
///
/// # Errors
/// Bytes that are no graph; see [`Stored::from_bytes`].
pub fn stored_graph(path: &Path, file: &Contents) -> Result<Option<Stored>> {
    let tensors = file.tensors();
    let Ok(view) = tensors.tensor(GRAPH) else { return Ok(None) };
    if !is_graph(GRAPH, file) || view.dtype() != Dtype::U8 {
        return Err(Error::file(path, format!("tensor `{GRAPH}` is not a network's graph")));
    }
    let stored = Stored::from_bytes(view.data());
    stored.map(Some).map_err(|e| e.retold(|text| Error::file(path, text)))
}
