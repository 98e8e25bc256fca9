//! Parts of networks, and the interpreters that run and record them.
//!
//! Field names are the keys of WeSpeaker's state_dict, so code and checkpoint can be compared by
//! eye. Every part is built at an [`Init`] (where it hangs in the network, which gives its
//! parameters their names, ids and initial values), and says once what it does, for every
//! interpreter ([`Exec`]): [`Run`] computes, [`Masked`] computes padded utterances, [`Trace`]
//! records a [`Graph`].
//!
//! Without the feature `burn` the data alone is here: graphs, and what describes layers.

#[cfg(feature = "burn")]
mod batch_norm;
#[cfg(feature = "burn")]
mod block;
#[cfg(feature = "burn")]
mod branch;
#[cfg(feature = "burn")]
mod conv;
mod conv_config;
#[cfg(feature = "burn")]
mod coupling;
mod epsilon;
#[cfg(feature = "burn")]
mod exec;
mod function;
pub mod graph;
#[cfg(feature = "burn")]
mod init;
#[cfg(feature = "burn")]
mod layer_norm;
#[cfg(feature = "burn")]
mod linear;
#[cfg(feature = "burn")]
mod masked;
#[cfg(feature = "burn")]
mod mix;
#[cfg(feature = "burn")]
mod named;
#[cfg(feature = "burn")]
mod normed;
mod order;
#[cfg(feature = "burn")]
mod over_frames;
mod pooling;
#[cfg(feature = "burn")]
mod precision;
#[cfg(feature = "burn")]
mod program;
#[cfg(test)]
mod pulled;
#[cfg(feature = "burn")]
mod run;
#[cfg(feature = "burn")]
mod segments;
mod squeeze;
mod stage;
#[cfg(test)]
mod tests;
#[cfg(feature = "burn")]
mod trace;
#[cfg(test)]
pub(crate) mod wespeaker;

pub(crate) use crate::functions::SIMAM_LAMBDA;
pub use conv_config::{Conv1dConfig, Conv2dConfig, ConvConfig};
pub use epsilon::Epsilon;
pub(crate) use epsilon::LAYER_NORM_EPSILON;
pub use function::{Combine, Map};
pub use graph::{Graph, Value};
pub use order::Order;
pub(crate) use pooling::DEVIATION_EPSILON;
pub use pooling::{Floor, PoolingKind, Statistics};
pub use squeeze::{Halves, Squeeze};
pub use stage::Stage;

#[cfg(feature = "burn")]
pub use layers::*;

/// What computes.
#[cfg(feature = "burn")]
mod layers {
    pub use super::batch_norm::{BatchNorm, scale_and_shift};
    pub use super::block::{Block, BranchKind, Downsample, downsample};
    pub use super::branch::Branch;
    pub use super::conv::{Conv, Conv1d, Conv2d};
    pub use super::coupling::Coupling;
    pub use super::exec::{AnyPart, Body, Exec, Net, Part, Step};
    pub use super::init::Init;
    pub use super::layer_norm::LayerNorm;
    pub use super::linear::Linear;
    pub use super::masked::{Masked, Padded};
    pub use super::mix::Mix;
    pub(crate) use super::named::Place;
    pub use super::named::{
        assign_named, collect_named, gradients_named, ids_named, names_and_shapes,
    };
    pub use super::normed::Normed;
    pub use super::pooling::Pooling;
    pub use super::precision::Precision;
    pub(crate) use super::program::run_spans;
    pub use super::run::Run;
    pub use super::segments::Segments;
    pub use super::trace::Trace;
    pub use crate::backend::Mode;
}
#[cfg(test)]
pub(crate) use masked::tests::{difference, trained};
#[cfg(test)]
pub(crate) use tests::evaluate;
