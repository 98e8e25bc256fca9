//! Quantized weights (arXiv 2406.05359): k-means codebooks, binary scales, bits by layer, training
//! through a quantizer, packed weights; ranges of quantized [`Activations`].
//!
//! A [`Scheme`] says which values weights may take, a [`Plan`] which tensors get which
//! [`TensorScheme`]. A [`Quantizer`] attaches [`FakeQuant`]s to the parameters of a network in
//! training; a packed network has [`Packed`] parameters. Both are reparameterizations of Burn:
//! networks need not know of them.
//!
//! Without the feature `burn`, what reads packed weights is here.

mod activations;
#[cfg(feature = "burn")]
pub mod allocation;
mod codebook;
#[cfg(feature = "burn")]
pub mod config;
#[cfg(feature = "burn")]
mod fake_quant;
pub mod kmeans;
#[cfg(feature = "burn")]
pub mod msft;
#[cfg(feature = "burn")]
mod packed;
#[cfg(feature = "burn")]
mod plan;
#[cfg(all(feature = "burn", feature = "plots"))]
mod plot;
#[cfg(feature = "burn")]
mod quantizer;
mod scheme;
#[cfg(feature = "burn")]
pub mod sensitivity;

pub(crate) use activations::convolutions;
pub use activations::{Activations, RangeMethod, Ranges};
pub use codebook::Codebook;
#[cfg(feature = "burn")]
pub use config::{Method, QuantizeConfig};
#[cfg(feature = "burn")]
pub use fake_quant::FakeQuant;
#[cfg(feature = "burn")]
pub use packed::Packed;
#[cfg(feature = "burn")]
pub use plan::{Plan, Planned, candidates, fits, uniform};
#[cfg(all(feature = "burn", feature = "plots"))]
pub use plot::frontier_svg;
#[cfg(feature = "burn")]
pub use quantizer::{Books, Quantizer};
pub use scheme::{Scheme, TensorScheme};
#[cfg(feature = "burn")]
pub use sensitivity::SensitivityConfig;
