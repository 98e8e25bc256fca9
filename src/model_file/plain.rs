//! Models without Burn: a file's header, its graph, and its tensors as they lie there.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};

use super::compare::{compare, finite};
use super::graph::{is_graph, stored_graph};
use super::packing::{Checked, Raw, checked, codes_name, statistic};
use super::update::header_in;
use super::{FILE, HEAD_PREFIX, Header, PackedTensor};
use crate::bytes::to_f32;
#[cfg(not(feature = "burn"))]
use crate::error::Remedy;
use crate::error::{Error, Result};
use crate::nn::graph::{Graph, Stored};
use crate::quant::Codebook;
use crate::tensor_file::{self, Contents};

/// A model as its file has it, for [`Runtime::of_plain`](crate::infer::Runtime::of_plain).
pub struct Plain {
    /// The metadata.
    pub header: Header,
    /// SHA-256 of the file, in hex: what `sha256sum` says of it.
    pub hash: String,
    /// The network.
    pub(crate) network: Stored,
    /// The tensors that the network has in this file, by name.
    pub(crate) tensors: HashMap<String, PlainTensor>,
}

/// A tensor, row-major.
pub(crate) enum PlainTensor {
    /// Values.
    Floats(Vec<f32>),
    /// Packed codes: their bytes, how many there are, and what they stand for.
    Codes(Vec<u8>, usize, Codebook),
}

impl Plain {
    /// The model of a file. One without a checksum is read too, with a note.
    ///
    /// # Errors
    /// A file that is no model, or damaged; a header that contradicts itself; a graph or tensors
    /// that do not fit each other or the header. Without the feature `burn`, a file that an older
    /// version wrote, which has no graph.
    pub fn open(path: &Path) -> Result<Self> {
        Self::of(path, &super::open(path)?)
    }

    /// The model whose file's bytes these are; `name` stands for the file's path in errors.
    ///
    /// # Errors
    /// Those of [`Plain::open`].
    pub fn from_bytes(name: &Path, bytes: Vec<u8>) -> Result<Self> {
        Self::of(name, &tensor_file::from_bytes(name, bytes, FILE)?)
    }

    fn of(path: &Path, file: &Contents) -> Result<Self> {
        let stored = stored_graph(path, file)?;
        // What an older revox wrote may leave out what this header needs.
        #[cfg(not(feature = "burn"))]
        let network = stored.ok_or_else(|| without_graph(path, file))?;
        let header = header_in(path, file)?;
        #[cfg(feature = "burn")]
        let network = stored.map_or_else(|| made(path, &header), Ok)?;
        check(&header, &network.graph).map_err(|what| Error::file(path, what))?;
        let tensors = tensors(path, &header, &network.graph, file)?;
        Ok(Self { header, hash: file.hash(), network, tensors })
    }
}

/// The graph of a file that has none, by its architecture.
#[cfg(feature = "burn")]
fn made(path: &Path, header: &Header) -> Result<Stored> {
    header.arch.stored_graph().map_err(|e| Error::file(path, e.to_string()))
}

/// The refusal of a file without a graph.
#[cfg(not(feature = "burn"))]
fn without_graph(path: &Path, file: &Contents) -> Error {
    // What is no model at all is told as such.
    match header_in(path, file) {
        Err(error) if !file.metadata.contains_key(super::KEY) => error,
        _ => {
            let message = "an older revox wrote it, without its network's graph";
            Error::file(path, message).with(Remedy::WriteAnew)
        }
    }
}

/// Refuses a graph of another network than the header's.
fn check(header: &Header, graph: &Graph) -> Result<(), String> {
    let (mels, dim) = (header.frontend.fbank.mels, header.embedding_dim);
    match (graph.input.as_slice(), graph.size(graph.output).as_slice()) {
        (&[1, found, _], &[made]) if found == mels && made == dim => (),
        (input, output) => {
            return Err(format!(
                "its graph makes {output:?} of {input:?}; the header says {mels} mels and \
                 {dim} values"
            ));
        }
    }
    header.check_activations(graph)
}

/// The tensors that a network has in a file. Each is checked.
fn tensors(
    path: &Path,
    header: &Header,
    graph: &Graph,
    file: &Contents,
) -> Result<HashMap<String, PlainTensor>> {
    let views = file.tensors();
    let is_counter = |view: &TensorView| view.dtype() == Dtype::I64;
    let found: HashMap<&str, TensorView> = views
        .iter()
        .filter(|(name, view)| {
            !name.starts_with(HEAD_PREFIX) && !is_graph(name, file) && !is_counter(view)
        })
        .collect();
    let all: HashMap<&str, &[usize]> =
        graph.tensors.iter().map(|info| (info.name.as_str(), info.shape.as_slice())).collect();
    let mut shapes: HashMap<&str, Vec<usize>> =
        found.iter().map(|(name, view)| (*name, view.shape().to_vec())).collect();
    let mut made = HashMap::with_capacity(graph.tensors.len());
    for (name, tensor) in &header.quantization {
        let arch = &header.arch.name;
        let Some(shape) = all.get(name.as_str()) else {
            let message = format!("packed tensor `{name}` has no place in {arch}");
            return Err(Error::file(path, message));
        };
        if *shape != tensor.shape {
            return Err(Error::Shape {
                path: path.into(),
                tensor: name.clone(),
                wanted_by: arch.clone(),
                expected: shape.to_vec(),
                found: tensor.shape.clone(),
            });
        }
        made.insert(name.clone(), unpacked(path, name, tensor, &found)?);
        shapes.remove(codes_name(name).as_str());
        shapes.remove(tensor.codebook.as_str());
    }
    let is_packed = !header.quantization.is_empty();
    let is_there = |name: &str| all.contains_key(name);
    // A packed model has no statistics that change nothing.
    let is_idle = |name: &str| is_packed && statistic(name, &is_there).is_some();
    let wanted = graph.tensors.iter();
    let wanted = wanted.filter(|info| !made.contains_key(&info.name) && !is_idle(&info.name));
    let wanted: Vec<(String, Vec<usize>)> =
        wanted.map(|info| (info.name.clone(), info.shape.clone())).collect();
    compare(path, &wanted, &header.arch.name, &shapes)?;
    for (name, _) in wanted {
        let view = &found[name.as_str()];
        if view.dtype() != Dtype::F32 {
            let message = format!("tensor `{name}` is {:?}; F32 is wanted", view.dtype());
            return Err(Error::file(path, message));
        }
        let values = to_f32(view.data());
        finite(path, &name, values.iter().copied())?;
        made.insert(name, PlainTensor::Floats(values));
    }
    Ok(made)
}

/// A packed tensor.
fn unpacked(
    path: &Path,
    name: &str,
    tensor: &PackedTensor,
    found: &HashMap<&str, TensorView>,
) -> Result<PlainTensor> {
    let raw = |name: &str| {
        let view = found.get(name)?;
        Some(Raw { dtype: view.dtype(), shape: view.shape().to_vec(), bytes: view.data() })
    };
    let (data, book) = (raw(&codes_name(name)), raw(&tensor.codebook));
    let Checked { codes, book } = checked(path, name, tensor, data, book)?;
    Ok(PlainTensor::Codes(codes.to_vec(), tensor.shape.iter().product(), book))
}

#[cfg(test)]
mod tests;
