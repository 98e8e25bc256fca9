//! Names of groups of layers.

use std::fmt;

/// A group of layers in a report: `stem`, `stage 2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stage(&'static str, Option<usize>);

impl Stage {
    /// The first layers.
    pub const STEM: Self = Self("stem", None);
    /// Layers that lose resolution between stages.
    pub const TRANSITIONS: Self = Self("transitions", None);
    /// Statistics over time, and what prepares them.
    pub const POOLING: Self = Self("pooling", None);
    /// From pooled statistics to the embedding. Reports of activations end in front of it.
    pub const EMBEDDING: Self = Self("embedding", None);

    /// A stage with its number, counted from 1 as the literature does.
    pub const fn numbered(name: &'static str, number: usize) -> Self {
        Self(name, Some(number))
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            None => f.write_str(self.0),
            Some(number) => write!(f, "{} {number}", self.0),
        }
    }
}
