//! What a user chooses about quantization: the section `[quantize]` of a recipe.
//!
//! The methods are those of arXiv 2406.05359. What we do not know of it (which layers, when
//! centroids move, the order of stages, the formulas of the binary quantizers) is a named option
//! here. We chose the defaults by our own measurements, or the safe choice.

use serde::{Deserialize, Serialize};

use super::sensitivity::Measure;
use super::{Scheme, SensitivityConfig, TensorScheme};
use crate::error::{Error, Result};

/// The method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// k-means codebooks, the same bits for every layer (1 bit: the naive binary quantizer).
    #[serde(rename = "kmeans")]
    #[cfg_attr(feature = "cli", value(name = "kmeans"))]
    KMeans,
    /// k-means codebooks, bits by layer under a size budget.
    Mixed,
    /// 1 bit, scales of the weights at the beginning.
    BinaryStatic,
    /// 1 bit, scales that follow the weights.
    BinaryAdaptive,
}

impl Method {
    /// The scheme of the tensors that it quantizes.
    pub fn scheme(self) -> Scheme {
        match self {
            Self::KMeans | Self::Mixed => Scheme::KMeans,
            Self::BinaryStatic => Scheme::BinaryStatic,
            Self::BinaryAdaptive => Scheme::BinaryAdaptive,
        }
    }

    /// Whether [`QuantizeConfig::bits`] is a choice of this method.
    pub fn has_bits(self) -> bool {
        match self {
            Self::KMeans => true,
            Self::Mixed | Self::BinaryStatic | Self::BinaryAdaptive => false,
        }
    }

    /// Whether it chooses each layer's bits for a file of [`QuantizeConfig::target_bytes`].
    pub fn has_target(self) -> bool {
        match self {
            Self::Mixed => true,
            Self::KMeans | Self::BinaryStatic | Self::BinaryAdaptive => false,
        }
    }
}

/// Which tensors are quantized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coverage {
    /// Convolutions and linear layers.
    All,
    /// Convolutions only.
    Convolutions,
}

/// What becomes of layers with too few weights for a codebook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SmallLayers {
    /// They are an error.
    Refuse,
    /// They get the most bits with which codes and codebook take fewer bytes than in f32.
    FewerBits,
    /// They stay f32.
    Keep,
}

/// How k-means codebooks move during training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Update {
    /// Every weight takes its nearest centroid, and Lloyd's iterations move the centroids.
    Lloyd,
    /// Weights keep the centroid that they began with, which moves to their mean (HAQ's public
    /// code).
    FrozenMean,
    /// Weights keep the centroid that they began with, which is trained with the sum of its
    /// members' gradients (Deep Compression, arXiv 1510.00149).
    FrozenGradient,
}

/// In which order stages quantize layers. We do not know the paper's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Largest perturbation first.
    Sensitivity,
    /// Most bits first.
    Bits,
    /// As [`Graph::tensors`](crate::nn::Graph::tensors) has them. That is the order of the module's
    /// fields, not always that of the forward pass: in DF-ResNets all downsampling layers come
    /// before all stages.
    Front,
}

/// The section `[quantize]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuantizeConfig {
    /// The method.
    pub method: Method,
    /// Bits of method `kmeans`, 1 to 8.
    pub bits: usize,
    /// Bytes of the file that method `mixed` aims at, header included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_bytes: Option<usize>,
    /// Which tensors are quantized.
    pub layers: Coverage,
    /// Names of further tensors that stay f32.
    pub keep: Vec<String>,
    /// What becomes of layers with too few weights.
    pub small_layers: SmallLayers,
    /// How k-means codebooks move.
    pub update: Update,
    /// Training steps between two moves of the codebooks.
    pub refresh_every: usize,
    /// Lloyd's iterations in each move.
    pub lloyd_steps: usize,
    /// Binary methods: a scale for each output channel.
    pub per_channel: bool,
    /// Binary methods: values around the mean weight instead of 0.
    pub offset: bool,
    /// Latent weights get no gradient while they are beyond so many times the largest value of
    /// their group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip: Option<f32>,
    /// Bits that method `mixed` chooses from.
    pub candidates: Vec<usize>,
    /// How the costs of layers are measured, by which `mixed` and `order` choose.
    pub sensitivity: SensitivityConfig,
    /// Stages, each an equal part of the epochs: one group of layers is quantized after another.
    /// The default is 1, which quantizes all at once: more stages gave no lower error rates
    /// (docs/evidence/quantization.md).
    pub stages: usize,
    /// Order of the stages.
    pub order: Order,
    /// Each stage goes through the whole schedule of the learning rate; otherwise all stages share
    /// one pass through it.
    pub restart_rate: bool,
}

