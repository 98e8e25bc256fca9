//! A recipe: everything a training run depends on, as TOML. Unknown keys are errors; so are impossible values.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::OptimizerConfig;
use super::schedule::{ExponentialDecrease, Increase, MarginSchedule};
use crate::audio::Window;
use crate::audio::augment::SpecAugment;
use crate::corpus::synth::SynthConfig;
use crate::error::{Error, Result};
use crate::fs;
use crate::losses::HeadConfig;
use crate::model_file::Frontend;
use crate::zoo::Architecture;

/// The whole recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Seed of everything random.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// What is trained on and tested on.
    pub data: DataConfig,
    /// From samples to features.
    #[serde(default)]
    pub frontend: FrontendConfig,
    /// How utterances are varied.
    #[serde(default)]
    pub augment: AugmentConfig,
    /// The network.
    pub model: Architecture,
    /// The classification head.
    #[serde(default)]
    pub loss: HeadConfig,
    /// The margin over time.
    #[serde(default)]
    pub margin: MarginConfig,
    /// The optimizer.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// The learning rate over time.
    #[serde(default)]
    pub schedule: ScheduleConfig,
    /// Epochs, batches, stopping.
    #[serde(default)]
    pub train: TrainConfig,
}

fn default_seed() -> u64 {
    42
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
    /// Threads that prepare batches. They do not change the result.
    #[serde(default = "default_threads")]
    pub threads: usize,
    /// Decoded audio kept in memory, MiB.
    #[serde(default = "default_cache")]
    pub cache_mib: usize,
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

/// The front-end's choices that recipes change; the rest is WeSpeaker's.
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

/// Augmentation. Noise and reverberation exclude each other, as in WeSpeaker: with `probability` an utterance gets one of those given.
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
    /// Masks on the features.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec: Option<SpecAugment>,
}

impl Default for AugmentConfig {
    fn default() -> Self {
        Self { probability: 0.6, noise: None, noise_snr: [0.0, 15.0], reverb: None, spec: None }
    }
}

/// Margin; epochs count from 1, as in WeSpeaker. Start and fix at the same epoch: `last` from that epoch on.
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
        Self { initial: 0.2, last: 0.2, increase_start_epoch: 1, fix_start_epoch: 1, increase: Increase::Exp }
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
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self { initial_lr: 0.1, final_lr: 5e-5, warm_up_epochs: 6.0, warm_from_zero: true, scale_ratio: None }
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
    /// Stop after so many epochs without a better dev EER; 0 never stops.
    pub patience: usize,
    /// Test on the dev trials after every so many epochs (and the last).
    pub validate_every: usize,
    /// The final model is the mean of the last so many epochs' weights (BatchNorm statistics included); 1 takes the best epoch instead.
    pub average_last: usize,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self { epochs: 150, batch_size: 128, patience: 0, validate_every: 1, average_last: 1 }
    }
}

impl Recipe {
    /// Reads a recipe and applies `key=value` changes (keys dotted: `train.epochs=3`).
    pub fn load(path: impl AsRef<Path>, changes: &[String]) -> Result<Self> {
        let path = path.as_ref();
        Self::parse(&fs::read_to_string(path)?, path, changes)
    }

    /// [`Recipe::load`] of text; `path` appears in errors.
    pub fn parse(text: &str, path: &Path, changes: &[String]) -> Result<Self> {
        // Unchanged text is parsed as it stands, so that errors point at its lines.
        let recipe = if changes.is_empty() {
            toml::from_str::<Self>(text).map_err(|e| at_line(path, text, &e))?
        } else {
            let mut table: toml::Table = toml::from_str(text).map_err(|e| at_line(path, text, &e))?;
            changes.iter().try_for_each(|c| apply(&mut table, c))?;
            table.try_into::<Self>().map_err(|e| Error::file(path, format!("with --set: {}", e.message())))?
        };
        recipe.completed().map_err(|e| Error::file(path, e.to_string()))
    }

