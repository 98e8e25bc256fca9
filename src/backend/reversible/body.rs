//! Reversible bodies: steps, listed by a module.

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::grid::GRID;
use super::layer::{AnyLayer, Streams};

/// How a network runs while training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Execution {
    /// Recomputes activations.
    #[default]
    Reversible,
    /// Keeps activations: the plain twin, with the same weights.
    Taped,
    /// Keeps activations between parts of an ordinary network, and recomputes those within. Bodies
    /// that are reversible have no such parts, and keep activations.
    Checkpointed,
}

/// A rearrangement of elements, without parameters. Its derivative is itself, so gradients go
/// backwards through [`Rearrange::inverse`].
pub trait Rearrange {
    /// Applies it.
    fn forward(&self, x: Streams) -> Streams;
    /// Undoes it.
    fn inverse(&self, y: Streams) -> Streams;
}

/// One step of a body.
#[derive(Clone, Copy)]
pub enum Step<'a> {
    /// Additive coupling of two streams: F, then G; each takes one tensor to one of the same shape.
    Couple(&'a dyn AnyLayer, &'a dyn AnyLayer),
    /// A rearrangement.
    Rearrange(&'a dyn Rearrange),
    /// Any function. Its input is kept until the backward pass, nothing inside is.
    Keep(&'a dyn AnyLayer),
}

/// A body: one tensor in, one tensor out.
pub trait Reversible: Module + 'static {
    /// The steps, in forward order.
    fn steps(&self) -> Vec<Step<'_>>;

    /// The grid of the streams: multiples of `2^-bits`. Without one, inputs are recovered up to
    /// rounding errors.
    fn grid(&self) -> Option<i32> {
        Some(GRID)
    }

    /// Whether the function of a step is so cheap that what it makes is not kept for a
    /// [`Step::Keep`] behind it, but computed again from its own input, which is kept.
    fn is_cheap(&self, step: usize) -> bool {
        let _ = step;
        false
    }
}
