//! Parts of networks, and the interpreters that run and record them.
//!
//! Field names are the keys of WeSpeaker's state_dict, so code and checkpoint can be compared by
//! eye. Every part is built at an [`Init`] (where it hangs in the network, which gives its
//! parameters their names, ids and initial values), and says once what it does, for every
//! interpreter ([`Exec`]): [`Run`] computes, [`Trace`] records a [`Graph`].

mod basic_block;
mod batch_norm;
mod bottleneck;
mod branch;
mod conv;
mod conv1d;
mod coupling;
mod downsample;
mod exec;
pub mod graph;
mod init;
mod inverted_bottleneck;
mod linear;
mod named;
mod pooling;
mod precision;
mod run;
mod squeeze;
#[cfg(test)]
mod tests;
mod trace;

pub use basic_block::BasicBlock;
pub use batch_norm::{BatchNorm, identity_variance, scale_and_shift};
pub use bottleneck::Bottleneck;
pub use branch::{Branch, BranchKind, Order};
pub use conv::{Conv2d, Conv2dConfig};
pub use conv1d::{Conv1d, Conv1dConfig};
pub use coupling::Coupling;
pub use downsample::{ConvNorm, Downsample};
pub use exec::{AnyPart, Body, Dim, Exec, Net, Part, Stage, Step};
pub use graph::{Graph, Value};
pub use init::Init;
pub use inverted_bottleneck::InvertedBottleneck;
pub use linear::Linear;
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
