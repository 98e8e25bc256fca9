//! Reversible ResNets and DF-ResNets of two types (arXiv 2412.01195). The types are the paper's:
//! blocks of two coupled streams within stages (I), and in addition a loss of resolution that loses
//! nothing (II). How the parts are wired is not published in what we could read: ours is a
//! reconstruction, every choice a named option ([`ReversibleOptions`]).
//!
//! ```text
//! stem -> [entry, reversible blocks] x 4 -> merge, BatchNorm, ReLU, pooling -> embedding
//! ```
//!
//! All of it up to the pooled statistics is one reversible body: kept between the passes are the
//! features, the inputs of Type I's transitions, and the last stage's output.
//!
//! Type II wants mels and frames divisible by the product of its squeezes (8 and 8; Gemini 16 and
//! 2): the features get zeros on the right, which is the mean of mean-subtracted features. Both
//! executions see the padded features.

#[cfg(feature = "burn")]
mod network;
mod options;
#[cfg(feature = "burn")]
mod plan;

#[cfg(feature = "burn")]
pub(super) use network::RevNet;
pub use options::{MergeRule, ReversibleOptions, ReversibleType, StreamRule, TransitionRule};
#[cfg(feature = "burn")]
pub(super) use plan::{Base, Plan};
