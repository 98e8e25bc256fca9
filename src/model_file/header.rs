//! A model file's header: the network, its input, its training, the reading of its scores.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::PackedTensor;
use crate::audio::FbankConfig;
use crate::error::{Error, Result};
use crate::nn::Graph;
use crate::quant::{Activations, convolutions};
use crate::scoring::Calibration;
use crate::zoo::Architecture;

/// The format's version.
const FORMAT: u32 = 1;

/// What turns audio into the network's input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frontend {
    /// Filter banks. `dither` is what training used; embeddings are computed without dither.
    pub fbank: FbankConfig,
    /// Whether each utterance's mean over time is subtracted.
    pub cmn: bool,
}

impl Default for Frontend {
    fn default() -> Self {
        Self { fbank: FbankConfig::default(), cmn: true }
    }
}

/// How a model was trained.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// The recipe, as TOML.
    pub recipe: String,
    /// The seed of all random numbers.
    pub seed: u64,
    /// SHA-256 over the lists and the sizes of the files that they name.
    pub data_hash: String,
    /// Optimizer steps taken.
    pub steps: u64,
    /// Epoch of the weights, from 1; 0 for a mean over several epochs.
    #[serde(default)]
    pub epoch: u64,
    /// revox's version.
    pub version: String,
}

/// How a model's scores are to be read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Scoring {
    /// Mean of the training speakers' embeddings, if it is to be subtracted before embeddings are
    /// compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding_mean: Option<Vec<f32>>,
    /// Thresholds measured on the dev trials: false-accept rate, threshold.
    #[serde(default)]
    pub thresholds: Vec<(f64, f64)>,
    /// Threshold at the dev trials' equal error rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold_eer: Option<f64>,
    /// From scores to log-likelihood ratios.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// Thresholds of a user's own, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub named_thresholds: BTreeMap<String, NamedThreshold>,
}

impl Scoring {
    /// The threshold for a false-accept rate, if one is stored: among those of all models, or
    /// among the user's own.
    pub fn threshold_at(&self, false_accept_rate: f64) -> Option<f64> {
        let is_it = |rate: f64| (rate - false_accept_rate).abs() <= 1e-9 * false_accept_rate;
        self.points().find(|(rate, _)| is_it(*rate)).map(|(_, threshold)| threshold)
    }

    /// The false-accept rates for which thresholds are stored.
    pub fn rates(&self) -> impl Iterator<Item = f64> {
        self.points().map(|(rate, _)| rate)
    }

    /// False-accept rates and their thresholds.
    fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        let named = self.named_thresholds.values().map(|t| (t.false_accept_rate, t.threshold));
        self.thresholds.iter().copied().chain(named)
    }

    /// Refuses a calibration that gives no ratio, and named thresholds that are none.
    fn check(&self) -> Result<()> {
        if let Some(calibration) = &self.calibration {
            calibration.check()?;
        }
        for (name, NamedThreshold { false_accept_rate, threshold }) in &self.named_thresholds {
            if name.trim().is_empty() {
                return Err(Error::invalid("a threshold has no name"));
            }
            if !threshold.is_finite() || !(0.0..=1.0).contains(false_accept_rate) {
                return Err(Error::invalid(format!(
                    "threshold `{name}` is {threshold} at false-accept rate {false_accept_rate}"
                )));
            }
        }
        Ok(())
    }
}

/// A threshold that was measured for a wanted false-accept rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NamedThreshold {
    /// The false-accept rate, 0 to 1.
    pub false_accept_rate: f64,
    /// The score from which on it is the same speaker.
    pub threshold: f64,
}

/// The header, stored as JSON under the metadata key `revox`. The checksum has a key of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Version of the format.
    pub format: u32,
    /// The network's architecture.
    pub arch: Architecture,
    /// The network's input.
    pub frontend: Frontend,
    /// Values of an embedding.
    pub embedding_dim: usize,
    /// How the model was trained, if revox trained it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<Training>,
    /// How the model's scores are read.
    #[serde(default)]
    pub scoring: Scoring,
    /// The classes of the training head in the order of its rows, if the file holds the head: names
    /// of speakers, followed by ` x0.9` for classes at another speed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub speakers: Vec<String>,
    /// The packed tensors of a quantized model, by name. In such a file, weight and bias of a
    /// BatchNorm layer are its scale and shift, and its running statistics are left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub quantization: BTreeMap<String, PackedTensor>,
    /// How activations become bytes, if there are layers that compute in integers. The ranges are
    /// those of these weights: whatever changes weights leaves them out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activations: Option<Activations>,
}

impl Header {
    /// The header of a network that revox has not trained.
    pub fn new(arch: Architecture, frontend: Frontend) -> Self {
        Self {
            format: FORMAT,
            embedding_dim: arch.embedding_dim,
            arch,
            frontend,
            training: None,
            scoring: Scoring::default(),
            speakers: Vec::new(),
            quantization: BTreeMap::new(),
            activations: None,
        }
    }

    /// Refuses contradictions that would make every embedding wrong; `path` appears in errors.
    pub(super) fn check(&self, path: &Path) -> Result<()> {
        let bad = |m: String| Err(Error::file(path, m));
        if self.format != FORMAT {
            return bad(format!("model format {}; this version reads {FORMAT}", self.format));
        }
        #[cfg(feature = "burn")]
        self.arch.check().map_err(|e| Error::file(path, e.to_string()))?;
        self.frontend.fbank.check().map_err(|e| Error::file(path, e.to_string()))?;
        if self.frontend.fbank.mels != self.arch.mels {
            return bad(format!(
                "front-end makes {} mels, network wants {}",
                self.frontend.fbank.mels, self.arch.mels
            ));
        }
        if self.embedding_dim != self.arch.embedding_dim {
            return bad(format!(
                "embedding_dim {} and arch's {} differ",
                self.embedding_dim, self.arch.embedding_dim
            ));
        }
        self.scoring.check().map_err(|e| Error::file(path, e.to_string()))?;
        if let Some(mean) = &self.scoring.embedding_mean
            && mean.len() != self.embedding_dim
        {
            return bad(format!(
                "embedding mean has {} values for {} dimensions",
                mean.len(),
                self.embedding_dim
            ));
        }
        let mut names = HashSet::new();
        if let Some(name) =
            self.speakers.iter().find(|name| name.is_empty() || !names.insert(name.as_str()))
        {
            return bad(format!("the training head has speaker `{name}` twice, or without a name"));
        }
        if !self.quantization.is_empty() && !self.speakers.is_empty() {
            return bad(
                "names the speakers of a training head, which a quantized model has not".to_owned()
            );
        }
        #[cfg(feature = "burn")]
        if self.activations.is_some() {
            let graph = self.arch.layout().map_err(|e| Error::file(path, e.to_string()))?;
            self.check_activations(&graph).map_err(|m| Error::file(path, m))?;
        }
        Ok(())
    }

    /// Refuses ranges that no runtime could compute with, or of layers that the network has not.
    pub(super) fn check_activations(&self, graph: &Graph) -> Result<(), String> {
        let Some(activations) = &self.activations else { return Ok(()) };
        activations.check()?;
        let known: HashSet<&str> = convolutions(graph).collect();
        match activations.layers.keys().find(|name| !known.contains(name.as_str())) {
            Some(name) => Err(format!(
                "activations of `{name}`, which is no weight of a convolution of {}",
                self.arch.name
            )),
            None => Ok(()),
        }
    }
}
