//! Mutation fuzzers of everything that revox reads.
//!
//! Each test changes good files at random and reads the result for a few seconds. Failures are a
//! panic, an abort, a hang, memory that the input does not justify, and a damaged file that passes
//! as another one. [`runner`] says how to repeat one. Earlier findings are tried first: the files
//! of `findings/TARGET/`.

#[path = "../shared/checkpoint.rs"]
mod checkpoint;
#[path = "../../src/model_file/import/onnx/writer.rs"]
mod onnx_writer;
#[path = "../shared/recipe.rs"]
mod recipe;
#[path = "../shared/mod.rs"]
mod shared;
#[path = "../shared/sign.rs"]
mod sign;

mod allocator;
mod checksums;
mod flac_file;
mod mutate;
mod runner;
mod store_edits;
mod text;
mod torch_file;

mod archives;
mod audio;
mod checkpoints;
mod enrollments;
mod features;
mod formats;
mod hdf5;
mod lists;
mod locks;
mod logs;
mod models;
mod onnx;
mod plda;
mod shards;
mod store;
mod training;

/// Counts what a reader allocates.
#[global_allocator]
static ALLOCATOR: allocator::Counting = allocator::Counting;
