//! What a recipe or a model file says of a network.

use serde::{Deserialize, Serialize};

use super::{Layers, ReversibleOptions, ReversibleType};
use crate::nn::PoolingKind;

/// A network's full configuration; what the model file records as `arch`. What a recipe or a file
/// leaves out is the network's own [`Settings`](super::Settings). Model files leave nothing out:
/// without the feature `burn`, which brings the settings, everything must be there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "burn", serde(from = "Given"))]
#[cfg_attr(not(feature = "burn"), serde(deny_unknown_fields))]
pub struct Architecture {
    /// One of [`names`](super::names).
    pub name: String,
    /// Channels of the first layer of ResNets, whose stages have 1, 2, 4, 8 times as many; of other
    /// families what their files say.
    pub width: usize,
    /// Mel filters of the input.
    pub mels: usize,
    /// Values of an embedding.
    pub embedding_dim: usize,
    /// Pooling over time.
    pub pooling: PoolingKind,
    /// A second linear layer behind ReLU and BatchNorm (WeSpeaker's `two_emb_layer`); the embedding
    /// is its output.
    pub two_embedding_layers: bool,
    /// Choices within a reversible type.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reversible: ReversibleOptions,
    /// Other sizes than the published ones. They must be of the network's family.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<Layers>,
}

/// An architecture as recipes and files have it.
#[cfg(feature = "burn")]
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename = "Architecture")]
struct Given {
    name: String,
    width: Option<usize>,
    mels: Option<usize>,
    embedding_dim: Option<usize>,
    pooling: Option<PoolingKind>,
    two_embedding_layers: Option<bool>,
    #[serde(default)]
    reversible: ReversibleOptions,
    layers: Option<Layers>,
}

#[cfg(feature = "burn")]
impl From<Given> for Architecture {
    fn from(given: Given) -> Self {
        let own = Self::of(given.name);
        Self {
            width: given.width.unwrap_or(own.width),
            mels: given.mels.unwrap_or(own.mels),
            embedding_dim: given.embedding_dim.unwrap_or(own.embedding_dim),
            pooling: given.pooling.unwrap_or(own.pooling),
            two_embedding_layers: given.two_embedding_layers.unwrap_or(own.two_embedding_layers),
            reversible: given.reversible,
            layers: given.layers,
            name: own.name,
        }
    }
}

pub(super) fn is_default(options: &ReversibleOptions) -> bool {
    *options == ReversibleOptions::default()
}

impl Architecture {
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
}
