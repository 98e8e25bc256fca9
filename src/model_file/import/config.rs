//! What WeSpeaker's `config.yaml` says of features and network. Every key that may change them is
//! either honoured or refused by its name. Keys of training alone do not matter.

mod features;

use std::path::{Path, PathBuf};

use super::section::Section;
use super::yaml;
use crate::audio::FbankConfig;
use crate::error::{Error, Result};
use crate::model_file::Frontend;
use crate::nn::PoolingKind;
use crate::zoo::Architecture;

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
        let class = top
            .text("model")?
            .ok_or_else(|| Error::file(path, "no `model:` in this configuration"))?;
        let arch = zoo_name(class);
        Architecture::named(&arch).map_err(|e| top.error("model", format!("{class}: {e}")))?;
        let mut frontend = Frontend::default();
        // WeSpeaker's default, where torchaudio's is 0.
        frontend.fbank.dither = 1.0;
        let (mels, pooling, notes, said) = (None, None, Vec::new(), Vec::new());
        let mut config = Self { path: path.into(), arch, mels, pooling, frontend, notes, said };
        if let Some(args) = top.section("model_args")? {
            config.network(&args)?;
        }
        match top.section("dataset_args")? {
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
        for Said { key, line, value } in &self.said {
            let found = match *key {
                "embed_dim" => arch.embedding_dim.to_string(),
                "m_channels" => arch.width.to_string(),
                _ => arch.two_embedding_layers.to_string(),
            };
            if *value != found {
                let checkpoint = checkpoint.display();
                let message = format!("model_args.{key}: {value}, but {checkpoint} has {found}");
                return Err(Error::line(&self.path, *line, message));
            }
        }
        Ok(())
    }

    /// Reads `model_args`.
    fn network(&mut self, args: &Section) -> Result<()> {
        args.only(
            &[&["embed_dim", "feat_dim", "m_channels", "pooling_func", "two_emb_layer"]],
            "revox does not know this key, which may change the network",
        )?;
        self.mels = args.whole("feat_dim", FbankConfig::MELS)?;
        if let Some(name) = args.text("pooling_func")? {
            let pooling = parse_pooling(name);
            self.pooling = Some(pooling.ok_or_else(|| {
                args.error(
                    "pooling_func",
                    format!("{name}: TSTP, TAP, TSDP and ASTP are supported"),
                )
            })?);
        }
        let sizes = [("embed_dim", 65536.0), ("m_channels", 1024.0)];
        for (key, most) in sizes {
            if let Some(value) = args.whole(key, 1.0..=most)? {
                self.said.push(Said { key, line: args.line(key), value: value.to_string() });
            }
        }
        if let Some(value) = args.flag("two_emb_layer")? {
            let (key, line) = ("two_emb_layer", args.line("two_emb_layer"));
            self.said.push(Said { key, line, value: value.to_string() });
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

fn parse_pooling(name: &str) -> Option<PoolingKind> {
    serde_json::from_value(serde_json::Value::String(name.to_owned())).ok()
}

/// The zoo's name of a WeSpeaker class: `resnet34` of `ResNet34`, `gemini-df-resnet114` of
/// `Gemini_DF_ResNet114`.
fn zoo_name(class: &str) -> String {
    class.to_lowercase().replace("gemini_df_resnet", "gemini-df-resnet")
}

#[cfg(test)]
mod tests;
