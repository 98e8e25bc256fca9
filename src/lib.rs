//! Speaker verification on [Burn](https://burn.dev).
//!
//! From the ground up; no arrow points upwards:
//!
//! | module | holds |
//! |---|---|
//! | [`error`], [`fs`], [`bytes`], [`rng`] | errors, file access, f32 as bytes, random streams |
//! | [`terminal`], [`progress`] | what is printed, progress bars |
//! | [`tensor_file`] | safetensors files with a checksum |
//! | [`audio`] | WAV and FLAC, resampling, Kaldi filter banks, augmentation |
//! | [`corpus`] | lists, trials, preparation, synthesis |
//! | [`scoring`] | cosine, AS-norm, EER and minDCF, intervals, DET curves; pure f64 |
//! | [`backend`] | which backend runs the tensors; operations of our own: reversible bodies, convolution, normalisation |
//! | [`nn`] | parts of networks |
//! | [`zoo`] | networks as tables of stages, and what they cost |
//! | [`losses`] | classification heads |
//! | [`optim`] | SGD and Adam with 8-bit states |
//! | [`model_file`] | the model format, import of WeSpeaker checkpoints |
//! | [`inference`] | embeddings of whole utterances |
//! | [`train`] | recipes, batches, the training loop |
//! | [`mod@bench`] | measurements on the user's own machine |
//! | [`quant`] | codebooks of quantized weights |
//! | [`memory`] | where the bytes of a training step go |
//! | [`selftest`] | what a backend must get right |
//! | [`cli`] | the command line |
//!
//! ```no_run
//! use revox::{inference, model_file::Model};
//!
//! let device = Default::default();
//! let model = Model::load("model.safetensors", &device)?;
//! let extractor = inference::Extractor::new(&model.header.frontend)?;
//! let reading = inference::Reading { extractor: &extractor, channel: None, window: inference::WINDOW };
//! let recording = reading.file("a.wav".as_ref())?;
//! let mels = model.header.arch.mels;
//! let embedding = &inference::embed_recordings(&model.network, &[&recording], mels, &device, &|_| ())[0];
//! assert_eq!(embedding.len(), model.header.embedding_dim);
//! # Ok::<(), revox::Error>(())
//! ```

pub mod audio;
pub mod backend;
pub mod bench;
pub mod bytes;
mod canvas;
pub mod cli;
pub mod corpus;
pub mod error;
pub mod fs;
pub mod inference;
pub mod losses;
pub mod memory;
pub mod model_file;
pub mod nn;
pub mod optim;
pub mod progress;
pub mod quant;
pub mod rng;
pub mod scoring;
pub mod selftest;
pub mod tensor_file;
pub mod terminal;
pub mod train;
pub mod zoo;

pub use error::{Error, Result};

/// The README's example is compiled with the documentation's tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
