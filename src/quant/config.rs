//! What a user chooses about quantization: the section `[quantize]` of a recipe, and the flags of
//! `revox quantize`.
//!
//! arXiv 2406.05359 gives the methods; what could not be seen of it (coverage, refreshing of
//! centroids, order of stages, formulas of the binary quantizers) is a named option here, its
//! default chosen by own measurement or for safety.

use serde::{Deserialize, Serialize};

use super::sensitivity::Measure;
use super::{Scheme, SensitivityConfig, TensorScheme};
use crate::error::{Error, Result};

/// The method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// k-means codebooks, the same bits for every layer (1 bit: the naive binary quantizer).
    #[serde(rename = "kmeans")]
    #[value(name = "kmeans")]
    KMeans,
    /// k-means codebooks, bits by layer under a size budget.
    Mixed,
    /// 1 bit, scales of the weights at the beginning.
    BinaryStatic,
    /// 1 bit, scales that follow the weights.
    BinaryAdaptive,
}

/// Which tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coverage {
    /// Convolutions and linear layers.
    All,
    /// Convolutions only.
    Convolutions,
}

/// Layers with too few weights for a codebook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SmallLayers {
    /// An error.
    Refuse,
    /// The most bits of which codes and codebook are smaller than the weights in f32.
    FewerBits,
    /// f32.
    Keep,
}

/// How k-means codebooks move while training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Update {
    /// Every weight has its nearest centroid; Lloyd's iterations go on from where they are.
    Lloyd,
    /// Weights keep the centroid they began with, which is their mean (HAQ's public code).
    FrozenMean,
    /// Weights keep the centroid they began with, which is trained by the sum of its members'
    /// gradients (Deep Compression, arXiv 1510.00149).
    FrozenGradient,
}

/// In which order stages quantize layers. What the paper does is not known to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Largest perturbation first.
    Sensitivity,
    /// Most bits first.
    Bits,
    /// As the network applies them.
    Front,
}

/// The section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuantizeConfig {
    /// Method.
    pub method: Method,
    /// Bits of `kmeans`, 1 to 8.
    pub bits: usize,
    /// Bytes of the file that `mixed` has to make, header included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_bytes: Option<usize>,
    /// Which tensors.
    pub layers: Coverage,
    /// Tensors that stay f32, by name.
    pub keep: Vec<String>,
    /// Layers with too few weights.
    pub small_layers: SmallLayers,
    /// How codebooks move.
    pub update: Update,
    /// Steps between two moves of the codebooks.
    pub refresh_every: usize,
    /// Lloyd's iterations of a move.
    pub lloyd_steps: usize,
    /// Binary: a scale for each output channel.
    pub per_channel: bool,
    /// Binary: values around the mean weight instead of 0.
    pub offset: bool,
    /// No gradient for latent weights beyond so many times their group's largest value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip: Option<f32>,
    /// Bits that `mixed` chooses from.
    pub candidates: Vec<usize>,
    /// How `mixed` weighs layers.
    pub sensitivity: SensitivityConfig,
    /// Stages: one group of layers after another, equal parts of the epochs. 1 quantizes all at
    /// once: the default, since more of them gave no lower error rates where it was measured
    /// (BENCHMARKS.md).
    pub stages: usize,
    /// Order of the stages.
    pub order: Order,
    /// Each stage goes through the recipe's schedule of the learning rate; otherwise all of them
    /// together do.
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
    /// Refuses the impossible, and what would do nothing.
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
        let binary = matches!(self.method, Method::BinaryStatic | Method::BinaryAdaptive);
        if !binary && (self.per_channel || self.offset) {
            return bad("per_channel and offset: choices of the binary methods".into());
        }
        if binary && self.update != Update::Lloyd {
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
        match (self.method, self.target_bytes) {
            (Method::Mixed, None) => return bad("target_bytes: method mixed needs a size".into()),
            (Method::Mixed, Some(0)) => return bad("target_bytes = 0".into()),
            (Method::Mixed, _) | (_, None) => {}
            _ => return bad("target_bytes: a choice of method mixed".into()),
        }
        self.sensitivity.check()
    }

    /// Refuses what only training gives a meaning.
    ///
    /// # Errors
    /// Names the value.
    pub fn check_without_training(&self) -> Result<()> {
        let defaults = Self::default();
        let trained = self.stages != 1
            || self.update != defaults.update
            || self.clip.is_some()
            || self.refresh_every != defaults.refresh_every
            || self.lloyd_steps != defaults.lloyd_steps;
        match trained {
            true => Err(Error::invalid(
                "quantize.stages, update, clip, refresh_every and lloyd_steps: choices of training, for which a recipe is needed",
            )),
            false => Ok(()),
        }
    }

    /// Whether layers are told apart by what their quantization costs.
    pub fn weighs_layers(&self) -> bool {
        self.method == Method::Mixed || self.stages > 1 && self.order == Order::Sensitivity
    }

    /// Whether that needs a loss, and so data.
    pub fn needs_loss(&self) -> bool {
        self.weighs_layers() && self.sensitivity.measure == Measure::Hessian
    }

    /// The scheme of a tensor that gets so many bits.
    pub fn scheme(&self, bits: usize) -> TensorScheme {
        let (per_channel, offset) = (self.per_channel, self.offset);
        let binary = |scheme| TensorScheme { scheme, bits: 1, per_channel, offset };
        match self.method {
            Method::KMeans | Method::Mixed => TensorScheme::kmeans(bits),
            Method::BinaryStatic => binary(Scheme::BinaryStatic),
            Method::BinaryAdaptive => binary(Scheme::BinaryAdaptive),
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
