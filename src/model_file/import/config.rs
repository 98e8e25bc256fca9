//! What WeSpeaker's `config.yaml` says of features and network. Every key that may change them is
//! either honoured or refused by its name. Keys of training alone do not matter.

mod classes;
mod features;
mod network;
mod redimnet;

use std::path::{Path, PathBuf};

use super::section::Section;
use super::yaml::{self, Entries};
use crate::audio::FbankConfig;
use crate::error::{Error, Remedy, Result};
use crate::model_file::Frontend;
use crate::nn::PoolingKind;
use crate::zoo::{Architecture, Layers};
use classes::{CLASSES, Class};

/// Keys that change features, but not at the top level, where WeSpeaker does not read them.
const MISPLACED: [&str; 7] =
    ["cmvn", "cmvn_args", "dataset_conf", "fbank_args", "fbank_conf", "frontend", "resample_rate"];

/// What a configuration says.
pub(super) struct Config {
    path: PathBuf,
    /// The network, by its name in the zoo.
    pub arch: String,
    /// Mel filters, if the file says how many.
    pub mels: Option<usize>,
    /// Pooling, if the file says which.
    pub pooling: Option<PoolingKind>,
    /// Layers, if they are not the network's own.
    pub layers: Option<Layers>,
    /// The front-end, with the default's mels if the file does not say how many.
    pub frontend: Frontend,
    /// What a user should know.
    pub notes: Vec<String>,
    said: Vec<Said>,
}

/// A value of `model_args` that the checkpoint's shapes tell too.
struct Said {
    key: &'static str,
    line: usize,
    value: String,
    tells: Tells,
}

/// What such a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tells {
    Dimension,
    Width,
    TwoLayers,
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// A key that is wrong or not supported; the error names file, line and key.
    pub fn read(path: &Path) -> Result<Self> {
        let tree = yaml::read(path)?;
        let top = Section::top(path, &tree)?;
        if let Some(key) = MISPLACED.into_iter().find(|key| top.has(key)) {
            return Err(
                top.error(key, "WeSpeaker reads features only from `dataset_args`; move it there")
            );
        }
        let class = top.text("model")?.ok_or_else(|| {
            let message = "no `model:` in this configuration: add it, such as `model: ResNet34`";
            Error::file(path, message).with(Remedy::SayArchitectureInstead)
        })?;
        let (class, arch) = class_of(class).ok_or_else(|| {
            let known: Vec<&str> = CLASSES.iter().map(|class| class.name).collect();
            top.error("model", format!("revox has no {class}; it has {}", known.join(", ")))
        })?;
        let dataset = top.section("dataset_args")?;
        dataset.as_ref().map_or(Ok(()), Self::refuse_other_features)?;
        let mut frontend = Frontend::default();
        // WeSpeaker's default, where torchaudio's is 0.
        frontend.fbank.dither = 1.0;
        let mut config = Self {
            path: path.into(),
            arch,
            mels: None,
            pooling: None,
            layers: None,
            frontend,
            notes: Vec::new(),
            said: Vec::new(),
        };
        let none = Entries::new();
        let args = top.section("model_args")?;
        config.network(class, &args.unwrap_or_else(|| Section::empty(path, &none)))?;
        match dataset {
            Some(args) => config.features(&args)?,
            None => config.notes.push(format!(
                "{}: no dataset_args; the front-end is taken as WeSpeaker's default \
                 (16 kHz, hamming, 25/10 ms, CMN)",
                path.display()
            )),
        }
        config.files(&top)?;
        if let Some(mels) = config.mels {
            config.frontend.fbank.mels = mels;
            config.check_front_end(&config.frontend.fbank)?;
        }
        Ok(config)
    }

    /// Checks the settings of the filter bank together.
    ///
    /// # Errors
    /// Those of [`FbankConfig::check`].
    pub fn check_front_end(&self, fbank: &FbankConfig) -> Result<()> {
        fbank.check().map_err(|e| Error::file(&self.path, format!("dataset_args: {e}")))
    }

    /// Compares what the file says of the network with the checkpoint's shapes.
    ///
    /// # Errors
    /// The first contradiction.
    pub fn agrees(&self, arch: &Architecture, checkpoint: &Path) -> Result<()> {
        for Said { key, line, value, tells } in &self.said {
            let found = match tells {
                Tells::Dimension => arch.embedding_dim.to_string(),
                Tells::Width => arch.width.to_string(),
                Tells::TwoLayers => arch.two_embedding_layers.to_string(),
            };
            if *value != found {
                let checkpoint = checkpoint.display();
                let message = format!("model_args.{key}: {value}, but {checkpoint} has {found}");
                return Err(Error::line(&self.path, *line, message));
            }
        }
        Ok(())
    }

    /// Reads the keys of the top level that say where features come from.
    fn files(&mut self, top: &Section) -> Result<()> {
        if top.text("data_type")? == Some("feat") {
            let message = "the training read features from files, and this configuration does not \
                           say how they were made; if they were WeSpeaker's default, name the \
                           architecture instead of giving the configuration";
            return Err(top.error("data_type", message));
        }
        // Configurations of WeSpeaker's first versions.
        let Some(args) = top.section("feature_args")? else { return Ok(()) };
        let unknown = "revox does not know this key, which may change the features";
        args.only(&[&["feat_dim", "num_frms", "raw_wav"]], unknown)?;
        if args.flag("raw_wav")? == Some(false) {
            return Err(args.error(
                "raw_wav",
                "the training read features from files; how they were made is not known",
            ));
        }
        let mels = args.whole("feat_dim", FbankConfig::MELS)?;
        self.agree_on_mels(&args, "feat_dim", mels)
    }

    /// Takes the features' number of mels, which must be the network's.
    fn agree_on_mels(&mut self, args: &Section, key: &str, mels: Option<usize>) -> Result<()> {
        match (self.mels, mels) {
            (Some(network), Some(features)) if network != features => {
                Err(args.error(key, format!("{features}, but the network takes {network} mels")))
            }
            (network, features) => {
                self.mels = network.or(features);
                Ok(())
            }
        }
    }
}

/// WeSpeaker's class of this name, and the network's name in the zoo.
fn class_of(name: &str) -> Option<(&'static Class, String)> {
    match classes::named(name) {
        Some(class) => Some((class, (*class.rows.first()?).to_owned())),
        None => Some((&classes::RESNET, classes::resnet(name)?)),
    }
}

#[cfg(test)]
mod tests;
