//! Names of groups of layers.

use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The names of all stages of all networks.
const NAMES: [&str; 7] =
    ["stem", "transitions", "pooling", "embedding", "stage", "transition", "fusion"];

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

/// As text.
impl Serialize for Stage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Stage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (name, number) = match text.split_once(' ') {
            Some((name, number)) => (name, Some(number.parse().map_err(D::Error::custom)?)),
            None => (text.as_str(), None),
        };
        let known = NAMES.iter().find(|known| **known == name);
        let unknown = || D::Error::custom(format!("no network has a stage `{name}`"));
        Ok(Self(known.copied().ok_or_else(unknown)?, number))
    }
}
