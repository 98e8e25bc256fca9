//! The architecture of a checkpoint, from the shapes of its tensors.

use std::path::Path;

use super::ImportOptions;
use super::config::Config;
use super::weights::{LAST, Weights};
use crate::error::{Error, Remedy, Result};
use crate::nn::{Graph, PoolingKind};
use crate::zoo::Architecture;

/// Frames for which networks are traced. Tensors do not depend on them.
const FRAMES: usize = 200;

/// The name of an architecture's first tensor, its first convolution's weight.
///
/// # Errors
/// An impossible architecture.
pub(super) fn first_tensor(arch: &Architecture) -> Result<String> {
    Ok(arch.graph(FRAMES)?.tensors.remove(0).name)
}

/// Width and sizes from the tensors' shapes, and what shapes leave open from the configuration or
/// the options. `first` is the name of the first tensor. The graph is that of the architecture
/// found.
///
/// # Errors
/// Shapes of another network, and sizes that contradict what was said.
pub(super) fn infer(
    path: &Path,
    mut arch: Architecture,
    first: &str,
    weights: &Weights,
    config: Option<&Config>,
    options: &ImportOptions,
) -> Result<(Architecture, Graph)> {
    let width = shape(path, weights, first, 4, &arch.name)?[0];
    let last = shape(path, weights, LAST, 2, &arch.name)?;
    arch.width = width;
    arch.embedding_dim = last[0];
    arch.two_embedding_layers = weights.network.contains_key("seg_2.weight");
    let attention =
        weights.network.contains_key("pool.linear1.weight").then_some(PoolingKind::Astp);
    let pooling = said("pooling", options.pooling, config.and_then(|c| c.pooling))?;
    arch.pooling = pooling.or(attention).unwrap_or(PoolingKind::Tstp);
    arch.mels = said("mels", options.mels, config.and_then(|c| c.mels))?.unwrap_or(80);
    // Bounds the sizes, so that the graph's arithmetic cannot overflow.
    arch.check().map_err(|e| Error::file(path, e.to_string()))?;
    let graph = arch.graph(FRAMES)?;
    let wanted = graph.tensors.iter().find(|tensor| tensor.name == LAST);
    let inputs = wanted.expect("every network has an embedding layer").shape[1];
    if inputs != last[1] {
        let message = format!(
            "`{LAST}` takes {} values, but {} mels with {:?} pooling give {inputs}",
            last[1], arch.mels, arch.pooling
        );
        return Err(Error::file(path, message).with(Remedy::SayFrontEnd));
    }
    Ok((arch, graph))
}

/// The shape of a tensor that has so many dimensions.
fn shape<'a>(
    path: &Path,
    weights: &Weights<'a>,
    name: &str,
    rank: usize,
    wanted_by: &str,
) -> Result<&'a [usize]> {
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
