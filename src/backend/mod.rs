//! Which backend runs the tensors, and what ours must offer beyond Burn's operations: extension
//! traits over `Backend`, each with a plain twin of the same result.

#[cfg(feature = "flex")]
mod flex;
mod kind;
mod layer;
mod mode;
#[cfg(feature = "cuda-bare")]
mod nvrtc;
pub mod reversible;

// ndarray stays a second opinion for as long as Burn ships it.
#[allow(deprecated)]
pub mod codes;
#[allow(deprecated)]
pub mod convolution;
#[allow(deprecated)]
pub mod depthwise;
#[allow(deprecated)]
pub mod norm;
#[allow(deprecated)]
pub mod optim8;

pub use kind::BackendKind;
pub(crate) use kind::{panic_text, quietly};
pub use layer::{Layer, Streams};
pub use mode::Mode;
