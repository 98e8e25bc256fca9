//! Changes to a model file's metadata that leave its tensors as they are.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::Dtype;

use super::graph::GRAPH;
use super::{FileKind, Header, KEY, Scoring, open};
use crate::error::{Error, Remedy, Result};
use crate::scoring::{Curve, MODEL_FALSE_ACCEPT_RATES};
use crate::tensor_file::{self, Contents, Part};

impl Scoring {
    /// Takes the thresholds of a set of scores: at their equal error rate, and at the false-accept
    /// rates of [`MODEL_FALSE_ACCEPT_RATES`]. Where a rate has no finite threshold, none is stored.
    pub fn set_thresholds(&mut self, curve: &Curve) {
        let finite = |threshold: f64| Some(threshold).filter(|t| t.is_finite());
        self.threshold_eer = finite(curve.eer().threshold);
        self.thresholds = MODEL_FALSE_ACCEPT_RATES
            .iter()
            .filter_map(|&far| Some((far, finite(curve.at_far(far).threshold)?)))
            .collect();
    }
}

/// The header among a file's metadata.
pub(super) fn header_of(path: &Path, metadata: &BTreeMap<String, String>) -> Result<Header> {
    let json =
        metadata.get(KEY).ok_or_else(|| match metadata.contains_key("revox-checkpoint") {
            true => Error::file(
                path,
                "is the checkpoint of a training; the model is model.safetensors beside it",
            ),
            false => {
                Error::file(path, "a safetensors file without revox metadata").with(Remedy::Import)
            }
        })?;
    let header: Header = serde_json::from_str(json)
        .map_err(|e| Error::file(path, format!("damaged revox metadata: {e}")))?;
    header.check(path)?;
    Ok(header)
}

/// The header of a file. Of a file that is no model but another one of this library's, the error
/// says what it is.
pub(super) fn header_in(path: &Path, file: &Contents) -> Result<Header> {
    let what = match FileKind::of(file.bytes()) {
        Some(FileKind::Embeddings) => "holds embeddings; wanted is a network's model",
        Some(FileKind::Plda) => "is a PLDA model; wanted is a network's model",
        Some(FileKind::Model) | None => return header_of(path, &file.metadata),
    };
    Err(Error::file(path, what))
}

/// The header of a model file.
///
/// # Errors
/// A file that is no model, or damaged anywhere.
pub fn read_header(path: impl AsRef<Path>) -> Result<Header> {
    let path = path.as_ref();
    header_in(path, &open(path)?)
}

/// Writes the model file `from` with a changed header to `to`, which may be the same file. All
/// tensors and all other metadata stay the same, bit for bit. The checksum is made anew.
///
/// # Errors
/// A file that is no model, or damaged; a header that contradicts itself after the change; a file
/// that cannot be written.
pub fn update_header(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    change: impl FnOnce(&mut Header),
) -> Result<()> {
    rewrite(from.as_ref(), to.as_ref(), change, |_| Ok(None))
}

/// Writes the model file `from` to `to` with its network's graph, which files of older versions
/// lack. Everything else stays the same, bit for bit.
///
/// # Errors
/// A file that is no model, or damaged; a file that cannot be written.
#[cfg(feature = "burn")]
pub fn write_anew(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<()> {
    let graph = |header: &Header| super::graph::bytes_of(header).map(Some);
    rewrite(from.as_ref(), to.as_ref(), |_| (), graph)
}

/// Writes a model file with a changed header and, if there is a new one, another graph.
fn rewrite(
    from: &Path,
    to: &Path,
    change: impl FnOnce(&mut Header),
    graph: impl FnOnce(&Header) -> Result<Option<Vec<u8>>>,
) -> Result<()> {
    let file = open(from)?;
    let mut header = header_in(from, &file)?;
    change(&mut header);
    header.check(to)?;
    let json = serde_json::to_string(&header).map_err(|e| Error::file(to, e.to_string()))?;
    let others = file.metadata.iter().filter(|(key, _)| *key != KEY);
    let mut metadata: Vec<(&str, &str)> =
        others.map(|(key, value)| (key.as_str(), value.as_str())).collect();
    metadata.push((KEY, &json));
    let tensors = file.tensors();
    let mut parts: Vec<Part> = tensors
        .iter()
        .map(|(name, view)| Part {
            name: name.into(),
            dtype: view.dtype(),
            shape: view.shape().to_vec(),
            bytes: view.data().into(),
        })
        .collect();
    if let Some(graph) = graph(&header)? {
        parts.retain(|part| part.name != GRAPH);
        let (name, shape) = (GRAPH.into(), vec![graph.len()]);
        parts.push(Part { name, dtype: Dtype::U8, shape, bytes: graph.into() });
    }
    tensor_file::write(to, &metadata, &parts)
}

#[cfg(test)]
mod tests;
