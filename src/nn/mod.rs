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
pub mod graph;
mod init;
mod linear;
mod masked;
mod named;
mod pooling;
mod precision;
mod run;
mod squeeze;
#[cfg(test)]
mod tests;
mod trace;

pub use batch_norm::{BatchNorm, identity_variance, scale_and_shift};
pub use block::{Block, BranchKind, Downsample, downsample};
pub use branch::{Branch, Order};
pub use conv::{Conv, Conv1d, Conv1dConfig, Conv2d, Conv2dConfig, ConvConfig};
pub use coupling::Coupling;
pub use exec::{AnyPart, Body, Combine, Exec, Map, Net, Part, Stage, Step};
pub use graph::{Graph, Value};
pub use init::Init;
pub use linear::Linear;
#[cfg(test)]
pub(crate) use masked::tests::{difference, trained};
pub use masked::{Masked, Padded};
pub(crate) use named::Place;
pub use named::{assign_named, collect_named, gradients_named, ids_named, names_and_shapes};
pub use pooling::{Pooling, PoolingKind};
pub use precision::Precision;
pub use run::Run;
pub use squeeze::{Halves, Squeeze};
#[cfg(test)]
pub(crate) use tests::evaluate;
pub use trace::Trace;

pub use crate::backend::Mode;
