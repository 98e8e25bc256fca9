//! The one model format: a safetensors file whose tensors have the reference implementation's
//! names. Its metadata key `revox` holds everything needed to use the network: architecture,
//! front-end, how it was trained, how its scores are read ([`Header`]). The key `sha256` holds the
//! file's checksum (see [`tensor_file`]).
//!
//! A file also holds the network's graph ([`stored_graph`]), so that [`Plain`] runs without the
//! network's code.

mod compare;
mod graph;
mod header;
#[cfg(feature = "burn")]
mod import;
mod kind;
#[cfg(feature = "burn")]
mod model;
#[cfg(feature = "burn")]
mod packed;
mod packing;
mod plain;
#[cfg(feature = "burn")]
mod planned;
#[cfg(feature = "burn")]
mod sizes;
#[cfg(feature = "burn")]
mod tensors;
mod update;
#[cfg(feature = "burn")]
mod wanted;

pub use graph::stored_graph;
pub use header::{Frontend, Header, NamedThreshold, Scoring, Training};
#[cfg(feature = "burn")]
pub use import::{ImportOptions, Imported, OnnxFile, OnnxPort, OnnxTensor, import, import_noted};
#[cfg(feature = "burn")]
pub(crate) use import::{code_width, short_names};
pub(crate) use kind::FileKind;
#[cfg(feature = "burn")]
pub use model::{Model, read_head};
pub use packing::PackedTensor;
#[cfg(feature = "burn")]
pub(crate) use packing::codes_name;
pub use plain::Plain;
pub(crate) use plain::PlainTensor;
#[cfg(feature = "burn")]
pub use planned::{planned_beside, planned_bytes};
#[cfg(feature = "burn")]
pub use sizes::{LayerSize, layer_sizes};
#[cfg(feature = "burn")]
pub use tensors::{NamedTensors, read_safetensors};
#[cfg(feature = "burn")]
pub use update::write_anew;
pub use update::{read_header, update_header};
#[cfg(feature = "burn")]
pub(crate) use wanted::fit;

use std::path::Path;

use crate::error::{Error, Result};
use crate::fs;
use crate::tensor_file::{self, Contents};

/// The metadata key.
const KEY: &str = "revox";
/// What errors call a file that cannot be read.
const FILE: &str = "safetensors file";
/// Tensors of the training head, which inference leaves aside.
pub const HEAD_PREFIX: &str = "projection.";

/// The file of the small model that revox ships.
pub(crate) const SHIPPED: &[u8] = include_bytes!("../../models/default/model.safetensors");

/// Reads a model file's bytes. Standard input is refused: some callers read the file again.
pub(crate) fn open(path: &Path) -> Result<Contents> {
    match fs::is_stdin(path) {
        true => Err(Error::file(path, "a model cannot be standard input; name its file")),
        false => tensor_file::read(path, FILE),
    }
}

#[cfg(test)]
mod tests;
