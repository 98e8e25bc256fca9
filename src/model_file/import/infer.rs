//! The architecture of a checkpoint, from the shapes of its tensors.

mod plain;

use std::path::Path;

use self::plain::{Plain, WITHOUT_ATTENTION};
use super::checkpoint::Checkpoint;
use super::config::Config;
use super::weights::{self, Weights};
use super::{ImportOptions, layers};
use crate::error::{Error, Remedy, Result};
use crate::model_file::compare::compare;
use crate::nn::graph::{Info, Op};
use crate::nn::{Graph, Stage};
use crate::zoo::Architecture;

/// A checkpoint's network, found and understood.
pub(super) struct Resolved<'a> {
    pub weights: Weights<'a>,
    pub arch: Architecture,
    graph: Graph,
    /// The layers may have other sizes, which nobody has said.
    is_unsaid: bool,
}

impl<'a> Resolved<'a> {
    /// The network in a checkpoint, one of `arch`'s name and layers. Sizes come from the
    /// checkpoint's shapes, and what shapes leave open from the configuration or the options.
    ///
    /// # Errors
    /// An impossible architecture; a checkpoint of another network; sizes that contradict what was
    /// said.
    pub fn new(
        path: &Path,
        checkpoint: &'a Checkpoint,
        arch: Architecture,
        config: Option<&Config>,
        options: &ImportOptions,
    ) -> Result<Self> {
        let landmarks = Landmarks::of(&arch)?;
        let key = options.key.as_deref();
        let is_unsaid = config.is_none() && arch.layers.is_none() && layers::are_open(&arch);
        let weights = weights::find(path, checkpoint, &arch.name, landmarks.names(), key)?;
        let (arch, graph) = infer(path, arch, &landmarks, &weights, config, options)
            .map_err(|e| sized(e, is_unsaid))?;
        Ok(Self { weights, arch, graph, is_unsaid })
    }

    /// Compares all tensors with those that the network wants.
    ///
    /// # Errors
    /// A network larger than the file; missing, superfluous and misshapen tensors.
    pub fn fits(&self, path: &Path, checkpoint: &Checkpoint) -> Result<()> {
        let Architecture { name, width, .. } = &self.arch;
        // A parameter takes at least a byte, so the file cannot hold a larger network.
        let (parameters, held) = (self.graph.parameters() as u64, checkpoint.held);
        if parameters > held {
            let message = format!(
                "{name} of width {width} has {parameters} parameters; the file holds {held} bytes"
            );
            return Err(sized(Error::file(path, message), self.is_unsaid));
        }
        let network = &self.weights.network;
        let shapes = network.iter().map(|(name, entry)| (*name, entry.shape.clone())).collect();
        compare(path, &self.graph.names_and_shapes(), name, &shapes)
            .map_err(|e| sized(e, self.is_unsaid))
    }
}

/// An error about sizes, which may be others than the published ones if nobody has said them.
fn sized(error: Error, is_unsaid: bool) -> Error {
    match is_unsaid && error.remedy().is_none() {
        true => error.with(Remedy::SaySizes),
        false => error,
    }
}

/// The tensors by which a file tells its network. Every network of the family has them.
struct Landmarks {
    /// The tensor whose first axis is the width.
    width: Info,
    /// The weight of the embedding layer, `[embedding_dim, statistics]`; a third axis has size 1.
    embedding: Info,
}

impl Landmarks {
    /// # Errors
    /// An unknown name, or a network without embedding layer.
    fn of(arch: &Architecture) -> Result<Self> {
        // Other layers need not go with the usual sizes, and have the same landmarks.
        let usual = Architecture { layers: None, ..arch.clone() };
        let graph = usual.layout()?;
        let embedding = embedding_layer(&arch.name, &graph)?.clone();
        let width = usual.width_tensor()?;
        let width = graph.tensors.into_iter().find(|tensor| tensor.name == width);
        let width = width
            .ok_or_else(|| Error::invalid(format!("no tensor tells the width of {}", arch.name)))?;
        Ok(Self { width, embedding })
    }

    fn names(&self) -> [&str; 2] {
        [&self.width.name, &self.embedding.name]
    }
}

/// The weight of the first layer behind the pooling: linear, or a convolution over one frame.
fn embedding_layer<'a>(name: &str, graph: &'a Graph) -> Result<&'a Info> {
    let tail = &graph.nodes[graph.tail.nodes.clone()];
    let layer = tail.iter().find(|node| matches!(node.op, Op::Linear | Op::Conv1d(_)));
    let weight = layer.and_then(|node| graph.tensors.get(*node.tensors.first()?));
    weight.ok_or_else(|| Error::invalid(format!("{name} has no embedding layer")))
}

