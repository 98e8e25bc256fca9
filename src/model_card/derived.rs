//! What follows from an architecture.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::model_file::{Frontend, Header, planned_beside, planned_bytes};
use crate::quant::config::SmallLayers;
use crate::quant::{Plan, QuantizeConfig, uniform};
use crate::zoo::Architecture;

/// What a network costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Derived {
    /// Trained values.
    pub parameters: usize,
    /// Multiply-accumulate operations for an utterance of [`Self::frames`].
    pub macs: usize,
    /// Frames of the utterance.
    pub frames: usize,
    /// Bytes of f32 activations that an ordinary tape keeps of this utterance.
    pub activation_bytes: usize,
    /// Bytes that reversible training keeps, if the network can be trained so.
    pub held_bytes: Option<usize>,
    /// Sizes of the model's file.
    pub bytes: Bytes,
    /// What the file has beside its tensors.
    pub beside: Beside,
}

impl Derived {
    /// The costs for an utterance of so many frames.
    ///
    /// # Errors
    /// Those of [`Architecture::account`].
    pub fn of(arch: &Architecture, frames: usize) -> Result<Self> {
        let account = arch.account(frames)?;
        Ok(Self {
            parameters: account.parameters(),
            macs: account.macs(),
            frames,
            activation_bytes: account.activation_bytes(),
            held_bytes: arch.reversible_type().map(|_| account.held_bytes()),
            bytes: Bytes::of(arch)?,
            beside: Beside::of(arch)?,
        })
    }
}

/// Bytes of the tensors in a model's file, without its header and its graph ([`Beside`]): in f32,
/// and packed by k-means with so many bits a weight. Layers with too few weights for that get fewer
/// bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bytes {
    /// In f32.
    pub f32: usize,
    /// With 8 bits.
    pub bits8: usize,
    /// With 4 bits.
    pub bits4: usize,
    /// With 2 bits.
    pub bits2: usize,
}

impl Bytes {
    /// The sizes for an architecture.
    ///
    /// # Errors
    /// Those of [`Architecture::check`].
    pub fn of(arch: &Architecture) -> Result<Self> {
        let tensors = arch.layout()?.names_and_shapes();
        let packed =
            |bits: usize| -> Result<usize> { Ok(planned_bytes(&tensors, &plan(&tensors, bits)?)) };
        Ok(Self {
            f32: planned_bytes(&tensors, &Plan::new()),
            bits8: packed(8)?,
            bits4: packed(4)?,
            bits2: packed(2)?,
        })
    }
}

/// Bytes of header and graph in the file of a model without thresholds or a record of its training,
/// which take one or two kilobytes more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Beside {
    /// In f32.
    pub f32: usize,
    /// With 4 bits. Other bits take about as many.
    pub packed: usize,
}

impl Beside {
    /// The sizes for an architecture.
    ///
    /// # Errors
    /// Those of [`Architecture::check`].
    pub fn of(arch: &Architecture) -> Result<Self> {
        let tensors = arch.layout()?.names_and_shapes();
        let mut frontend = Frontend::default();
        frontend.fbank.mels = arch.mels;
        let header = Header::new(arch.clone(), frontend);
        let beside = |plan: &Plan| planned_beside(&header, &tensors, plan);
        Ok(Self { f32: beside(&Plan::new())?, packed: beside(&plan(&tensors, 4)?)? })
    }
}

/// K-means of so many bits a weight, and fewer in layers with too few weights.
fn plan(tensors: &[(String, Vec<usize>)], bits: usize) -> Result<Plan> {
    let small_layers = SmallLayers::FewerBits;
    uniform(tensors, &QuantizeConfig { bits, small_layers, ..QuantizeConfig::default() })
}
