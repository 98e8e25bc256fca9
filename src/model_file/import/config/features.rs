//! What a configuration says of the features.

use super::Config;
use crate::audio::{FbankConfig, Window};
use crate::error::Result;
use crate::model_file::import::section::Section;

/// Keys of `dataset_args`: those read below, and those that WeSpeaker reads for training only.
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
/// Settings of other front-ends, without effect where fbank is chosen.
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
/// Arguments that only matter together with others that are refused: those of an energy beside the
/// filters, and of a warped frequency axis.
const FBANK_WITHOUT_EFFECT: [&str; 5] =
    ["energy_floor", "htk_compat", "raw_energy", "vtln_high", "vtln_low"];

impl Config {
    /// Refuses other features than fbank. Whatever else the file says fits those.
    pub(super) fn refuse_other_features(args: &Section) -> Result<()> {
        let Some(other) = args.text("frontend")?.filter(|name| *name != "fbank") else {
            return Ok(());
        };
        let message = format!(
            "`{other}` is not supported; revox has fbank. A network works on the features that it \
             was trained on: take a checkpoint that was trained on fbank, or train one"
        );
        Err(args.error("frontend", message))
    }

    /// Reads `dataset_args`.
    pub(super) fn features(&mut self, args: &Section) -> Result<()> {
        let frontend = args.text("frontend")?;
        let unknown = "revox does not know this key, which may change the features; if it is for \
                       training only, leave it out of a copy of the file";
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

    /// Reads `fbank_args`, the arguments of `torchaudio.compliance.kaldi.fbank`.
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
            // The first channel has two numbers.
            ("channel", -1.0..=0.0),
        ] {
            args.number(key, range)?;
        }
        // torchaudio's own subtraction of the mean over time, which is the same.
        self.frontend.cmn |= args.flag("subtract_mean")?.unwrap_or(false);
        let mels = args.whole("num_mel_bins", FbankConfig::MELS)?;
        self.agree_on_mels(args, "num_mel_bins", mels)
    }
}
