//! What graphs are made of.

use crate::error::Result;
use crate::nn::Graph;
#[cfg(feature = "burn")]
use crate::nn::Trace;
#[cfg(feature = "burn")]
use crate::zoo::{Architecture, Network};

/// What graphs are made of.
pub(super) enum Source {
    /// A graph for any length.
    Graph(Box<Graph>),
    /// An architecture.
    #[cfg(feature = "burn")]
    Architecture(Box<Architecture>),
    /// A network, and its number of mel filters.
    #[cfg(feature = "burn")]
    Network(Box<Network>, usize),
}

impl Source {
    /// Mel filters of the input.
    pub fn mels(&self) -> usize {
        match self {
            Self::Graph(graph) => graph.input[1],
            #[cfg(feature = "burn")]
            Self::Architecture(arch) => arch.mels,
            #[cfg(feature = "burn")]
            Self::Network(_, mels) => *mels,
        }
    }

    /// The graph for so many frames.
    ///
    /// # Errors
    /// Fewer frames than the network takes.
    pub fn graph(&self, frames: usize) -> Result<Graph> {
        match self {
            Self::Graph(graph) => graph.resized(frames),
            #[cfg(feature = "burn")]
            Self::Architecture(arch) => arch.graph(frames),
            #[cfg(feature = "burn")]
            Self::Network(network, mels) => Ok(Trace::record(&**network, [*mels, frames])),
        }
    }
}
