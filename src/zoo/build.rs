//! From an architecture to its network and its graph.

use burn::tensor::Device;

use super::account::Account;
use super::architecture::is_default;
use super::network::Network;
use super::registry::{self, Member, Row, Settings};
use super::reversible::{self, ReversibleOptions};
use super::{Architecture, Layers, ReversibleType};
use crate::error::{Error, Result};
use crate::nn::graph::Stored;
use crate::nn::{Graph, Init, PoolingKind, Segments, Trace};

/// Frames of an utterance for graphs of which only the tensors matter. No network needs more.
pub(super) const FRAMES: usize = 32;

/// Frames of a graph for all lengths: no squeeze divides them, so every operation is there that
/// some length needs.
const ODD_FRAMES: usize = 33;

/// The layers from so many channels times mels, pooled, to embeddings.
pub(super) fn segments(init: &Init, arch: &Architecture, pooled: usize) -> Segments {
    let statistics = arch.pooling.outputs(pooled);
    Segments::new(init, statistics, arch.embedding_dim, arch.two_embedding_layers)
}

/// Refuses the pooling that only SimAM-ResNets have.
pub(super) fn without_asp(arch: &Architecture) -> Result<()> {
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
pub(super) fn without_second_layer(arch: &Architecture) -> Result<()> {
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

    /// The network of the same name of a reversible type, or the ordinary one, with these sizes.
    /// Some families have no such types.
    pub fn of_type(&self, reversible: Option<ReversibleType>) -> Option<Self> {
        let prefix = reversible.map_or("", ReversibleType::prefix);
        let named = Self::named(&format!("{prefix}{}", self.base_name())).ok()?;
        Some(Self { name: named.name, reversible: named.reversible, ..self.clone() })
    }

    /// A network with its published settings, or any of an unknown name.
    pub(super) fn of(name: String) -> Self {
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

    /// What a model file holds of the network, so that it runs without the network's code: its
    /// graph for any length, and the fewest frames.
    ///
    /// # Errors
    /// Those of [`Architecture::check`].
    pub fn stored_graph(&self) -> Result<Stored> {
        Ok(Stored { graph: self.graph(ODD_FRAMES)?, least_frames: self.least_frames()? })
    }

    /// Parameters, multiplications and kept activations of one utterance of `frames` frames.
    ///
    /// # Errors
    /// Those of [`Architecture::check`].
    pub fn account(&self, frames: usize) -> Result<Account> {
        Ok(Account(self.graph(frames)?))
    }
}
