//! Models as data: what others have published about networks, and the model inside the program.
//!
//! `models/NAME/model.toml` is the [`Card`] of a network. It holds what was published or measured,
//! with source or command. What follows from the architecture is computed ([`Derived`]). Only the
//! number of parameters and the sizes of model files stand in cards too, and tests compare them.
//!
//! `models/default` has a small trained model and its card: see [`DefaultCard`].

mod card;
#[cfg(test)]
mod counts_tests;
mod default_model;
mod derived;
mod list;
#[cfg(test)]
mod tests;

pub use card::{Card, Count, Input, Measured, Paper, Published, Rates, Weights};
pub use default_model::{DefaultCard, Origin, Provenance, Tested, default_model};
pub use derived::{Beside, Bytes, Derived};

use list::CARDS;

/// What the model inside the program is called.
pub const DEFAULT: &str = "default";

/// The names of the networks that have a card.
pub fn names() -> impl Iterator<Item = &'static str> {
    CARDS.iter().map(|(name, _)| *name)
}
