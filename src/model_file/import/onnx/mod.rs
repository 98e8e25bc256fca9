//! Import of ONNX files that `torch.onnx.export` wrote of WeSpeaker's networks.
//!
//! Tensors that kept the checkpoint's names are taken by them. Otherwise the graph tells which
//! tensor is which ([`matching`]), and which network it is ([`search`]).
//!
//! Files that `revox export` wrote say themselves what they hold ([`own`]), in short names where
//! that makes them small ([`names`]).
//!
//! A file may come from anywhere: it is read in place, and its values only after shapes were
//! compared.

mod described;
mod facts;
mod layers;
mod matching;
mod names;
mod own;
mod proto;
mod search;
mod tensor;
mod walk;
mod wire;
#[cfg(test)]
mod writer;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ImportOptions;
use super::checkpoint::{Checkpoint, Entry, Form};
use super::config::Config;
use super::infer::Resolved;
use super::likeness;
use crate::error::{Error, Remedy, Result};
use crate::fs;
use crate::zoo::Architecture;
pub use described::{OnnxFile, OnnxPort, OnnxTensor};
pub(super) use facts::Facts;
pub(crate) use names::{code_width, short_names};
pub(super) use own::Own;
use proto::Model;
use tensor::Tensor;
use walk::Constant;

/// A file, opened.
pub(super) struct File {
    path: PathBuf,
    content: Arc<Vec<u8>>,
    model: Model,
}

/// The network of a file.
pub(super) struct Found {
    /// Its name in the zoo.
    pub name: String,
    /// Its tensors, by the checkpoint's names.
    pub checkpoint: Checkpoint,
    /// How they were found.
    pub notes: Vec<String>,
}

impl File {
    /// Reads a file and the description of its graph.
    ///
    /// # Errors
    /// Files that are no ONNX files or cut off, or whose weights are in another file.
    pub fn read(path: &Path) -> Result<Self> {
        let content = fs::read(path)?;
        let model = proto::model(&content)
            .map_err(|e| Error::file(path, format!("not a readable ONNX file: {e}")))?;
        Ok(Self { path: path.into(), content: Arc::new(content), model })
    }

    /// What the file says beside its graph.
    ///
    /// # Errors
    /// Metadata that contradicts itself, or that asks for features that are not supported.
    pub fn facts(&self) -> Result<Facts> {
        Facts::of(&self.model, &self.content).map_err(|e| self.bad(&e))
    }

    /// The initialisers that have names of a checkpoint, not of an exporter.
    pub fn initialisers(&self) -> Checkpoint {
        let products = self.model.nodes.iter().filter(|node| match node.op.as_str() {
            "MatMul" => true,
            "Gemm" => node.integer("transB", 0) == 0,
            _ => false,
        });
        let turned: HashSet<&str> =
            products.filter_map(|node| Some(node.inputs.get(1)?.as_str())).collect();
        let is_kept =
            |name: &str| name.contains('.') && !name.contains("::") && !name.starts_with('/');
        let tensors = self.model.tensors.iter().filter(|(name, _)| is_kept(name));
        let tensors = tensors.filter_map(|(name, tensor)| {
            let turned = turned.contains(name.as_str()) && tensor.shape.len() == 2;
            let constant = Constant { name, tensor, turned };
            Some((name.clone(), matching::entry(&constant, Form::AsIs).ok()?))
        });
        self.checkpoint(tensors.collect())
    }

    /// The network in the file: the one named, or the only one of the zoo that fits.
    ///
    /// # Errors
    /// A node that stands in the way; no network that fits, or several.
    pub fn find(
        &self,
        named: Option<&Architecture>,
        config: Option<&Config>,
        said: &ImportOptions,
    ) -> Result<Found> {
        let checkpoint = self.initialisers();
        if let Some(name) = self.by_names(&checkpoint, named, config, said)? {
            let notes = vec!["the tensors were found by their names".to_owned()];
            return Ok(Found { name, checkpoint, notes });
        }
        let net = walk::walk(&self.model).map_err(|e| self.bad(&e))?;
        let search = search::Search { file: self, net: &net, said };
        let (name, tensors) = match named {
            Some(arch) => {
                let pooling = said.pooling.or(config.and_then(|c| c.pooling));
                (arch.name.clone(), search.one(arch, pooling)?)
            }
            None => search.all()?,
        };
        let mut notes = vec!["the tensors were found by the graph's shape".to_owned()];
        if tensors.folded > 0 {
            notes.push(format!(
                "{} BatchNorms were folded into the layers before them; they were written as \
                 identities, and embeddings are the same",
                tensors.folded
            ));
        }
        Ok(Found { name, checkpoint: self.checkpoint(tensors.tensors), notes })
    }

    /// The network whose names and shapes the initialisers have.
    fn by_names(
        &self,
        checkpoint: &Checkpoint,
        named: Option<&Architecture>,
        config: Option<&Config>,
        said: &ImportOptions,
    ) -> Result<Option<String>> {
        let fits = |arch: Architecture| {
            let found = Resolved::new(&self.path, checkpoint, arch, config, said);
            found.and_then(|found| found.fits(&self.path, checkpoint)).is_ok()
        };
        if let Some(arch) = named {
            return Ok(fits(arch.clone()).then(|| arch.name.clone()));
        }
        let mut names = likeness::likely(&self.path, checkpoint, said);
        names.retain(|name| Architecture::named(name).is_ok_and(&fits));
        match names[..] {
            [] => Ok(None),
            [name] => Ok(Some(name.to_owned())),
            _ => Err(self.several(&names)),
        }
    }

    fn checkpoint(&self, tensors: BTreeMap<String, Entry>) -> Checkpoint {
        Checkpoint::within(&self.path, &self.content, tensors)
    }

    fn bad(&self, what: &str) -> Error {
        Error::file(&self.path, what)
    }

    /// The error of a file that several networks fit.
    fn several(&self, names: &[&str]) -> Error {
        let names = names.join(", ");
        self.bad(&format!("it fits several networks: {names}")).with(Remedy::SayArchitecture)
    }
}

/// A tensor's values.
fn values(content: &[u8], name: &str, tensor: &Tensor) -> Result<Vec<f32>, String> {
    let range = tensor.range(name)?;
    let number = tensor.number.ok_or_else(|| format!("initialiser `{name}` has no values"))?;
    Ok(number.values(&content[range]))
}

#[cfg(test)]
mod tests;
