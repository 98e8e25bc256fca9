//! The program as its users run it: exit codes, stdout, stderr, files.

#[path = "../shared/mod.rs"]
mod shared;

mod bad_input;
mod dashboard;
mod place;
mod progress;
mod quantize;
mod training;
mod verbs;

pub use place::{Place, arg, finish};
