//! The networks, one file each, and their registry.
//!
//! A name of the registry, a width, a number of mels, an embedding size and a pooling make an
//! [`Architecture`], from which come the module ([`Architecture::init`]) and, recorded from the
//! module's own forward pass, its graph ([`Architecture::graph`]) with its costs
//! ([`Architecture::account`]).

mod account;
mod df_resnet;
mod registry;
mod resnet;
mod resnet10;
pub mod reversible;

pub use account::{Account, LayerCost};
pub use df_resnet::DfResNet;
pub use registry::{Network, ROWS, Row, names};
pub use resnet::ResNet;
pub use reversible::{RevNet, ReversibleOptions, ReversibleType};

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::backend::reversible::Execution;
use crate::error::{Error, Result};
use crate::nn::{BatchNorm, Exec, Graph, Init, Linear, Mode, Net, PoolingKind, Run, Stage, Trace};

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
    #[serde(default = "default_pooling")]
    pub pooling: PoolingKind,
    /// A second linear layer behind ReLU and BatchNorm (WeSpeaker's `two_emb_layer`); the embedding
    /// is its output.
    #[serde(default)]
    pub two_embedding_layers: bool,
    /// Choices within a reversible type.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reversible: ReversibleOptions,
}

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
fn default_pooling() -> PoolingKind {
    PoolingKind::Tstp
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
            pooling: default_pooling(),
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

    /// The reversible network's table of stages; none for an ordinary network.
    fn plan(&self) -> Result<Option<reversible::Plan>> {
        let base = self.row()?.base();
        let kind = self.reversible_type().zip(base);
        kind.map(|(kind, base)| reversible::Plan::new(self, kind, &base)).transpose()
    }

    /// The ordinary network of a reversible type; an ordinary network is its own.
    fn ordinary(&self) -> Self {
        let (name, reversible) = (self.base_name().to_owned(), ReversibleOptions::default());
        Self { name, reversible, ..self.clone() }
    }

    /// Refuses unknown names and impossible sizes.
    ///
    /// # Errors
    /// The first of them.
    pub fn check(&self) -> Result<()> {
        self.row()?;
        for (what, value, most) in [
            ("width", self.width, 1024),
            ("mels", self.mels, 1024),
            ("embedding_dim", self.embedding_dim, 1 << 16),
        ] {
            if value == 0 || value > most {
                return Err(Error::invalid(format!("{what} = {value}: must be 1 to {most}")));
            }
        }
        if self.reversible_type().is_none() && !is_default(&self.reversible) {
            let name = &self.name;
            return Err(Error::invalid(format!(
                "`{name}` has no reversible options; rev1-{name} and rev2-{name} have"
            )));
        }
        self.plan().map(|_| ())
    }

    /// The network on a device, in evaluation state, its weights drawn under `seed` when first
    /// used.
    ///
    /// # Errors
    /// Those of [`Architecture::check`].
    pub fn init(&self, device: &Device, seed: u64) -> Result<Network> {
        self.check()?;
        self.build(Init::new(device, seed))
    }

    fn build(&self, init: Init) -> Result<Network> {
        Ok(match self.plan()? {
            Some(plan) => RevNet::new(init, self, &plan).into(),
            None => self.row()?.init(init, self),
        })
    }

    /// The network as data, for one utterance of `frames` frames. Its input is the image
    /// `[1, mels, frames]`, the transposed features. No weight is drawn.
    ///
    /// # Errors
    /// Those of [`Architecture::check`].
    pub fn graph(&self, frames: usize) -> Result<Graph> {
        self.check()?;
        Ok(Trace::record(&self.build(Init::blank(&nowhere()))?, [self.mels, frames]))
    }

    /// Parameters, multiplications and kept activations of one utterance of `frames` frames.
    ///
    /// # Errors
    /// Those of [`Architecture::check`].
    pub fn account(&self, frames: usize) -> Result<Account> {
        Ok(Account::of(&self.graph(frames)?))
    }
}

/// Where networks live that are only looked at: on the processor, if this build can use it.
fn nowhere() -> Device {
    #[cfg(feature = "flex")]
    return Device::flex();
    #[cfg(not(feature = "flex"))]
    Device::default()
}

impl Network {
    /// Chooses how a reversible network trains.
    ///
    /// # Errors
    /// An ordinary network has no choice and is refused.
    pub fn with_execution(self, execution: Execution) -> Result<Self> {
        let Self::Reversible(network) = self else {
            let message = "only rev1- and rev2- architectures have a choice of execution";
            return Err(Error::invalid(message));
        };
        Ok(network.with_execution(execution).into())
    }

    /// Mean-subtracted features `[batch, frames, mels]` -> embeddings `[batch, embedding_dim]`.
    pub fn forward(&self, features: Tensor<3>, mode: Mode) -> Tensor<2> {
        // The networks see an image of height mels and width frames.
        let image = features.swap_dims(1, 2).unsqueeze_dim::<4>(1);
        Net::forward(self, &mut Run::new(mode), image)
    }
}

/// The layers that make embeddings of pooled statistics, named as WeSpeaker's.
struct Tail {
    seg_1: Linear,
    seg_bn_1: Option<BatchNorm>,
    seg_2: Option<Linear>,
}

impl Tail {
    /// The layers behind a pooling of so many channels (times mels).
    fn new(init: &Init, arch: &Architecture, pooled: usize) -> Self {
        let (dim, two) = (arch.embedding_dim, arch.two_embedding_layers);
        Self {
            seg_1: Linear::new(init.at("seg_1"), pooled * arch.pooling.statistics(), dim),
            seg_bn_1: two.then(|| BatchNorm::without_affine(init.at("seg_bn_1"), dim)),
            seg_2: two.then(|| Linear::new(init.at("seg_2"), dim, dim)),
        }
    }
}

/// Pooled statistics `[batch, statistics]` to embeddings: a linear layer, and behind ReLU and
/// BatchNorm perhaps another.
fn embedding<E: Exec>(
    e: &mut E,
    pooled: E::Value<2>,
    first: &Linear,
    norm: Option<&BatchNorm>,
    second: Option<&Linear>,
) -> E::Value<2> {
    e.stage(Stage::EMBEDDING);
    let x = e.linear(first, pooled);
    let Some((norm, second)) = norm.zip(second) else { return x };
    let x = e.relu(x);
    let x = e.norm(norm, x);
    e.linear(second, x)
}

#[cfg(test)]
mod tests;
