//! The networks, one file each, and their registry.
//!
//! A name of the registry, a width, a number of mels, an embedding size and a pooling make an
//! [`Architecture`], from which come the module ([`Architecture::init`]) and, recorded from the
//! module's own forward pass, its graph ([`Architecture::graph`]) with its costs
//! ([`Architecture::account`]).
//!
//! Without the feature `burn` the [`Architecture`] is a description alone.

#[cfg(feature = "burn")]
mod account;
mod architecture;
#[cfg(feature = "burn")]
mod build;
#[cfg(feature = "burn")]
mod campplus;
#[cfg(feature = "burn")]
mod df_resnet;
#[cfg(feature = "burn")]
mod ecapa;
mod layers;
#[cfg(feature = "burn")]
mod network;
#[cfg(feature = "burn")]
mod redimnet;
#[cfg(feature = "burn")]
mod registry;
#[cfg(feature = "burn")]
mod res2net;
#[cfg(feature = "burn")]
mod resnet;
#[cfg(feature = "burn")]
mod resnet10;
pub mod reversible;
#[cfg(feature = "burn")]
mod simam_resnet;
#[cfg(feature = "burn")]
mod tdnn;
#[cfg(test)]
pub(crate) mod tests;

#[cfg(feature = "burn")]
pub use account::Account;
pub use architecture::Architecture;
#[cfg(feature = "burn")]
use build::{FRAMES, segments, without_asp, without_second_layer};
pub use layers::{
    Blocks2d, CamPlusPlus, Context, Ecapa, Layers, ReDimNet, ReDimNet2, ReDimNetStage, Res2Net,
    SimAm, Tdnn,
};
#[cfg(feature = "burn")]
pub use network::Network;
#[cfg(feature = "burn")]
pub use registry::{ROWS, Row, Settings, names};
pub use reversible::{ReversibleOptions, ReversibleType};
