//! Pooling over time (formulas of WeSpeaker's `pooling_layers.py`).

#[cfg(feature = "burn")]
mod attention;
mod kind;
#[cfg(feature = "burn")]
mod layer;
mod moments;
#[cfg(feature = "burn")]
mod statistics;

pub use kind::PoolingKind;
#[cfg(feature = "burn")]
pub use layer::Pooling;
pub(crate) use moments::DEVIATION_EPSILON;
pub use moments::{Floor, Statistics};
#[cfg(feature = "burn")]
pub(super) use statistics::{statistics, statistics_of_each};
