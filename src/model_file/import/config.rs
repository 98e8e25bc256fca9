//! What WeSpeaker's `config.yaml` says of features and network. A key that changes them is honoured
//! or refused by its name; keys of training alone do not matter.

use std::path::{Path, PathBuf};

use super::section::Section;
use super::yaml;
use crate::audio::{FbankConfig, Window};
use crate::error::{Error, Result};
use crate::model_file::Frontend;
use crate::nn::PoolingKind;
use crate::zoo::Architecture;

/// Keys of `dataset_args` that WeSpeaker reads for training only, and those read below.
const DATASET: [&str; 28] = [
    "frontend",
    "resample_rate",
    "cmvn",
    "cmvn_args",
    "fbank_args",
    "aug_prob",
    "block_shuffle_size",
    "chunk_info_args",
    "filter",
    "filter_args",
    "musan_scp",
    "noise_data",
    "noise_lmdb_file",
    "num_frms",
    "reverb_data",
    "reverb_lmdb_file",
    "rirs_noises_scp",
    "rirs_scp",
    "sample_num_per_epoch",
    "shuffle",
    "shuffle_args",
    "spec_aug",
    "spec_aug_args",
    "speed_perturb",
    "train_data",
    "train_label",
    "train_scp",
    "whole_utt",
];
/// Settings of front-ends other than fbank, without effect where fbank is chosen.
const OTHER_FRONT_ENDS: [&str; 6] =
    ["lfcc_args", "mfcc_args", "s3prl_args", "tfmel_args", "w2vbert_args", "whisper_encoder_args"];
/// Arguments of `torchaudio.compliance.kaldi.fbank` that are read below.
const FBANK: [&str; 20] = [
    "blackman_coeff",
    "channel",
    "dither",
    "frame_length",
    "frame_shift",
    "high_freq",
    "low_freq",
    "min_duration",
    "num_mel_bins",
    "preemphasis_coefficient",
    "remove_dc_offset",
    "round_to_power_of_two",
    "sample_frequency",
    "snip_edges",
    "subtract_mean",
    "use_energy",
    "use_log_fbank",
    "use_power",
    "vtln_warp",
    "window_type",
];
/// Arguments that matter only with others that are refused: an energy beside the filters, a warped
/// frequency axis.
const FBANK_WITHOUT_EFFECT: [&str; 5] =
    ["energy_floor", "htk_compat", "raw_energy", "vtln_high", "vtln_low"];
/// Keys that change features, where WeSpeaker does not look for them.
const MISPLACED: [&str; 7] =
    ["cmvn", "cmvn_args", "dataset_conf", "fbank_args", "fbank_conf", "frontend", "resample_rate"];

/// What a configuration says.
pub(super) struct Config {
    path: PathBuf,
    /// The network, by its name in the zoo.
    pub arch: String,
    /// Mel filters, where the file says how many.
    pub mels: Option<usize>,
    /// Pooling, where the file says which.
    pub pooling: Option<PoolingKind>,
    /// The front-end; its mels are the default's where the file does not say how many.
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
    /// Name file, line and key of what is wrong or not supported.
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
                "{}: no dataset_args; the front-end is taken as WeSpeaker's default (16 kHz, hamming, 25/10 ms, CMN)",
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

    /// The filter bank as a whole, when each of its settings is possible.
    ///
    /// # Errors
    /// Those of [`FbankConfig::check`].
    pub fn check_front_end(&self, fbank: &FbankConfig) -> Result<()> {
        fbank.check().map_err(|e| Error::file(&self.path, format!("dataset_args: {e}")))
    }

    /// Compares what the file says of the network with what the checkpoint's shapes say.
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

    /// `model_args`.
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

    /// `dataset_args`.
    fn features(&mut self, args: &Section) -> Result<()> {
        let frontend = args.text("frontend")?;
        if let Some(other) = frontend.filter(|name| *name != "fbank") {
            return Err(
                args.error("frontend", format!("`{other}` is not supported; revox has fbank"))
            );
        }
        let unknown = "revox does not know this key, which may change the features; if it is for training only, \
                       leave it out of a copy of the file";
        let chosen = frontend.is_some() || args.has("fbank_args");
        let others: &[&str] = if chosen { &OTHER_FRONT_ENDS } else { &[] };
        args.only(&[&DATASET, others], unknown)?;
        if let Some(rate) = args.whole("resample_rate", FbankConfig::RATE)? {
            // In range, so the conversion keeps it.
            self.frontend.fbank.sample_rate = rate as u32;
        }
        self.frontend.cmn = args.flag("cmvn")?.unwrap_or(true);
        if let Some(norms) = args.section("cmvn_args")? {
            norms.only(
                &[&["norm_mean", "norm_var"]],
                "revox does not know this key, which may change the features",
            )?;
            if norms.flag("norm_var")? == Some(true) && self.frontend.cmn {
                return Err(norms.error("norm_var", "variance normalisation is not supported"));
            }
            self.frontend.cmn &= norms.flag("norm_mean")?.unwrap_or(true);
        }
        if let Some(fbank) = args.section("fbank_args")? {
            self.filter_bank(&fbank)?;
        }
        Ok(())
    }

