//! The networks, one file each, and their registry.
//!
//! A name of the registry, a width, a number of mels, an embedding size and a pooling make an
//! [`Architecture`], from which come the module ([`Architecture::init`]) and, recorded from the
//! module's own forward pass, its graph ([`Architecture::graph`]) with its costs
//! ([`Architecture::account`]).

mod account;
mod campplus;
mod df_resnet;
mod ecapa;
mod layers;
mod network;
mod redimnet;
mod registry;
mod res2net;
mod resnet;
mod resnet10;
pub mod reversible;
mod simam_resnet;
mod tdnn;

pub use account::Account;
pub use layers::{
    Blocks2d, CamPlusPlus, Context, Ecapa, Layers, ReDimNet, ReDimNet2, ReDimNetStage, Res2Net,
    SimAm, Tdnn,
};
pub use network::Network;
pub use registry::{ROWS, Row, Settings, names};
pub use reversible::{ReversibleOptions, ReversibleType};

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::nn::{Graph, Init, PoolingKind, Segments, Trace};
use registry::Member;

/// A network's full configuration; what the model file records as `arch`. What a recipe or a file
/// leaves out is the network's own [`Settings`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Given")]
pub struct Architecture {
    /// One of [`names`].
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
    #[serde(skip_serializing_if = "is_default")]
    pub reversible: ReversibleOptions,
    /// Other sizes than the published ones. They must be of the network's family.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<Layers>,
}

/// An architecture as recipes and files have it.
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

/// Frames of an utterance for graphs of which only the tensors matter. No network needs more.
const FRAMES: usize = 32;

fn is_default(options: &ReversibleOptions) -> bool {
    *options == ReversibleOptions::default()
}

/// The layers from so many channels times mels, pooled, to embeddings.
fn segments(init: &Init, arch: &Architecture, pooled: usize) -> Segments {
    let statistics = arch.pooling.outputs(pooled);
    Segments::new(init, statistics, arch.embedding_dim, arch.two_embedding_layers)
}

/// Refuses the pooling that only SimAM-ResNets have.
fn without_asp(arch: &Architecture) -> Result<()> {
    match arch.pooling {
        PoolingKind::Tstp | PoolingKind::Tap | PoolingKind::Tsdp => Ok(()),
        PoolingKind::Astp | PoolingKind::AstpGlobal | PoolingKind::Mqmhastp => Ok(()),
        PoolingKind::Asp => Err(Error::invalid(format!(
            "`{}` has no ASP pooling; ASTP and ASTP-GLOBAL weigh its frames by attention, TSTP \
             does not",
            arch.name
        ))),
    }
}

/// Refuses a second embedding layer, for families that have one linear layer behind the pooling.
fn without_second_layer(arch: &Architecture) -> Result<()> {
    match arch.two_embedding_layers {
        false => Ok(()),
        true => Err(Error::invalid(format!(
            "`{}` has no second embedding layer (two_embedding_layers)",
            arch.name
        ))),
    }
}

impl Architecture {
    /// A network with its published settings.
    ///
    /// # Errors
    /// An unknown name.
    pub fn named(name: &str) -> Result<Self> {
        let arch = Self::of(name.to_owned());
        arch.check().map(|()| arch)
    }

    /// A network with its published settings, or any of an unknown name.
    fn of(name: String) -> Self {
        let mut arch = Self {
            name,
            width: 0,
            mels: 0,
            embedding_dim: 0,
            pooling: PoolingKind::default(),
            two_embedding_layers: false,
            reversible: ReversibleOptions::default(),
            layers: None,
        };
        let own = Row::of(arch.base_name()).map_or(Settings::DEFAULT, |row| row.settings);
        Settings {
            width: arch.width,
            mels: arch.mels,
            embedding_dim: arch.embedding_dim,
            pooling: arch.pooling,
            two_embedding_layers: arch.two_embedding_layers,
        } = own;
        arch
    }

    /// What builds the network.
    fn member(&self) -> Result<&dyn Member> {
        let row = self.row()?;
        let Some(layers) = &self.layers else { return Ok(row.network) };
        match Layers::of(row) {
            Some(own) if own.is_of_the_family_of(layers) => Ok(layers.member()),
            Some(_) | None => Err(Error::invalid(format!(
                "`layers` describes another family than that of `{}`",
                self.name
            ))),
        }
    }

    /// Fewest frames of an utterance.
    ///
    /// # Errors
    /// Those of [`Architecture::check`].
    pub fn least_frames(&self) -> Result<usize> {
        self.check()?;
        Ok(self.member()?.least_frames())
    }

    /// The name of the tensor whose first axis is the width.
    ///
    /// # Errors
    /// Those of [`Architecture::check`].
    pub fn width_tensor(&self) -> Result<String> {
        let first = || Ok(self.layout()?.tensors[0].name.clone());
        self.member()?.width_tensor().map_or_else(first, |name| Ok(name.to_owned()))
    }

    /// The registry's row of this name, or of the network it is a reversible type of.
    ///
    /// # Errors
    /// An unknown name, and a reversible type that the network does not offer.
    pub fn row(&self) -> Result<&'static Row> {
        let base = self.base_name();
        let row = Row::of(base).ok_or_else(|| {
            let (listed, near) = (registry::listed(), registry::near(base).join(" or "));
            let name = &self.name;
            Error::invalid(match near.is_empty() {
                true => format!("no architecture `{name}`; there are: {listed}"),
                false => format!("no architecture `{name}`; did you mean {near}? All: {listed}"),
            })
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
        let kind = self.reversible_type();
        if kind.is_none() && !is_default(&self.reversible) {
            let name = &self.name;
            return Err(Error::invalid(format!(
                "`{name}` has no reversible options; rev1-{name} and rev2-{name} have"
            )));
        }
        let member = self.member()?;
        member.check(self)?;
        let kind = kind.zip(member.base());
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
        let (plan, member) = (self.plan()?, self.member()?);
        let backbone = match plan {
            Some(plan) => plan.init(init, self),
            None => member.init(init, self),
        };
        Ok(Network::new(backbone, member.least_frames()))
    }

    /// The network as data, for one utterance of `frames` frames. Its input is the image
    /// `[1, mels, frames]`, the transposed features. No weight is drawn.
    ///
    /// # Errors
    /// Those of [`Architecture::check`]; fewer frames than [`Architecture::least_frames`].
    pub fn graph(&self, frames: usize) -> Result<Graph> {
        let network = self.build(&Init::blank())?;
        let (name, least) = (&self.name, network.least_frames());
        if frames < least {
            let message = format!("{name} takes {least} frames or more, not {frames}");
            return Err(Error::invalid(message));
        }
        Ok(Trace::record(&network, [self.mels, frames]))
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
pub(crate) mod tests;
