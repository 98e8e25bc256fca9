//! Networks without Burn: embeddings on a CPU ([`Runtime`]), and files that other runtimes read
//! ([`onnx`]).
//!
//! A network is data ([`Graph`](crate::nn::Graph)), so nothing here knows a network's name.
//! [`Runtime::of`] takes a model's tensors and makes its layers once; packed weights stay packed.
//! The first utterance of each length makes a program of the graph:
//!
//! | step | file |
//! |---|---|
//! | a convolution takes the BatchNorm, the sum and the ReLU behind it | `lower/groups.rs` |
//! | an expansion runs with the depthwise convolution behind it | `lower/expansion.rs` |
//! | copies, ranges of channels and most new shapes are views of the same memory | `lower.rs` |
//! | layers that have ranges read bytes, and make them for each other | `lower/integers.rs` |
//! | results take the place of operands that nobody reads any more | `lower/reuse.rs` |
//! | every buffer has its place in one arena, by its lifetime | `plan.rs` |
//! | first layers whose values are large run on some frames at a time | `strips.rs` |
//! | steps run one after another, each on all threads | `exec.rs` |
//!
//! A value lies in memory as rows of frames with zeros behind each (`plane.rs`). They stand for a
//! convolution's padding, and make all rows of a channel one run of positions. Vectors run over
//! frames, weights are repeated; [`Level`] says which instructions do it (`kernels`).
//!
//! Embeddings equal those of Burn's forward pass up to rounding: 1e-5 of the largest value or less.
//! They do not depend on the number of threads.
//!
//! A model whose header has [`Activations`](crate::quant::Activations) computes most convolutions
//! in integers: activations are bytes (`plane.rs` says how they lie), weights are rounded to 8 bits
//! and stay packed, and sums are exact. [`calibrate()`] finds the ranges that bytes stand for, and
//! which layers stay in f32; [`Runtime::floats_of`] computes without integers.
//!
//! ```no_run
//! use revox::infer::Runtime;
//! use revox::inference::Extractor;
//! use revox::model_file::Model;
//!
//! let model = Model::load("model.safetensors", &Default::default())?;
//! let runtime = Runtime::of(&model)?;
//! let features = Extractor::new(&model.header.frontend)?.features(&[0.0; 32_000], None)?;
//! let embedding = runtime.embed(&features.values, features.frames)?;
//! assert_eq!(embedding.len(), model.header.embedding_dim);
//! # Ok::<(), revox::Error>(())
//! ```

#[cfg(feature = "burn")]
mod calibrate;
#[cfg(feature = "train")]
mod difference;
mod exec;
mod kernels;
mod layer;
mod lower;
#[cfg(feature = "burn")]
pub mod onnx;
mod plan;
mod plane;
mod program;
mod runtime;
mod strips;
#[cfg(test)]
mod tests;
mod weights;

#[cfg(feature = "burn")]
pub use calibrate::{Calibration, FloatLayer, Floats, calibrate};
#[cfg(feature = "train")]
pub(crate) use difference::difference;
pub use kernels::Level;
pub use runtime::Runtime;
