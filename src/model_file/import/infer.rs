//! The architecture of a checkpoint, from the shapes of its tensors.

use std::collections::HashSet;
use std::path::Path;

use super::ImportOptions;
use super::config::Config;
use super::weights::Weights;
use crate::error::{Error, Remedy, Result};
use crate::nn::graph::{Info, Op};
use crate::nn::{Graph, PoolingKind};
use crate::zoo::Architecture;

/// The tensors by which a file tells its network.
pub(super) struct Landmarks {
    /// The weight of the stem's convolution. Its first axis, the channels of the stem, is the width
    /// in all of WeSpeaker's networks.
    pub first: Info,
    /// The weight of the embedding layer, `[embedding_dim, statistics]`.
    pub embedding: Info,
    /// Names that only a network with two embedding layers has.
    two_embedding_layers: Vec<String>,
    /// Names that only a network with ASTP has.
    attention: Vec<String>,
}

impl Landmarks {
    /// The landmarks of an architecture that has one embedding layer and a pooling without
    /// attention.
    ///
    /// # Errors
    /// An impossible architecture, or one without embedding layer.
    pub fn of(arch: &Architecture) -> Result<Self> {
        let graph = arch.layout()?;
        let embedding = embedding_layer(&arch.name, &graph)?.clone();
        let two = Architecture { two_embedding_layers: true, ..arch.clone() };
        let attention = Architecture { pooling: PoolingKind::Astp, ..arch.clone() };
        let (two_embedding_layers, attention) = (added(&graph, &two)?, added(&graph, &attention)?);
        // There is a first tensor: the embedding layer has some.
        let first = graph.tensors[0].clone();
        Ok(Self { first, embedding, two_embedding_layers, attention })
    }

    /// Names of the two tensors that every such network has.
    pub fn names(&self) -> [&str; 2] {
        [&self.first.name, &self.embedding.name]
    }
}

/// The weight of the first linear layer behind the pooling.
fn embedding_layer<'a>(name: &str, graph: &'a Graph) -> Result<&'a Info> {
    let tail = &graph.nodes[graph.tail.nodes.clone()];
    let layer = tail.iter().find(|node| node.op == Op::Linear);
    let weight = layer.and_then(|node| graph.tensors.get(*node.tensors.first()?));
    weight.ok_or_else(|| Error::invalid(format!("{name} has no embedding layer")))
}

/// Names of the tensors that `changed` has and the network of `graph` does not have.
fn added(graph: &Graph, changed: &Architecture) -> Result<Vec<String>> {
    let known: HashSet<&str> = graph.tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    let names = changed.layout()?.tensors.into_iter().map(|tensor| tensor.name);
    Ok(names.filter(|name| !known.contains(name.as_str())).collect())
}

/// Width and sizes from the tensors' shapes, and what shapes leave open from the configuration or
/// the options. The graph is that of the architecture found.
///
/// # Errors
/// Shapes of another network, and sizes that contradict what was said.
pub(super) fn infer(
    path: &Path,
    mut arch: Architecture,
    landmarks: &Landmarks,
    weights: &Weights,
    config: Option<&Config>,
    options: &ImportOptions,
) -> Result<(Architecture, Graph)> {
    let width = shape(path, weights, &landmarks.first, &arch.name)?[0];
    let embedding = shape(path, weights, &landmarks.embedding, &arch.name)?;
    let has = |names: &[String]| names.iter().any(|n| weights.network.contains_key(n.as_str()));
    arch.width = width;
    arch.embedding_dim = embedding[0];
    arch.two_embedding_layers = has(&landmarks.two_embedding_layers);
    let attention = has(&landmarks.attention).then_some(PoolingKind::Astp);
    let pooling = said("pooling", options.pooling, config.and_then(|c| c.pooling))?;
    arch.pooling = pooling.or(attention).unwrap_or(PoolingKind::Tstp);
    arch.mels = said("mels", options.mels, config.and_then(|c| c.mels))?.unwrap_or(80);
    // Bounds the sizes, so that the graph's arithmetic cannot overflow.
    arch.check().map_err(|e| Error::file(path, e.to_string()))?;
    let graph = arch.layout()?;
    let wanted = embedding_layer(&arch.name, &graph)?;
    if wanted.shape[1] != embedding[1] {
        let message = format!(
            "`{}` takes {} values, but {} mels with {:?} pooling give {}",
            wanted.name, embedding[1], arch.mels, arch.pooling, wanted.shape[1]
        );
        return Err(Error::file(path, message).with(Remedy::SayFrontEnd));
    }
    Ok((arch, graph))
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
mod tests {
    use super::*;

    #[test]
    fn landmarks_come_from_the_graph() {
        for name in ["resnet10", "resnet50", "gemini-df-resnet60", "rev2-df-resnet32"] {
            let landmarks = Landmarks::of(&Architecture::named(name).unwrap()).unwrap();
            assert!(landmarks.first.name.ends_with(".weight"), "{}", landmarks.first.name);
            assert_eq!(landmarks.embedding.name, "seg_1.weight");
            let has = |names: &[String], name: &str| names.iter().any(|n| n == name);
            assert!(has(&landmarks.two_embedding_layers, "seg_2.weight"));
            assert!(landmarks.attention.iter().any(|n| n.ends_with("pool.linear1.weight")));
            assert!(!has(&landmarks.attention, "seg_1.weight"));
        }
    }
}
