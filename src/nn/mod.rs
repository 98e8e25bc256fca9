//! Parts of networks. Field names are the keys of WeSpeaker's state_dict, so code and checkpoint can be compared by eye.
//!
//! Every part is built at an [`Init`] (where it hangs in the network, which gives its parameters their names, ids and initial
//! values), and runs with an explicit [`Mode`].

mod basic_block;
mod batch_norm;
mod bottleneck;
mod conv;
mod downsample;
mod init;
mod inverted_bottleneck;
mod linear;
mod named;
mod pooling;

pub use basic_block::BasicBlock;
pub use batch_norm::BatchNorm;
pub use bottleneck::Bottleneck;
pub use conv::{Conv1x1, Conv2d, Conv2dConfig};
pub use downsample::{ConvNorm, Downsample};
pub use init::Init;
pub use inverted_bottleneck::InvertedBottleneck;
pub use linear::Linear;
pub use named::{assign_named, collect_named, gradients_named, names_and_shapes};
pub use pooling::{Pooling, PoolingKind};

/// What a forward pass does with BatchNorm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Running statistics normalise; nothing is updated.
    Eval,
    /// Batch statistics normalise and move the running statistics.
    Train,
    /// Batch statistics normalise, running statistics stay: the recomputation of a pass already counted.
    Replay,
}
