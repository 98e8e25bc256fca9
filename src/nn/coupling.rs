//! The reversible block.

use burn::module::Module;

use super::{AnyPart, Branch, BranchKind, Init, Order};
use crate::backend::reversible::Step;

/// Additive coupling of two streams: `y1 = x1 + F(x2)`, `y2 = x2 + G(y1)`.
#[derive(Module, Debug)]
pub struct Coupling {
    f: Branch,
    g: Branch,
}

impl Coupling {
    /// The block on streams of `width` channels.
    pub fn new(init: Init, kind: BranchKind, order: Order, width: usize, inner: usize) -> Self {
        let branch = |name: &str| Branch::new(init.at(name), kind, order, width, inner);
        Self { f: branch("f"), g: branch("g") }
    }

    /// With [`Branch::in_pieces`].
    pub fn in_pieces(self) -> Self {
        Self { f: self.f.in_pieces(), g: self.g.in_pieces() }
    }

    /// F and G.
    pub fn functions(&self) -> [&dyn AnyPart; 2] {
        [&self.f, &self.g]
    }

    /// The block as a step of a reversible body.
    pub fn step(&self) -> Step<'_> {
        Step::Couple(&self.f, &self.g)
    }
}
