//! Reversible bodies against their taped twins.

mod body;
mod deliver;
mod gradients;
mod parameters;

mod fixture;
#[path = "../shared/mod.rs"]
mod shared;
