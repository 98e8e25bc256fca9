//! Bodies of networks whose activations need not be kept: the backward pass computes them again
//! from the output (additive couplings, rearrangements) or from a few kept inputs (everything
//! else).
//!
//! From the ground up: `grid` (rounding of streams), `seed`, `entrance`, `values` and `layer`
//! (functions and their private tapes), `piece`, `fork` and `series` (functions in pieces), `body`
//! (steps), `chain` (the steps forwards and backwards), `deliver` (where gradients go on the way
//! back), `lift` and `node` (the whole as one node of the tape).
//!
//! A [`Reversible`] module lists its [`Step`]s. [`run`] takes an input through them:
//!
//! * [`Execution::Taped`], the plain twin: on Burn's ordinary tape, which keeps every activation;
//! * [`Execution::Reversible`]: as *one* node of the tape. The forward pass runs without a tape and
//!   keeps the inputs of [`Step::Keep`] (but for those behind a function that is cheap to run
//!   again) and, unless the last step is one, the output. The backward
//!   pass walks the steps in reverse order, recovers each step's input, runs its functions again on
//!   private tapes, and adds the parameters' gradients where any optimizer finds them.
//!
//! Additive coupling (RevNet, arXiv 1707.04585): `y1 = x1 + F(x2)`, `y2 = x2 + G(y1)`; hence `x2 =
//! y2 - G(y1)`, `x1 = y1 - F(x2)`.
//!
//! Recovered values are exact as long as the functions give the same values again for the same
//! inputs. Streams live on a grid of multiples of `2^-bits` ([`Reversible::grid`]), and each
//! function's output is rounded to the grid before it is added. Such numbers are added and
//! subtracted without error while they stay below `2^(24 - bits)` in f32. The grid is part of both
//! executions.
//!
//! Ordinary rounding remains where values are larger, where a backend's kernels do not repeat
//! themselves to the bit, or where a body has no grid. Each inversion then leaves an error of the
//! order of epsilon times the largest summand, and the functions' slopes multiply the errors that
//! came in (figures in docs/evidence/accuracy.md).
//!
//! Every parameter of the body that is tracked when the node is made becomes the node's parent. It
//! may be a leaf or the result of other operations (a quantized weight), and it may occur several
//! times, outside of the body too. Untracked parameters are constants.

mod body;
mod chain;
mod deliver;
mod entrance;
mod fork;
mod grid;
mod layer;
mod lift;
mod node;
mod piece;
mod seed;
mod series;
mod values;

pub use body::{Execution, Rearrange, Reversible, Step};
pub use deliver::{Sink, delivering};
pub use entrance::{Arrival, EntranceOps};
pub use fork::Fork;
pub use grid::{GRID, GridOps, sum};
pub(crate) use grid::{shift, snap};
pub(super) use layer::in_order;
pub(crate) use layer::seeds;
pub use layer::{Again, AnyLayer, Layer, Streams};
pub use lift::Lift;
pub use node::ReversibleOps;
pub use piece::Pieces;
pub use seed::SeedOps;
pub(crate) use seed::seed as root;
pub(super) use seed::zero;

use burn::tensor::Tensor;

use super::Mode;

/// Takes `x` `[batch, channels, mels, frames]` through the body. Outside of training the executions
/// do not differ.
pub fn run<M: Reversible>(body: &M, x: Tensor<4>, mode: Mode, execution: Execution) -> Tensor<4> {
    if execution != Execution::Reversible || !x.is_autodiff() {
        return chain::single(chain::forward(body, vec![x], mode, None));
    }
    node::apply(body, x, mode)
}

/// Recovers the input from the output `y`, without gradients. Bodies with a [`Step::Keep`] have no
/// inverse.
pub fn invert<M: Reversible>(body: &M, y: Tensor<4>, mode: Mode) -> Option<Tensor<4>> {
    chain::inverse(body, vec![y], mode.again()).map(chain::single)
}
