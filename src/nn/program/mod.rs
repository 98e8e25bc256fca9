//! A network as a program: its operations one after the other, each with the layer that it computes
//! with. So a network runs span by span, and a span can be computed again in the backward pass.
//!
//! [`Record`] writes the program down. Its values have the numbers that [`Trace`](super::Trace)
//! gives them, so a plan that is made on the graph names the program's spans.

mod piece;
mod record;

use burn::tensor::Tensor;

use self::piece::{Piece, narrow, widen};
use self::record::{Line, Record};
use super::graph::{Span, Value};
use super::{Mode, Net};
use crate::backend::reversible::{self, Execution};

/// Runs a network on images `[batch, 1, mels, frames]`, the given spans first and what is behind
/// them on the tape. What is recomputed is one node of the tape for each span, which keeps nothing
/// but the value that the span reads. The backward pass takes it as a whole, or piece by piece
/// where it has cuts. Embeddings, gradients and running statistics are those of the network's own
/// forward pass.
///
/// # Panics
/// The spans are none of this network.
pub(crate) fn run_spans<N: Net>(
    network: &N,
    image: Tensor<4>,
    mode: Mode,
    spans: &[Span],
) -> Tensor<2> {
    let (lines, output) = Record::of(network);
    let mut rest = lines.into_iter().peekable();
    let (mut x, mut from, mut axes) = (image.into_dispatch(), Value(0), 4);
    for span in spans {
        let end = Value(span.nodes.end);
        let own: Vec<Line> =
            std::iter::from_fn(|| rest.next_if(|line| line.output <= end)).collect();
        let behind = own.last().map_or(axes, |line| line.axes);
        let cut = |&cut: &usize| {
            let line = own.iter().find(|line| line.output == Value(cut));
            (Value(cut), line.expect("plans cut between the network's operations").axes)
        };
        let cuts = span.cuts.iter().map(cut).collect();
        let piece = Piece::new(own, [(from, axes), (end, behind)], cuts);
        x = match span.recomputed {
            true => {
                let y = reversible::run(&piece, widen(x, axes), mode, Execution::Reversible);
                narrow(y, behind)
            }
            false => piece.compute(x, mode),
        };
        (from, axes) = (end, behind);
    }
    let tail = Piece::new(rest.collect(), [(from, axes), (output, 2)], Vec::new());
    Tensor::from_dispatch(tail.compute(x, mode))
}

#[cfg(test)]
mod tests;