    /// `fbank_args`: arguments of `torchaudio.compliance.kaldi.fbank`.
    fn filter_bank(&mut self, args: &Section) -> Result<()> {
        args.only(
            &[&FBANK, &FBANK_WITHOUT_EFFECT],
            "revox does not know this argument of the filter bank, which may change the features",
        )?;
        let fbank = &mut self.frontend.fbank;
        for (key, range, place) in [
            ("frame_length", FbankConfig::FRAME_MS, &mut fbank.frame_length_ms),
            ("frame_shift", FbankConfig::FRAME_MS, &mut fbank.frame_shift_ms),
            ("dither", FbankConfig::DITHER, &mut fbank.dither),
            ("low_freq", FbankConfig::FREQUENCY, &mut fbank.low_freq),
            ("high_freq", FbankConfig::FREQUENCY, &mut fbank.high_freq),
        ] {
            *place = args.number(key, range)?.unwrap_or(*place);
        }
        if let Some(coefficient) =
            args.number("preemphasis_coefficient", FbankConfig::PREEMPHASIS)?
        {
            fbank.preemphasis = coefficient as f32;
        }
        for (key, place) in [
            ("remove_dc_offset", &mut fbank.remove_dc_offset),
            ("snip_edges", &mut fbank.snip_edges),
            ("use_log_fbank", &mut fbank.log),
            ("use_power", &mut fbank.power),
        ] {
            *place = args.flag(key)?.unwrap_or(*place);
        }
        fbank.window = match args.text("window_type")? {
            None => fbank.window,
            Some("hamming") => Window::Hamming,
            Some("povey") => Window::Povey,
            Some("hanning") => Window::Hanning,
            Some(other) => {
                let message = format!("`{other}` is not supported; hamming, povey and hanning are");
                return Err(args.error("window_type", message));
            }
        };
        let rate = fbank.sample_rate;
        if let Some(other) =
            args.whole("sample_frequency", FbankConfig::RATE)?.filter(|&f| f != rate as usize)
        {
            return Err(args.error(
                "sample_frequency",
                format!("{other}, but audio is resampled to {rate} Hz"),
            ));
        }
        for (key, only) in [("use_energy", false), ("round_to_power_of_two", true)] {
            if args.flag(key)?.is_some_and(|value| value != only) {
                return Err(args.error(key, format!("only {only} is supported")));
            }
        }
        for (key, range) in [
            ("vtln_warp", 1.0..=1.0),
            ("min_duration", 0.0..=0.0),
            ("blackman_coeff", 0.42..=0.42),
            // The first channel, under either number.
            ("channel", -1.0..=0.0),
        ] {
            args.number(key, range)?;
        }
        // torchaudio's own mean over time: the same subtraction.
        self.frontend.cmn |= args.flag("subtract_mean")?.unwrap_or(false);
        let mels = args.whole("num_mel_bins", FbankConfig::MELS)?;
        self.agree_on_mels(args, "num_mel_bins", mels)
    }

    /// Keys of the top that say where features come from.
    fn files(&mut self, top: &Section) -> Result<()> {
        if top.text("data_type")? == Some("feat") {
            let message = "the training read features from files, and this configuration does not say how they were made; \
                           import with --arch instead of --config if they were WeSpeaker's default";
            return Err(top.error("data_type", message));
        }
        // WeSpeaker's first configurations.
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

    /// The network's input and the features have one number of mels.
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

/// WeSpeaker's class names in the zoo's spelling: `ResNet34`, `Gemini_DF_ResNet114`.
fn zoo_name(class: &str) -> String {
    class.to_lowercase().replace("gemini_df_resnet", "gemini-df-resnet")
}

#[cfg(test)]
mod tests;
