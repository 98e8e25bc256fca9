//! Parts of networks. Field names are the keys of WeSpeaker's state_dict, so code and checkpoint
//! can be compared by eye.
//!
//! Every part is built at an [`Init`] (where it hangs in the network, which gives its parameters
//! their names, ids and initial values), and runs with an explicit [`Mode`].

mod basic_block;
mod batch_norm;
mod bottleneck;
mod branch;
mod conv;
mod coupling;
mod downsample;
mod init;
mod inverted_bottleneck;
mod linear;
mod named;
mod pooling;
mod precision;
mod squeeze;

pub use basic_block::BasicBlock;
pub use batch_norm::{BatchNorm, identity_variance, scale_and_shift};
pub use bottleneck::Bottleneck;
pub use branch::{Branch, BranchKind, Order};
pub use conv::{Conv1x1, Conv2d, Conv2dConfig};
pub use coupling::Coupling;
pub use downsample::{ConvNorm, Downsample};
pub use init::Init;
pub use inverted_bottleneck::InvertedBottleneck;
pub use linear::Linear;
pub(crate) use named::Place;
pub use named::{assign_named, collect_named, gradients_named, ids_named, names_and_shapes};
pub use pooling::{Pooling, PoolingKind};
pub use precision::Precision;
pub use squeeze::{Halves, Squeeze};

pub use crate::backend::Mode;
