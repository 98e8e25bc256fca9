//! Which backend runs the tensors, and what ours must offer beyond Burn's operations.
//!
//! Each operation is an extension trait over Burn's `Backend`. Its files are the same everywhere:
//!
//! | file | holds |
//! |---|---|
//! | `mod.rs` | the trait, functions on Burn's high-level tensors, the backends' implementations |
//! | `plain.rs` | the plain twin, in operations that every backend has |
//! | `cpu.rs`, `cube.rs` (or folders) | fast paths of the default CPU backend and of GPUs |
//! | `autodiff.rs` | the gradient, where there is one |
//! | `tests.rs` | each against Burn's own operations or scalar Rust |
//!
//! The trait's default methods are the plain twin. So a backend without a fast path implements the
//! trait in one line. A fast path overrides a method and hands other types of numbers to the twin.
//!
//! Without the feature `burn` only codes are packed and unpacked here.

#[cfg(feature = "burn")]
mod failure;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "cube")]
mod gpu;
#[cfg(feature = "burn")]
mod kind;
mod middle;
#[cfg(feature = "burn")]
mod mode;
#[cfg(feature = "cuda-bare")]
mod nvrtc;
#[cfg(feature = "burn")]
mod product;

// ndarray stays a second opinion for as long as Burn ships it.
#[allow(deprecated)]
#[cfg(feature = "burn")]
pub mod classes;
#[allow(deprecated)]
pub mod codes;
#[cfg(feature = "burn")]
pub mod collective;
#[cfg(feature = "burn")]
pub(crate) mod columns;
#[allow(deprecated)]
#[cfg(feature = "burn")]
pub mod convolution;
#[allow(deprecated)]
#[cfg(feature = "burn")]
pub mod depthwise;
#[allow(deprecated)]
#[cfg(feature = "burn")]
pub mod gelu;
#[allow(deprecated)]
#[cfg(feature = "burn")]
pub mod norm;
#[allow(deprecated)]
#[cfg(feature = "burn")]
pub mod optim8;
#[allow(deprecated)]
#[cfg(feature = "burn")]
mod pages;
#[allow(deprecated)]
#[cfg(feature = "burn")]
pub mod rearrange;
#[allow(deprecated)]
#[cfg(feature = "burn")]
pub mod reversible;
#[allow(deprecated)]
#[cfg(feature = "burn")]
pub mod rows;
#[allow(deprecated)]
#[cfg(feature = "burn")]
pub mod simam;
#[allow(deprecated)]
#[cfg(feature = "burn")]
pub mod softmax;

#[cfg(feature = "burn")]
pub use failure::failure;
#[cfg(feature = "burn")]
pub use kind::{BackendKind, has_tf32, is_gpu};
pub use middle::bound;
#[cfg(feature = "burn")]
pub use mode::Mode;
#[cfg(feature = "burn")]
pub use pages::{GradientOps, PageOps, largest_allocation, use_pages};
#[cfg(feature = "burn")]
pub(crate) use pages::{lasting, lasting_int, with_lasting_gradient};
#[cfg(feature = "burn")]
pub(crate) use product::{is_ours, product_each};
#[cfg(feature = "burn")]
pub use product::{product, products};
#[cfg(feature = "burn")]
pub use reversible::{Again, AnyLayer, Layer, Streams};
