//! Reversible bodies against their taped twins.

mod body;
mod gradients;
mod parameters;

mod fixture;
#[path = "../shared/mod.rs"]
mod shared;
