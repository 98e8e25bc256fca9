//! Runtimes of networks that Burn holds.

use std::sync::Mutex;

use super::{Runtime, Source};
use crate::error::Result;
use crate::infer::kernels::Level;
use crate::infer::weights::{Tensors, is_plain};
use crate::model_file::Model;
use crate::quant::Activations;
use crate::zoo::Network;

impl Runtime {
    /// The runtime of a model's network, with the best instructions that the processor has. Packed
    /// weights stay packed. Layers that have ranges in the model's header compute in integers.
    ///
    /// # Errors
    /// Those of [`Runtime::with_level`].
    pub fn of(model: &Model) -> Result<Self> {
        Self::with_level(model, Level::best())
    }

    /// The runtime of a model's network, with other instructions.
    ///
    /// # Errors
    /// A network with an operation that the runtime lacks; a network with a quantizer attached, as
    /// in training; ranges of a layer that cannot compute in integers; instructions that the
    /// processor lacks.
    pub fn with_level(model: &Model, level: Level) -> Result<Self> {
        Self::with_activations(model, level, model.header.activations.clone())
    }

    /// As [`Runtime::of`], but all layers compute in floats: a plain twin.
    ///
    /// # Errors
    /// Those of [`Runtime::with_level`].
    pub fn floats_of(model: &Model) -> Result<Self> {
        Self::with_activations(model, Level::best(), None)
    }

    /// The same, but each layer makes its value as a whole, so that it can be seen.
    pub(in crate::infer) fn step_by_step(self) -> Self {
        Self { programs: Mutex::default(), joins: false, ..self }
    }

    /// The runtime of a model's network with these ranges, whatever its header has.
    pub(in crate::infer) fn with_activations(
        model: &Model,
        level: Level,
        activations: Option<Activations>,
    ) -> Result<Self> {
        let source = Source::Architecture(Box::new(model.header.arch.clone()));
        let (least, tensors) = (model.network.least_frames(), Tensors::of(model)?);
        Self::make(source, least, tensors, level, activations)
    }

    /// The runtime of a network that takes features of so many mel filters, with the best
    /// instructions that the processor has. Its tensors are copied; the network is shared.
    ///
    /// # Errors
    /// An operation that the runtime lacks; packed weights, of which only a model says how they are
    /// packed; a quantizer that is attached; weights that are used in fewer bits, as in training.
    ///
    /// # Panics
    /// If the network takes another number of mel filters.
    pub fn of_network(network: &Network, mels: usize) -> Result<Self> {
        let tensors = Tensors::of_network(network)?;
        let source = Source::Network(Box::new(network.clone()), mels);
        Self::make(source, network.least_frames(), tensors, Level::best(), None)
    }

    /// Whether a network computes with its tensors as they are, so that [`Runtime::of_network`]
    /// takes it.
    pub(crate) fn takes(network: &Network) -> bool {
        is_plain(network)
    }
}
