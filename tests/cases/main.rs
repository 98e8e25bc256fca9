//! Inputs that people of this field really have, each with its right value.

#[path = "../shared/mod.rs"]
mod shared;

#[path = "../cli/place.rs"]
mod place;

mod audio;
mod lists;
mod models;
mod outputs;
mod quantized;
mod training;
