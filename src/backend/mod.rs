//! Which backend runs the tensors, and what ours must offer beyond Burn's operations: extension traits over `Backend`, each with a plain
//! twin of the same result.

pub mod depthwise;
mod kind;
mod layer;
mod mode;
pub mod reversible;

pub use kind::BackendKind;
pub use layer::{Layer, Streams};
pub use mode::Mode;
