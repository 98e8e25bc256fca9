//! The networks, one file each, and their registry.
//!
//! A name of the registry, a width, a number of mels, an embedding size and a pooling make an
//! [`Architecture`], from which come the module ([`Architecture::init`]) and, recorded from the
//! module's own forward pass, its graph ([`Architecture::graph`]) with its costs
//! ([`Architecture::account`]).

mod account;
mod df_resnet;
mod network;
mod registry;
mod resnet;
mod resnet10;
pub mod reversible;

pub use account::Account;
pub use network::Network;
pub use registry::{ROWS, Row, names};
pub use reversible::{ReversibleOptions, ReversibleType};

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::nn::{Graph, Init, PoolingKind, Trace};

/// A network's full configuration; what the model file records as `arch`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// One of [`names`].
    pub name: String,
    /// Channels of the stem; stages have 1, 2, 4, 8 times as many.
    #[serde(default = "default_width")]
    pub width: usize,
    /// Mel filters of the input.
    #[serde(default = "default_mels")]
    pub mels: usize,
    /// Values of an embedding.
    #[serde(default = "default_embedding_dim")]
    pub embedding_dim: usize,
    /// Pooling over time.
    #[serde(default)]
    pub pooling: PoolingKind,
    /// A second linear layer behind ReLU and BatchNorm (WeSpeaker's `two_emb_layer`); the embedding
    /// is its output.
    #[serde(default)]
    pub two_embedding_layers: bool,
    /// Choices within a reversible type.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reversible: ReversibleOptions,
}

/// Frames of an utterance for graphs of which only the tensors matter.
const FRAMES: usize = 8;

fn is_default(options: &ReversibleOptions) -> bool {
    *options == ReversibleOptions::default()
}

fn default_width() -> usize {
    32
}
fn default_mels() -> usize {
    80
}
fn default_embedding_dim() -> usize {
    256
}

impl Architecture {
    /// A network with its published settings: width 32, 80 mels, 256-d embedding, TSTP.
    ///
    /// # Errors
    /// An unknown name.
    pub fn named(name: &str) -> Result<Self> {
        let arch = Self {
            name: name.to_owned(),
            width: default_width(),
            mels: default_mels(),
            embedding_dim: default_embedding_dim(),
            pooling: PoolingKind::default(),
            two_embedding_layers: false,
            reversible: ReversibleOptions::default(),
        };
        arch.check().map(|()| arch)
    }

    /// The registry's row of this name, or of the network it is a reversible type of.
    ///
    /// # Errors
    /// An unknown name, and a reversible type that the network does not offer.
    pub fn row(&self) -> Result<&'static Row> {
        let base = self.base_name();
        let row = Row::of(base).ok_or_else(|| {
            let listed = registry::listed();
            Error::invalid(format!("no architecture `{}`; there are: {listed}", self.name))
        })?;
        if self.reversible_type().is_some() && !row.has_reversible_types() {
            return Err(Error::invalid(format!("`{base}` has no reversible types")));
        }
        Ok(row)
    }

    /// The reversible type, if the name asks for one.
    pub fn reversible_type(&self) -> Option<ReversibleType> {
        [ReversibleType::Partial, ReversibleType::Full]
            .into_iter()
            .find(|t| self.name.starts_with(t.prefix()))
    }

    /// The name without the type.
    pub fn base_name(&self) -> &str {
        let prefix = self.reversible_type().map_or("", ReversibleType::prefix);
        &self.name[prefix.len()..]
    }

    /// Refuses unknown names and impossible sizes.
    ///
    /// # Errors
    /// The first of them.
    pub fn check(&self) -> Result<()> {
        self.plan().map(|_| ())
    }

    /// Checks, and gives a reversible network's table of stages.
    fn plan(&self) -> Result<Option<reversible::Plan>> {
        let row = self.row()?;
        for (what, value, most) in [
            ("width", self.width, 1024),
            ("mels", self.mels, 1024),
            ("embedding_dim", self.embedding_dim, 1 << 16),
        ] {
            if value == 0 || value > most {
                return Err(Error::invalid(format!("{what} = {value}: must be 1 to {most}")));
            }
        }
        let kind = self.reversible_type();
        if kind.is_none() && !is_default(&self.reversible) {
            let name = &self.name;
            return Err(Error::invalid(format!(
                "`{name}` has no reversible options; rev1-{name} and rev2-{name} have"
            )));
        }
        let kind = kind.zip(row.network.base());
        kind.map(|(kind, base)| reversible::Plan::new(self, kind, &base)).transpose()
    }

    /// The network on a device, in evaluation state, its weights drawn under `seed` when first
    /// used.
    ///
    /// # Errors
    /// Those of [`Architecture::check`].
    pub fn init(&self, device: &Device, seed: u64) -> Result<Network> {
        self.build(&Init::new(device, seed))
    }

    fn build(&self, init: &Init) -> Result<Network> {
        let backbone = match self.plan()? {
            Some(plan) => plan.init(init, self),
            None => self.row()?.network.init(init, self),
        };
        Ok(Network::new(init, self, backbone))
    }

    /// The network as data, for one utterance of `frames` frames. Its input is the image
    /// `[1, mels, frames]`, the transposed features. No weight is drawn.
    ///
    /// # Errors
    /// Those of [`Architecture::check`].
    pub fn graph(&self, frames: usize) -> Result<Graph> {
        Ok(Trace::record(&self.build(&Init::blank())?, [self.mels, frames]))
    }

    /// [`Architecture::graph`] where only layers and tensors matter: sizes of values are those of a
    /// short utterance.
    ///
    /// # Errors
    /// Those of [`Architecture::check`].
    pub fn layout(&self) -> Result<Graph> {
        self.graph(FRAMES)
    }

    /// Parameters, multiplications and kept activations of one utterance of `frames` frames.
    ///
    /// # Errors
    /// Those of [`Architecture::check`].
    pub fn account(&self, frames: usize) -> Result<Account> {
        Ok(Account(self.graph(frames)?))
    }
}

#[cfg(test)]
mod tests;