/// Sizes from the tensors' shapes, and what shapes leave open from the configuration or the
/// options. The graph is that of the architecture found.
fn infer(
    path: &Path,
    mut arch: Architecture,
    landmarks: &Landmarks,
    weights: &Weights,
    config: Option<&Config>,
    options: &ImportOptions,
) -> Result<(Architecture, Graph)> {
    let (usual, published) = (arch.pooling, arch.width);
    arch.width = shape(path, weights, &landmarks.width, &arch.name)?[0];
    let embedding = shape(path, weights, &landmarks.embedding, &arch.name)?;
    arch.embedding_dim = embedding[0];
    // A configuration says the layers.
    if config.is_none() && arch.layers.is_none() {
        arch.layers = layers::told(&arch, weights);
    }
    let mels = said("mels", options.mels, config.and_then(|c| c.mels))?;
    arch.mels = mels.unwrap_or(arch.mels);
    // Bounds the sizes, so that the graphs' arithmetic cannot overflow.
    let possible = |arch: &Architecture| {
        let Err(e) = arch.check() else { return Ok(()) };
        let error = Error::file(path, e.to_string());
        Err(match arch.width == published {
            true => error,
            false => error.and(&format!("its tensors tell a width of {}", arch.width)),
        })
    };
    possible(&arch)?;
    if mels.is_none()
        && let Some(mels) = mels_of(&arch, weights)?
    {
        arch.mels = mels;
        possible(&arch)?;
    }
    let plain = Plain::of(&arch)?;
    arch.two_embedding_layers = plain.two_embedding_layers(weights)?;
    arch.pooling = match said("pooling", options.pooling, config.and_then(|c| c.pooling))? {
        Some(pooling) => pooling,
        None => match plain.attention(weights)? {
            Some(pooling) => pooling,
            None if WITHOUT_ATTENTION.contains(&usual) => usual,
            None => plain.arch.pooling,
        },
    };
    possible(&arch)?;
    let graph = arch.layout()?;
    let wanted = embedding_layer(&arch.name, &graph)?;
    if wanted.shape[1] != embedding[1] {
        let message = format!(
            "`{}` takes {} values, but {} mels with {} pooling give {}",
            wanted.name,
            embedding[1],
            arch.mels,
            arch.pooling.name(),
            wanted.shape[1]
        );
        return Err(Error::file(path, message).with(Remedy::SayFrontEnd));
    }
    Ok((arch, graph))
}

/// The number of mels, where a layer in front of the pooling tells it: one whose size is a multiple
/// of it. Behind the pooling, sizes depend on the pooling too.
fn mels_of(arch: &Architecture, weights: &Weights) -> Result<Option<usize>> {
    let twice = Architecture { mels: 2 * arch.mels, ..arch.clone() };
    if twice.check().is_err() {
        return Ok(None);
    }
    let (graph, twice) = (arch.layout()?, twice.layout()?);
    let late = |stage: Stage| [Stage::POOLING, Stage::EMBEDDING].contains(&stage);
    let nodes = graph.nodes.iter().filter(|node| !late(node.stage));
    for &place in nodes.flat_map(|node| &node.tensors) {
        let (one, two) = (&graph.tensors[place], &twice.tensors[place]);
        let Some(found) = weights.network.get(one.name.as_str()) else { continue };
        if found.shape.len() != one.shape.len() {
            continue;
        }
        for ((&one, &two), &found) in one.shape.iter().zip(&two.shape).zip(&found.shape) {
            let each = one / arch.mels;
            if one % arch.mels == 0 && two == 2 * one && each > 0 && found % each == 0 {
                return Ok(Some(found / each));
            }
        }
    }
    Ok(None)
}

/// The shape of a file's tensor, which has as many dimensions as the one wanted.
fn shape<'a>(
    path: &Path,
    weights: &Weights<'a>,
    wanted: &Info,
    wanted_by: &str,
) -> Result<&'a [usize]> {
    let (name, rank) = (wanted.name.as_str(), wanted.shape.len());
    match weights.network.get(name).map(|entry| entry.shape.as_slice()) {
        None => Err(Error::file(path, format!("no tensor `{name}`, so this is not a {wanted_by}"))),
        Some(shape) if shape.len() == rank => Ok(shape),
        Some(shape) => Err(Error::file(
            path,
            format!("tensor `{name}` has shape {shape:?}, rank {rank} is wanted"),
        )),
    }
}

/// The value that an option or the configuration gives. `option` is the option's name in errors.
///
/// # Errors
/// They contradict each other.
pub(super) fn said<T: PartialEq + std::fmt::Debug>(
    option: &str,
    given: Option<T>,
    configured: Option<T>,
) -> Result<Option<T>> {
    match (given, configured) {
        (Some(a), Some(b)) if a != b => {
            Err(Error::invalid(format!("{option} {a:?}, but the configuration says {b:?}")))
        }
        (given, configured) => Ok(given.or(configured)),
    }
}

#[cfg(test)]
mod tests;
