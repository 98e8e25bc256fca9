//! What the runtime computes with: convolutions in vector instructions, and the operations between
//! them.

pub(crate) mod dense;
mod expansion;
mod int8;
mod level;
pub(crate) mod ops;
mod vector;

pub(crate) use dense::{Add, Call, Dense, Geometry, Weights};
pub(crate) use expansion::{Expansion, fits};
pub(crate) use int8::{IntAdd, IntCall, IntDense, IntOutput, Scale, quantize};
#[cfg(feature = "burn")]
pub(crate) use int8::{Ints, rounded};
pub use level::Level;
