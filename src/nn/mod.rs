//! Parts of networks, and the interpreters that run and record them.
//!
//! Field names are the keys of WeSpeaker's state_dict, so code and checkpoint can be compared by
//! eye. Every part is built at an [`Init`] (where it hangs in the network, which gives its
//! parameters their names, ids and initial values), and says once what it does, for every
//! interpreter ([`Exec`]): [`Run`] computes, [`Masked`] computes padded utterances, [`Trace`]
//! records a [`Graph`].

mod batch_norm;
mod block;
mod branch;
mod conv;
mod coupling;
mod exec;
mod function;
pub mod graph;
mod init;
mod layer_norm;
mod linear;
mod masked;
mod mix;
mod named;
mod normed;
mod over_frames;
mod pooling;
mod precision;
mod run;
mod segments;
mod squeeze;
mod stage;
#[cfg(test)]
mod tests;
mod trace;
#[cfg(test)]
pub(crate) mod wespeaker;

pub(crate) use crate::backend::simam::LAMBDA as SIMAM_LAMBDA;
pub use batch_norm::{BatchNorm, Epsilon, scale_and_shift};
pub use block::{Block, BranchKind, Downsample, downsample};
pub use branch::{Branch, Order};
pub use conv::{Conv, Conv1d, Conv1dConfig, Conv2d, Conv2dConfig, ConvConfig};
pub use coupling::Coupling;
pub use exec::{AnyPart, Body, Exec, Net, Part, Step};
pub use function::{Combine, Map};
pub use graph::{Graph, Value};
pub use init::Init;
pub(crate) use layer_norm::LAYER_NORM_EPSILON;
pub use layer_norm::LayerNorm;
pub use linear::Linear;
#[cfg(test)]
pub(crate) use masked::tests::{difference, trained};
pub use masked::{Masked, Padded};
pub use mix::Mix;
pub(crate) use named::Place;
pub use named::{assign_named, collect_named, gradients_named, ids_named, names_and_shapes};
pub use normed::Normed;
pub(crate) use pooling::DEVIATION_EPSILON;
pub use pooling::{Floor, Pooling, PoolingKind, Statistics};
pub use precision::Precision;
pub use run::Run;
pub use segments::Segments;
pub use squeeze::{Halves, Squeeze};
pub use stage::Stage;
#[cfg(test)]
pub(crate) use tests::evaluate;
pub use trace::Trace;

pub use crate::backend::Mode;
