//! The architecture of a checkpoint, from the shapes of its tensors.

use std::path::Path;

use super::ImportOptions;
use super::config::Config;
use super::weights::{LAST, Weights};
use crate::error::{Error, Result};
use crate::nn::PoolingKind;
use crate::zoo::{Architecture, BlockKind, Body, DfLayout};

/// What a body tells of its tensors.
pub(super) struct Shape {
    /// The name of the first convolution's weight.
    pub first: &'static str,
    /// Channels behind the last stage for each of the stem.
    expansion: usize,
    /// How much fewer mels are left behind the last stage.
    shrink: usize,
}

impl Shape {
    /// Of an architecture.
    pub fn of(arch: &Architecture) -> Result<Self> {
        let (first, expansion, shrink) = match arch.body()? {
            Body::ResNet(BlockKind::Basic, _) => ("conv1.weight", 8, 8),
            Body::ResNet(BlockKind::Bottleneck, _) => ("conv1.weight", 32, 8),
            Body::DfResNet(DfLayout::Original, _) => ("downsample_layers.0.0.weight", 8, 8),
            Body::DfResNet(DfLayout::Gemini, _) => ("downsample_layers.0.0.weight", 8, 16),
        };
        Ok(Self { first, expansion, shrink })
    }
}

/// Width and sizes from the tensors' shapes; what shapes leave open from configuration or options.
///
/// # Errors
/// Shapes of another network, and sizes that contradict what was said.
pub(super) fn infer(
    path: &Path,
    mut arch: Architecture,
    body: &Shape,
    weights: &Weights,
    config: Option<&Config>,
    options: &ImportOptions,
) -> Result<Architecture> {
    let width = shape(path, weights, body.first, 4, &arch.name)?[0];
    let last = shape(path, weights, LAST, 2, &arch.name)?;
    arch.width = width;
    arch.embedding_dim = last[0];
    arch.two_embedding_layers = weights.network.contains_key("seg_2.weight");
    let attention =
        weights.network.contains_key("pool.linear1.weight").then_some(PoolingKind::Astp);
    let pooling = said("--pooling", options.pooling, config.and_then(|c| c.pooling))?;
    arch.pooling = pooling.or(attention).unwrap_or(PoolingKind::Tstp);
    arch.mels = said("--mels", options.mels, config.and_then(|c| c.mels))?.unwrap_or(80);
    // Within their bounds, so that the products below are too.
    arch.check().map_err(|e| Error::file(path, e.to_string()))?;
    let inputs =
        body.expansion * arch.width * arch.mels.div_ceil(body.shrink) * arch.pooling.statistics();
    if inputs != last[1] {
        return Err(Error::file(
            path,
            format!(
                "`{LAST}` takes {} values, but {} mels with {:?} pooling give {inputs}; say --mels and --pooling, or give \
                 --config",
                last[1], arch.mels, arch.pooling
            ),
        ));
    }
    Ok(arch)
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

/// What an option says, or the configuration; both say the same or only one speaks.
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
