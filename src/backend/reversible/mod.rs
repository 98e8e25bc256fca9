//! Bodies of networks whose activations need not be kept: the backward pass computes them again
//! from the output (additive couplings, rearrangements) or from a few kept inputs (everything
//! else).
//!
//! A [`Reversible`] module lists its [`Step`]s. [`run`] takes an input through them:
//!
//! * [`Execution::Taped`], the plain twin: on Burn's ordinary tape, which keeps every activation;
//! * [`Execution::Reversible`]: as *one* node of the tape. The forward pass runs without a tape and
//!   keeps the inputs of [`Step::Keep`] and, unless the last step is one, the output. The backward
//!   pass walks the steps in reverse order, recovers each step's input, runs its functions again on
//!   private tapes, and adds the parameters' gradients where any optimizer finds them.
//!
//! Additive coupling (RevNet, arXiv 1707.04585): `y1 = x1 + F(x2)`, `y2 = x2 + G(y1)`; hence `x2 =
//! y2 - G(y1)`, `x1 = y1 - F(x2)`.
//!
//! What is recovered is exact as long as the functions give the same values again for the same
//! inputs: streams live on a grid of multiples of `2^-bits` ([`Reversible::grid`]), to which each
//! function's output is rounded before it is added. Such numbers are added and subtracted without
//! error while they stay below `2^(24 - bits)` in f32. Larger values, a backend whose kernels do
//! not repeat themselves to the bit, or a body without a grid cost what ordinary rounding costs:
//! each inversion then leaves an error of the order of epsilon times the largest summand, and the
//! functions' slopes multiply the errors that came in (figures in BENCHMARKS.md). The grid is part
//! of both executions.
//!
//! Parameters: every tensor of the body that is tracked when the node is made becomes its parent,
//! whether leaf or result of other operations (a quantized weight), once or several times in the
//! body, inside and outside of it. Untracked ones are constants.

mod chain;
#[cfg(feature = "flex")]
mod cpu;
#[allow(deprecated, reason = "ndarray stays a second opinion for as long as Burn ships it")]
mod op;

pub use op::ReversibleOps;
pub(super) use op::seed;

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::layer::AnyLayer;
use super::{Mode, Streams};

/// How a reversible body runs while training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Execution {
    /// Recomputes activations.
    #[default]
    Reversible,
    /// Keeps activations: the plain twin, with the same weights.
    Taped,
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
}

/// Multiples of 2^-18 (3.8e-6), exact below 64.
pub const GRID: i32 = 18;

/// Takes `x` through the body. Outside of training the executions do not differ.
pub fn run<M: Reversible>(body: &M, x: Tensor<4>, mode: Mode, execution: Execution) -> Tensor<4> {
    if execution == Execution::Taped || !x.is_autodiff() {
        return chain::single(chain::forward(body, vec![x], mode, None));
    }
    let parameters = chain::parameters(&body.steps());
    Tensor::from_dispatch(op::apply(x.into_dispatch(), parameters, body.clone(), mode))
}

/// Recovers the input from the output `y`, without gradients. Bodies with a [`Step::Keep`] have no
/// inverse.
pub fn invert<M: Reversible>(body: &M, y: Tensor<4>, mode: Mode) -> Option<Tensor<4>> {
    chain::inverse(body, vec![y], mode.again()).map(chain::single)
}
