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

mod failure;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "cube")]
mod gpu;
mod kind;
mod mode;
#[cfg(feature = "cuda-bare")]
mod nvrtc;
mod product;

// ndarray stays a second opinion for as long as Burn ships it.
#[allow(deprecated)]
pub mod codes;
pub mod collective;
#[allow(deprecated)]
pub mod convolution;
#[allow(deprecated)]
pub mod depthwise;
#[allow(deprecated)]
pub mod gelu;
#[allow(deprecated)]
pub mod norm;
#[allow(deprecated)]
pub mod optim8;
#[allow(deprecated)]
mod pages;
#[allow(deprecated)]
pub mod rearrange;
#[allow(deprecated)]
pub mod reversible;
#[allow(deprecated)]
pub mod rows;
#[allow(deprecated)]
pub mod simam;
#[allow(deprecated)]
pub mod softmax;

pub use failure::failure;
pub use kind::{BackendKind, has_tf32, is_gpu};
pub use mode::Mode;
pub use pages::{GradientOps, PageOps, largest_allocation, use_pages};
pub(crate) use pages::{lasting, lasting_int, with_lasting_gradient};
pub(crate) use product::{is_ours, product_each};
pub use product::{product, products};
pub use reversible::{Again, AnyLayer, Layer, Streams};