    /// The recipe as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a recipe is plain data")
    }

    /// Fills what depends on other values, and refuses the impossible.
    fn completed(mut self) -> Result<Self> {
        if let Some(synth) = &self.data.synth {
            synth.check()?;
            let default = |path: &mut PathBuf, name: &str| {
                if path.as_os_str().is_empty() {
                    *path = synth.out.join(name);
                }
            };
            default(&mut self.data.train, "train");
            default(&mut self.data.dev, "dev");
        }
        let bad = |m: String| Err(Error::Invalid(m));
        if self.data.train.as_os_str().is_empty() || self.data.dev.as_os_str().is_empty() {
            return bad("data.train and data.dev must be given (or data.synth)".into());
        }
        if self.data.trials.as_os_str().is_empty() {
            self.data.trials = self.data.dev.join("trials.txt");
        }
        let between = |name: &str, value: f64, low: f64, high: f64| match (low..=high).contains(&value) {
            true => Ok(()),
            false => Err(Error::Invalid(format!("{name} = {value}: must be {low} to {high}"))),
        };
        between("data.frames", self.data.frames as f64, 16.0, 100_000.0)?;
        between("data.passes", self.data.passes as f64, 1.0, 10_000.0)?;
        between("data.threads", self.data.threads as f64, 1.0, 256.0)?;
        between("augment.probability", self.augment.probability, 0.0, 1.0)?;
        between("train.epochs", self.train.epochs as f64, 1.0, 100_000.0)?;
        between("train.batch_size", self.train.batch_size as f64, 2.0, 65_536.0)?;
        between("train.validate_every", self.train.validate_every as f64, 1.0, 100_000.0)?;
        between("train.average_last", self.train.average_last as f64, 1.0, self.train.epochs as f64)?;
        between("frontend.dither", self.frontend.dither, 0.0, 1000.0)?;
        between("margin.initial", self.margin.initial, 0.0, 1.5)?;
        between("margin.last", self.margin.last, 0.0, 1.5)?;
        between("schedule.initial_lr", self.schedule.initial_lr, 1e-12, 100.0)?;
        between("schedule.final_lr", self.schedule.final_lr, 1e-12, 100.0)?;
        between("schedule.warm_up_epochs", self.schedule.warm_up_epochs, 0.0, 100_000.0)?;
        if self.data.speeds.is_empty() || !self.data.speeds.contains(&1.0) {
            return bad("data.speeds must hold 1.0".into());
        }
        for &s in &self.data.speeds {
            between("data.speeds", s, 0.5, 2.0)?;
        }
        if self.data.speeds.iter().enumerate().any(|(i, s)| self.data.speeds[..i].contains(s)) {
            return bad("data.speeds holds a speed twice".into());
        }
        let [low, high] = self.augment.noise_snr;
        if !(low <= high && low.is_finite() && high.is_finite()) {
            return bad(format!("augment.noise_snr = [{low}, {high}]: lowest first"));
        }
        if self.margin.increase_start_epoch == 0 || self.margin.fix_start_epoch < self.margin.increase_start_epoch {
            return bad("margin: 1 <= increase_start_epoch <= fix_start_epoch".into());
        }
        if self.train.patience > 0 && self.train.average_last > 1 {
            return bad("train.patience stops early and average_last averages the last epochs: choose one".into());
        }
        self.model.check()?;
        self.optimizer.init()?;
        // The number of speakers is known later; settings that fail for any number fail here.
        self.loss.check(usize::MAX)?;
        Ok(self)
    }

    /// The front-end for the model file.
    pub fn frontend(&self) -> Frontend {
        let mut frontend = Frontend { cmn: self.frontend.cmn, ..Frontend::default() };
        frontend.fbank.sample_rate = self.frontend.sample_rate;
        frontend.fbank.window = self.frontend.window;
        frontend.fbank.dither = self.frontend.dither;
        frontend.fbank.mels = self.model.mels;
        frontend
    }

    /// The learning rate, with `steps` iterations an epoch.
    pub fn learning_rate(&self, steps: usize) -> ExponentialDecrease {
        let s = &self.schedule;
        ExponentialDecrease {
            initial: s.initial_lr,
            last: s.final_lr,
            iterations: self.train.epochs * steps,
            warm_up: (s.warm_up_epochs * steps as f64).round() as usize,
            scale_ratio: s.scale_ratio.unwrap_or(self.train.batch_size as f64 / 64.0),
            warm_from_zero: s.warm_from_zero,
        }
    }

    /// The margin, with `steps` iterations an epoch.
    pub fn margin(&self, steps: usize) -> MarginSchedule {
        let m = &self.margin;
        MarginSchedule {
            initial: m.initial,
            last: m.last,
            start: (m.increase_start_epoch - 1) * steps,
            fixed: (m.fix_start_epoch - 1) * steps,
            increase: m.increase,
        }
    }
}

/// A TOML error with the line it is in.
fn at_line(path: &Path, text: &str, error: &toml::de::Error) -> Error {
    let message = error.message().to_owned();
    match error.span() {
        Some(span) => Error::line(path, 1 + text[..span.start.min(text.len())].matches('\n').count(), message),
        None => Error::file(path, message),
    }
}