impl Default for QuantizeConfig {
    fn default() -> Self {
        Self {
            method: Method::KMeans,
            bits: 4,
            target_bytes: None,
            layers: Coverage::All,
            keep: Vec::new(),
            small_layers: SmallLayers::Refuse,
            update: Update::Lloyd,
            refresh_every: 10,
            lloyd_steps: 3,
            per_channel: false,
            offset: false,
            clip: None,
            candidates: vec![1, 2, 3, 4, 8],
            sensitivity: SensitivityConfig::default(),
            stages: 1,
            order: Order::Bits,
            restart_rate: false,
        }
    }
}

impl QuantizeConfig {
    /// Refuses impossible values, and choices without effect.
    ///
    /// # Errors
    /// Names the value.
    pub fn check(&self) -> Result<()> {
        let bad = |m: String| Err(Error::Invalid(format!("quantize.{m}")));
        let bits = |b: usize| (1..=8).contains(&b);
        if !bits(self.bits) {
            return bad(format!("bits = {}: must be 1 to 8", self.bits));
        }
        if self.candidates.is_empty() || self.candidates.iter().any(|&b| !bits(b)) {
            return bad(format!("candidates = {:?}: must be some of 1 to 8", self.candidates));
        }
        if self.refresh_every == 0 || self.lloyd_steps == 0 || self.stages == 0 {
            return bad("refresh_every, lloyd_steps and stages: must be at least 1".into());
        }
        let rule = self.method.scheme().rule();
        if !rule.has_scales() && (self.per_channel || self.offset) {
            return bad("per_channel and offset: choices of the binary methods".into());
        }
        if !rule.has_centroids() && self.update != Update::Lloyd {
            return bad("update: a choice of the k-means methods".into());
        }
        if self.restart_rate && self.stages == 1 {
            return bad("restart_rate: there is one stage only".into());
        }
        if self.clip.is_some_and(|c| !(c > 0.0 && c.is_finite())) {
            return bad(format!("clip = {}: must be above 0", self.clip.unwrap_or_default()));
        }
        if self.clip.is_some() && self.update == Update::FrozenGradient {
            return bad(
                "clip: weights whose centroids are trained have no gradient of their own".into()
            );
        }
        match (self.method.has_target(), self.target_bytes) {
            (true, None) => return bad("target_bytes: method mixed needs a size".into()),
            (true, Some(0)) => return bad("target_bytes = 0".into()),
            (true, Some(_)) | (false, None) => {}
            (false, Some(_)) => return bad("target_bytes: a choice of method mixed".into()),
        }
        self.sensitivity.check()
    }

    /// Refuses choices that only have an effect in training.
    ///
    /// # Errors
    /// One of them is not at its default.
    pub fn check_without_training(&self) -> Result<()> {
        let defaults = Self::default();
        let trained = self.stages != 1
            || self.update != defaults.update
            || self.clip.is_some()
            || self.refresh_every != defaults.refresh_every
            || self.lloyd_steps != defaults.lloyd_steps;
        match trained {
            true => Err(Error::invalid(
                "quantize.stages, update, clip, refresh_every and lloyd_steps: choices of \
                 training, for which a recipe is needed",
            )),
            false => Ok(()),
        }
    }

    /// Whether a choice depends on what the quantization of each layer costs.
    pub fn weighs_layers(&self) -> bool {
        self.method.has_target() || self.stages > 1 && self.order == Order::Sensitivity
    }

    /// Whether those costs depend on a loss, for which data are needed.
    pub fn needs_loss(&self) -> bool {
        self.weighs_layers() && self.sensitivity.measure == Measure::Hessian
    }

    /// The bits for which the costs of layers are computed: those that `mixed` chooses from, or
    /// all.
    pub fn weighed_bits(&self) -> Vec<usize> {
        match self.method.has_target() {
            true => self.candidates.clone(),
            false => (1..=8).collect(),
        }
    }

    /// The scheme of a tensor for which so many bits are wanted; the binary methods have one.
    pub fn scheme(&self, bits: usize) -> TensorScheme {
        let scheme = self.method.scheme();
        let rule = scheme.rule();
        TensorScheme {
            scheme,
            bits: rule.bits(bits),
            per_channel: rule.has_scales() && self.per_channel,
            offset: rule.has_scales() && self.offset,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_that_do_nothing_are_refused() {
        let refused = |change: &dyn Fn(&mut QuantizeConfig), wanted: &str| {
            let mut config = QuantizeConfig::default();
            change(&mut config);
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        };
        QuantizeConfig::default().check().unwrap();
        refused(&|c| c.bits = 9, "quantize.bits = 9");
        refused(&|c| c.candidates = vec![0], "quantize.candidates = [0]");
        refused(&|c| c.per_channel = true, "choices of the binary methods");
        refused(&|c| c.method = Method::Mixed, "needs a size");
        refused(&|c| c.target_bytes = Some(1), "a choice of method mixed");
        refused(&|c| c.clip = Some(-1.0), "quantize.clip = -1");
        refused(&|c| c.stages = 0, "stages");
        refused(
            &|c| (c.method, c.update) = (Method::BinaryStatic, Update::FrozenMean),
            "k-means methods",
        );
    }
}
