//! Quantized weights (arXiv 2406.05359): k-means codebooks, binary scales, bits by layer, training
//! through a quantizer, packed weights; ranges of quantized [`Activations`].
//!
//! A [`Scheme`] says which values weights may take, a [`Plan`] which tensors get which
//! [`TensorScheme`]. A [`Quantizer`] attaches [`FakeQuant`]s to the parameters of a network in
//! training; a packed network has [`Packed`] parameters. Both are reparameterizations of Burn:
//! networks need not know of them.

mod activations;
pub mod allocation;
mod codebook;
pub mod config;
mod fake_quant;
pub mod kmeans;
pub mod msft;
mod packed;
mod plan;
#[cfg(feature = "plots")]
mod plot;
mod quantizer;
mod scheme;
pub mod sensitivity;

pub(crate) use activations::convolutions;
pub use activations::{Activations, RangeMethod, Ranges};
pub use codebook::Codebook;
pub use config::{Method, QuantizeConfig};
pub use fake_quant::FakeQuant;
pub use packed::Packed;
pub use plan::{Plan, Planned, candidates, fits, uniform};
#[cfg(feature = "plots")]
pub use plot::frontier_svg;
pub use quantizer::{Books, Quantizer};
pub use scheme::{Scheme, TensorScheme};
pub use sensitivity::SensitivityConfig;