/// Sets a dotted key. The value is TOML; what is not TOML is a string.
fn apply(table: &mut toml::Table, change: &str) -> Result<()> {
    let bad = |m: &str| Error::Invalid(format!("--set {change}: {m}"));
    let (key, value) = change.split_once('=').ok_or_else(|| bad("wanted key=value"))?;
    let value = value.trim();
    let parsed = toml::from_str::<toml::Table>(&format!("v = {value}")).ok().and_then(|mut t| t.remove("v"));
    let value = parsed.unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let mut place = table;
    let keys: Vec<&str> = key.trim().split('.').collect();
    let (last, sections) = keys.split_last().expect("split gives at least one");
    for section in sections {
        place = place
            .entry(*section)
            .or_insert_with(|| toml::Value::Table(toml::Table::new()))
            .as_table_mut()
            .ok_or_else(|| bad(&format!("`{section}` is not a section")))?;
    }
    place.insert((*last).to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "[data]\ntrain = \"a\"\ndev = \"b\"\n[model]\nname = \"resnet18\"\n";

    fn parse(text: &str, changes: &[&str]) -> Result<Recipe> {
        let changes: Vec<String> = changes.iter().map(|s| (*s).to_owned()).collect();
        Recipe::parse(text, Path::new("r.toml"), &changes)
    }

    #[test]
    fn a_recipe_survives_its_own_text() {
        let text =
            format!("{SMALL}width = 8\n[optimizer]\nkind = \"adamw\"\n[loss.inter_topk]\nk = 3\n[augment.spec]\n");
        let recipe = parse(&text, &["train.epochs=3", "margin.increase_start_epoch=1"]).unwrap();
        assert_eq!(recipe.train.epochs, 3);
        assert_eq!(recipe.data.trials, Path::new("b/trials.txt"));
        assert_eq!(parse(&recipe.to_toml(), &[]).unwrap(), recipe);
    }

    #[test]
    fn typos_and_impossible_values_are_errors_with_their_place() {
        let fails = |text: &str, changes: &[&str], wanted: &str| {
            let error = parse(text, changes).unwrap_err().to_string();
            assert!(error.contains(wanted) && error.contains("r.toml") | error.contains("--set"), "{error}");
        };
        fails(&format!("{SMALL}widht = 8\n"), &[], "r.toml:6: unknown field `widht`");
        fails(&format!("{SMALL}[trian]\nepochs = 1\n"), &[], "unknown field `trian`");
        fails(&format!("{SMALL}width = \"wide\"\n"), &[], "r.toml:6:");
        fails("[data", &[], "r.toml:1:");
        fails(SMALL, &["model.name=resnet19"], "no architecture `resnet19`");
        fails(SMALL, &["train.batch_size=1"], "train.batch_size = 1");
        fails(SMALL, &["schedule.initial_lr=nan"], "schedule.initial_lr");
        fails(SMALL, &["augment.probability=1.5"], "augment.probability");
        fails(SMALL, &["data.speeds=[0.9]"], "data.speeds");
        fails(SMALL, &["loss.kind=softmax", "loss.sub_centers=3"], "softmax has no");
        fails(SMALL, &["optimizer.kind=sgd", "optimizer.momentum=2"], "momentum");
        fails(SMALL, &["optimizer.kind=lion"], "lion");
        fails(SMALL, &["seed=2", "seed.x=1"], "`seed` is not a section");
        fails(SMALL, &["epochs"], "wanted key=value");
        fails("[data]\ntrain = \"a\"\n[model]\nname = \"resnet18\"\n", &[], "data.dev");
    }

    #[test]
    fn schedules_take_epochs_to_iterations() {
        let changes = [
            "margin.initial=0.0",
            "margin.increase_start_epoch=2",
            "margin.fix_start_epoch=3",
            "train.epochs=4",
            "schedule.warm_up_epochs=1",
            "schedule.scale_ratio=1.0",
        ];
        let recipe = parse(SMALL, &changes).unwrap();
        let margin = recipe.margin(10);
        assert_eq!((margin.at(9), margin.at(20)), (0.0, 0.2));
        assert!(margin.at(15) > 0.0 && margin.at(15) < 0.2);
        let rate = recipe.learning_rate(10);
        assert_eq!(rate.at(0), 0.0);
        assert!((rate.at(40) - 5e-5).abs() < 1e-12);
    }
}
