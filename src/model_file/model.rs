//! Models with their networks.

use std::path::Path;

use burn::tensor::{Device, TensorData};

use super::graph::{self, GRAPH};
use super::wanted::build;
use super::{FILE, HEAD_PREFIX, Header, KEY, NamedTensors, open, packed, tensors, update};
use crate::error::{Error, Result};
use crate::nn::collect_named;
use crate::tensor_file::{self, Contents};
use crate::zoo::Network;

/// A network with everything that is needed to use it.
#[derive(Debug, Clone)]
pub struct Model {
    /// The metadata.
    pub header: Header,
    /// The weights, in evaluation state.
    pub network: Network,
}

impl Model {
    /// Writes the file (atomically), with a checksum. `head` adds the training head's tensors,
    /// named `projection.*`.
    ///
    /// # Errors
    /// A file that cannot be written; two tensors of one name.
    pub fn save(&self, path: impl AsRef<Path>, head: NamedTensors) -> Result<()> {
        let path = path.as_ref();
        let (tensors, json) = self.described(path, head)?;
        tensor_file::write(path, &[(KEY, &json)], &tensors.parts(path)?)
    }

    /// The file's content; `path` appears in errors.
    ///
    /// # Errors
    /// Two tensors of one name.
    pub fn to_bytes(&self, path: &Path, head: NamedTensors) -> Result<Vec<u8>> {
        let (tensors, json) = self.described(path, head)?;
        tensors.to_safetensors(path, KEY, json)
    }

    /// The file's tensors, with the network's graph among them, and the header as JSON.
    fn described(&self, path: &Path, head: NamedTensors) -> Result<(NamedTensors, String)> {
        let mut tensors = self.tensors();
        tensors.0.extend(head.0);
        let graph = graph::bytes_of(&self.header)?;
        let count = graph.len();
        tensors.0.push((GRAPH.to_owned(), TensorData::new(graph, [count])));
        let json =
            serde_json::to_string(&self.header).map_err(|e| Error::file(path, e.to_string()))?;
        Ok((tensors, json))
    }

    /// The same model with all activations in f32.
    #[must_use]
    pub fn with_f32_activations(&self) -> Self {
        let header = Header { activations: None, ..self.header.clone() };
        Self { header, network: self.network.clone() }
    }

    /// The tensors as the model's file holds them: packed weights as codes and codebooks.
    pub(crate) fn tensors(&self) -> NamedTensors {
        match self.header.quantization.is_empty() {
            true => NamedTensors::from_burn(collect_named(&self.network)),
            false => packed::collect(&self.network, &self.header),
        }
    }

    /// Reads a file. One without a checksum is read too, with a note.
    ///
    /// # Errors
    /// A file that is no model, or whose checksum is not that of its content; a header that
    /// contradicts itself; tensors with names, shapes or number formats other than the
    /// architecture's.
    pub fn load(path: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let path = path.as_ref();
        Ok(Self::with_head(path, open(path)?, device)?.0)
    }

    /// The model whose file's bytes these are; `name` stands for the file's path in errors.
    ///
    /// # Errors
    /// Those of [`Self::load`].
    pub fn from_bytes(name: &Path, bytes: Vec<u8>, device: &Device) -> Result<Self> {
        Ok(Self::with_head(name, tensor_file::from_bytes(name, bytes, FILE)?, device)?.0)
    }

    /// The model that the file `path` holds, and the tensors of its training head, if there is one.
    ///
    /// # Errors
    /// Those of [`Self::load`].
    pub(crate) fn with_head(
        path: &Path,
        file: Contents,
        device: &Device,
    ) -> Result<(Self, NamedTensors)> {
        let header = update::header_in(path, &file)?;
        let tensors = tensors::all_of(path, &file)?;
        // The values are in `tensors`, and building a network takes memory.
        drop(file);
        let (head, body) =
            tensors.0.into_iter().partition(|(name, _)| name.starts_with(HEAD_PREFIX));
        let network = match header.quantization.is_empty() {
            true => build(path, &header.arch, NamedTensors(body), device)?,
            false => packed::build(path, &header, NamedTensors(body), device)?,
        };
        Ok((Self { header, network }, NamedTensors(head)))
    }
}

/// The training head's tensors of a model file; none if it does not hold the head.
///
/// # Errors
/// A file that is no safetensors file, or damaged.
pub fn read_head(path: &Path) -> Result<NamedTensors> {
    let mut tensors = tensors::all_of(path, &open(path)?)?;
    tensors.0.retain(|(name, _)| name.starts_with(HEAD_PREFIX));
    Ok(tensors)
}
