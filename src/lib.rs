//! Speaker verification on Burn.

pub mod audio;
pub mod backend;
pub mod cli;
pub mod corpus;
pub mod error;
pub mod fs;
pub mod inference;
pub mod losses;
pub mod model_file;
pub mod nn;
pub mod progress;
pub mod rng;
pub mod scoring;
pub mod train;
pub mod zoo;

pub use error::{Error, Result};
