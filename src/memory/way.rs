//! What becomes of a step's activations, and the way back through one that is taken apart.

use super::ledger::Buffer;
use super::play::Player;
use crate::nn::graph::{Function, Span};

/// What becomes of a step's activations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// They are kept.
    Kept,
    /// They are computed again, all together.
    Recomputed,
    /// They are computed again, those of one of these pieces at a time.
    Apart(Vec<Function>),
}

impl Way {
    /// That of a span.
    pub fn of(span: &Span) -> Self {
        match span.recomputed {
            false => Self::Kept,
            true if span.cuts.is_empty() => Self::Recomputed,
            true => Self::Apart(span.pieces()),
        }
    }
}

impl Player<'_> {
    /// The way back through pieces, as `series::pull` takes it, from the gradient `dy` of the
    /// output: the gradient of the input `x`, if it is wanted.
    pub fn pull_apart(
        &mut self,
        pieces: &[Function],
        x: Buffer,
        dy: Vec<Buffer>,
        wanted: bool,
    ) -> Vec<Buffer> {
        let mut d = dy;
        for (i, piece) in pieces.iter().enumerate().rev() {
            let mut input = self.ledger.share(x);
            for before in &pieces[..i] {
                input = self.forward(before, vec![input], false).0[0];
            }
            d = self.through(piece, input, d, wanted || i > 0);
        }
        d
    }
}
