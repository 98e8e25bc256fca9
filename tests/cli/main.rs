//! The program as its users run it: exit codes, stdout, stderr, files.

#[path = "../shared/checkpoint.rs"]
mod checkpoint;
#[path = "../shared/recipe.rs"]
mod recipe;
#[path = "../shared/mod.rs"]
mod shared;

mod activations;
mod bad_input;
mod bad_training;
mod bench;
mod built_in;
mod calibrate;
mod calibrate_models;
mod cascade;
mod dashboard;
mod device_features;
mod embed_vad;
mod embedding;
mod eval;
mod eval_models;
mod features;
#[cfg(feature = "wgpu-bare")]
mod gpu;
mod info;
mod interrupts;
mod merge;
mod pipeline;
mod place;
mod plda;
mod progress;
mod quantize;
mod score;
mod training;
mod verbs;
mod voices;

use place::{Place, arg, finish};
