//! What the runtime computes with: convolutions in vector instructions, and the operations between
//! them.

pub(crate) mod dense;
mod level;
pub(crate) mod ops;
mod vector;

pub(crate) use dense::{Add, Call, Dense, Geometry, Weights};
pub use level::Level;
