//! The sections of a recipe, with their defaults.

mod data;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::data::{DataConfig, Place};
use super::Every;
use crate::audio::Window;
use crate::audio::augment::{Categories, SpecAugment};
use crate::backend::reversible::Execution;
use crate::model_file::Frontend;
use crate::nn::Precision;
use crate::train::schedule::Increase;

/// The settings of the front-end that recipes change. The others are WeSpeaker's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FrontendConfig {
    /// Samples per second.
    pub sample_rate: u32,
    /// Analysis window.
    pub window: Window,
    /// Dither while training, in 16-bit steps.
    pub dither: f64,
    /// Subtract each crop's mean.
    pub cmn: bool,
}

impl Default for FrontendConfig {
    fn default() -> Self {
        Self { sample_rate: 16000, window: Window::Hamming, dither: 1.0, cmn: true }
    }
}

impl FrontendConfig {
    /// The settings of a model's front-end.
    pub fn of(frontend: &Frontend) -> Self {
        let fbank = &frontend.fbank;
        Self {
            sample_rate: fbank.sample_rate,
            window: fbank.window,
            dither: fbank.dither,
            cmn: frontend.cmn,
        }
    }
}

/// Augmentation. Noise and reverberation exclude each other, as in WeSpeaker: with `probability` an
/// utterance gets one of those given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentConfig {
    /// Probability of noise or reverberation.
    pub probability: f64,
    /// wav.scp of noises.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<PathBuf>,
    /// Signal-to-noise ratio, dB, drawn uniformly.
    pub noise_snr: [f64; 2],
    /// wav.scp of room impulse responses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reverb: Option<PathBuf>,
    /// Decoded noises and responses kept in memory, MiB. It does not change the result.
    pub cache_mib: usize,
    /// Divide an utterance that was changed by its largest value, as WeSpeaker does.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub normalize: bool,
    /// Categories of noises, by the beginnings of their ids. Others have `noise_snr`.
    #[serde(skip_serializing_if = "Categories::is_empty")]
    pub categories: Categories,
    /// Masks on the features.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec: Option<SpecAugment>,
}

impl Default for AugmentConfig {
    fn default() -> Self {
        Self {
            probability: 0.6,
            noise: None,
            noise_snr: [0.0, 15.0],
            reverb: None,
            cache_mib: 512,
            normalize: false,
            categories: Categories::default(),
            spec: None,
        }
    }
}

/// Margin; epochs count from 1, as in WeSpeaker. Start and fix at the same epoch: `last` from that
/// epoch on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MarginConfig {
    /// Before the rise.
    pub initial: f64,
    /// After it.
    pub last: f64,
    /// First epoch of the rise.
    pub increase_start_epoch: usize,
    /// First epoch after it.
    pub fix_start_epoch: usize,
    /// The curve.
    pub increase: Increase,
}

impl Default for MarginConfig {
    fn default() -> Self {
        Self {
            initial: 0.2,
            last: 0.2,
            increase_start_epoch: 1,
            fix_start_epoch: 1,
            increase: Increase::Exp,
        }
    }
}

/// ExponentialDecrease.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleConfig {
    /// Learning rate at the beginning, before the scale ratio.
    pub initial_lr: f64,
    /// Learning rate at the end, before the scale ratio.
    pub final_lr: f64,
    /// Epochs of the warm-up.
    pub warm_up_epochs: f64,
    /// Warm up from 0.
    pub warm_from_zero: bool,
    /// Factor on all rates; batch_size / 64 unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_ratio: Option<f64>,
    /// Further factors on the rates of single parts, by the beginnings of their tensors' names in
    /// the model file: `layer1`, `layer1.0`, `projection` for the head. The longest name that fits
    /// a tensor counts. A decoupled weight decay is multiplied too, as by any rate.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub factors: BTreeMap<String, f64>,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            initial_lr: 0.1,
            final_lr: 5e-5,
            warm_up_epochs: 6.0,
            warm_from_zero: true,
            scale_ratio: None,
            factors: BTreeMap::new(),
        }
    }
}

/// Length of the training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Epochs.
    pub epochs: usize,
    /// Crops of a step.
    pub batch_size: usize,
    /// Parts of a batch that each device works through one after another: less memory, and the
    /// gradient of the whole batch, except that BatchNorm has the statistics of each part.
    #[serde(skip_serializing_if = "is_one")]
    pub accumulate: usize,
    /// Stop after so many epochs without a better dev EER; 0 never stops.
    pub patience: usize,
    /// Test on the dev trials after every so many epochs (and the last).
    pub validate_every: usize,
    /// The final model is the mean of the last so many epochs' weights (BatchNorm statistics
    /// included); 1 takes the best epoch instead.
    pub average_last: usize,
    /// Parts that stay what they are, by the beginnings of their tensors' names in the model file:
    /// `layer1`, `layer1.0`, `projection` for the head. Their weights are not trained, and their
    /// BatchNorms normalise by their running statistics, which do not move.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
    /// Whether BatchNorm takes the moments of a whole batch where several ranks divide it among
    /// them. Otherwise each rank's part has its own. It costs a sum over ranks for each BatchNorm
    /// and direction, and for each recomputation.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sync_batch_norm: bool,
    /// Whether each of several ranks keeps the optimizer's states of its own share of the
    /// parameters alone, and updates these. Then every rank sends the others its new values. It
    /// does not change the result, nor the checkpoints.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub shard_states: bool,
    /// How a reversible network trains: `reversible` (the default) recomputes activations, `taped`
    /// keeps them. The result is the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution: Option<Execution>,
    /// Whether each parameter is changed during the backward pass, as soon as its gradient is
    /// complete, and the gradient is freed. Otherwise all gradients are there before the first
    /// parameter changes. The result is the same while gradients are finite.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub release_gradients: bool,
    /// What convolutions compute in while training: `f32`, `tf32`, `bf16` or `f16`.
    #[serde(skip_serializing_if = "Precision::is_default")]
    pub precision: Precision,
    /// How often a checkpoint is written, besides the one after each epoch: `15min`, `90s`, `2h`,
    /// `500 steps`. It does not change the result.
    pub checkpoint_every: Every,
    /// Checkpoints that are kept, the newest included.
    pub keep: usize,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 150,
            batch_size: 128,
            accumulate: 1,
            patience: 0,
            validate_every: 1,
            average_last: 1,
            freeze: Vec::new(),
            sync_batch_norm: false,
            shard_states: false,
            execution: None,
            release_gradients: false,
            precision: Precision::F32,
            checkpoint_every: Every::Time(Duration::from_secs(15 * 60)),
            keep: 2,
        }
    }
}

/// A value of 1 is not written, so that runs from before the option existed can be resumed.
fn is_one(n: &usize) -> bool {
    *n == 1
}
