//! Inputs from practice, each with its correct result.

#[path = "../shared/recipe.rs"]
mod recipe;
#[path = "../shared/mod.rs"]
mod shared;

#[path = "../cli/place.rs"]
mod place;

mod audio;
mod fbank;
mod lists;
mod models;
mod outputs;
mod prepare;
mod quantized;
mod shards;
mod training;
mod voxceleb;
