//! The section `data` of a recipe.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::corpus::synth::SynthConfig;

/// Where features are computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// By the processor.
    #[default]
    Host,
    /// By the device that trains.
    Device,
}

impl Place {
    /// A value that is usual is not written, so that older runs can be resumed.
    fn is_host(&self) -> bool {
        *self == Self::Host
    }
}

/// Corpora. Paths are relative to the working folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Folder with wav.scp and utt2spk of the training speakers.
    #[serde(default)]
    pub train: PathBuf,
    /// Folder with wav.scp and utt2spk of other speakers, tested after each epoch.
    #[serde(default)]
    pub dev: PathBuf,
    /// Trials among the dev utterances; `trials.txt` of the dev folder unless said.
    #[serde(default)]
    pub trials: PathBuf,
    /// Synthesize the corpora where they are not there yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synth: Option<SynthConfig>,
    /// Frames of a training crop.
    #[serde(default = "default_frames")]
    pub frames: usize,
    /// How often each utterance is drawn in an epoch.
    #[serde(default = "default_passes")]
    pub passes: usize,
    /// Playing speeds; each but 1 makes another speaker of every speaker.
    #[serde(default = "default_speeds")]
    pub speeds: Vec<f64>,
    /// Where features are computed: `host` (threads that prepare batches) or `device` (the one that
    /// trains). They differ by rounding.
    #[serde(default, skip_serializing_if = "Place::is_host")]
    pub features: Place,
    /// Threads that prepare batches. They do not change the result.
    #[serde(default = "default_threads")]
    pub threads: usize,
    /// Decoded audio kept in memory, MiB.
    #[serde(default = "default_cache")]
    pub cache_mib: usize,
    /// Share of the training utterances, of the dev utterances, and of the sounds of each list,
    /// that may be left out because their audio cannot be read.
    #[serde(default = "default_tolerate")]
    pub tolerate: f64,
    /// Neighbouring tar files whose utterances are shuffled together.
    #[serde(default = "default_shard_mix")]
    pub shard_mix: usize,
}

fn default_frames() -> usize {
    200
}
fn default_passes() -> usize {
    1
}
fn default_speeds() -> Vec<f64> {
    vec![1.0]
}
fn default_threads() -> usize {
    2
}
fn default_cache() -> usize {
    1024
}
fn default_tolerate() -> f64 {
    0.001
}
fn default_shard_mix() -> usize {
    8
}
