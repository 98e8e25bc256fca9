//! Speaker verification on [Burn](https://burn.dev).
//!
//! From the ground up; apart from tests, no module uses one below it. In brackets the Cargo feature
//! that a module needs. Each backend brings `burn`; `default-features = false, features = ["flex"]`
//! has what needs nothing else. Without `burn`, modules with a star hold what [`portable`] needs.
//!
//! | module | holds |
//! |---|---|
//! | [`bytes`] | f32 as bytes, numbers of bytes for people |
//! | [`error`] | the error type, and what would help |
//! | [`rng`], [`fs`], [`terminal`] | random streams, file access, what is printed |
//! | [`tensor_file`] | safetensors files with a checksum |
//! | [`progress`] (`train`) | progress bars |
//! | [`audio`] | audio files (codecs: `formats`), resampling, Kaldi filter banks, augmentation |
//! | [`corpus`] | lists and trials; preparation and synthesis (`train`) |
//! | [`archive`] | Kaldi's archives and their lists |
//! | [`scoring`] | scores, PLDA, calibration, error rates, DET curves (`plots`), voices (`store`) |
//! | [`backend`] * | where tensors are computed; operations that Burn lacks |
//! | [`nn`] * | parts of networks, and graphs of them |
//! | [`zoo`] * | networks, and what they cost |
//! | [`losses`] (`burn`) | classification heads |
//! | [`optim`] (`burn`) | SGD and Adam with 8-bit states |
//! | [`quant`] * | quantized weights |
//! | [`model_file`] * | the model format, import of WeSpeaker checkpoints |
//! | [`model_card`] (`train`) | published figures of networks, the model inside the program |
//! | [`infer`] * | networks without Burn: embeddings on CPUs, ONNX files |
//! | [`inference`] * | embeddings of whole utterances |
//! | [`portable`] | models for programs in other languages |
//! | [`train`] (`train`) | recipes, batches, the training loop |
//! | [`memory`] (`train`) | where the bytes of a training step go |
//! | [`mod@bench`] (`train`) | measurements on the user's own machine |
//! | [`selftest`] (`train`) | what a backend must get right |
//! | [`cli`] (`cli`) | the command line |
//!
//! ```no_run
//! use revox::inference::Embedder;
//! use revox::model_file::Model;
//!
//! let device = Default::default();
//! let model = Model::load("model.safetensors", &device)?;
//! let embedding = Embedder::of(&model, &device)?.file("a.wav".as_ref())?;
//! assert_eq!(embedding.len(), model.header.embedding_dim);
//! # Ok::<(), revox::Error>(())
//! ```
//!
//! Errors say what is wrong and where. What would help is data ([`error::Remedy`]): a program says
//! it in its own terms.

pub mod archive;
pub mod audio;
pub mod backend;
#[cfg(feature = "train")]
pub mod bench;
pub mod bytes;
#[cfg(feature = "plots")]
mod canvas;
#[cfg(feature = "cli")]
pub mod cli;
pub mod corpus;
pub mod error;
mod freed;
pub mod fs;
mod functions;
pub mod infer;
pub mod inference;
mod lanes;
#[cfg(feature = "burn")]
pub mod losses;
#[cfg(feature = "train")]
pub mod memory;
#[cfg(feature = "train")]
pub mod model_card;
pub mod model_file;
pub mod nn;
#[cfg(feature = "burn")]
pub mod optim;
#[cfg(any(feature = "burn", feature = "formats"))]
mod panics;
pub mod portable;
#[cfg(feature = "train")]
pub mod progress;
pub mod quant;
pub mod rng;
pub mod scoring;
#[cfg(feature = "train")]
pub mod selftest;
#[cfg(test)]
#[path = "../tests/shared/mod.rs"]
mod shared;
pub mod tensor_file;
pub mod terminal;
#[cfg(feature = "train")]
pub mod train;
pub mod zoo;

pub use error::{Error, Result};
pub use freed::keep_freed_memory;

/// The README's example is compiled with the documentation's tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
