//! What a file says of itself: our own header, and what other programs look for.

use super::{Input, Options, WeightForm};
use crate::audio::{FbankConfig, Window};
use crate::error::{Error, Result};
use crate::model_file::{Frontend, Header};

/// Mel filters of every program's front-end.
const MELS: usize = 80;

/// A program that is to run the file. It computes features with its own front-end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Target {
    /// WeSpeaker's runtimes.
    Wespeaker,
    /// sherpa-onnx. Its window is povey, its filters reach to 400 Hz below the Nyquist frequency,
    /// and its frames reach beyond the audio.
    SherpaOnnx,
    /// pyannote.audio, which knows such a file by `wespeaker` in its path.
    Pyannote,
}

impl Target {
    /// The program's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wespeaker => "WeSpeaker",
            Self::SherpaOnnx => "sherpa-onnx",
            Self::Pyannote => "pyannote",
        }
    }

    /// Refuses models that the program cannot feed.
    ///
    /// # Errors
    /// Another number of mels than 80; another scale of samples than sherpa-onnx knows; samples as
    /// input.
    pub fn check(self, header: &Header, input: Input) -> Result<()> {
        let (name, fbank) = (self.name(), &header.frontend.fbank);
        if input == Input::Waveform {
            return Err(Error::invalid(format!("{name} feeds features, not a waveform")));
        }
        if fbank.mels != MELS {
            let mels = fbank.mels;
            return Err(Error::invalid(format!(
                "{name} feeds {MELS} mels; the model takes {mels}"
            )));
        }
        if self == Self::SherpaOnnx && fbank.scale != 1.0 && fbank.scale != 32768.0 {
            let scale = fbank.scale;
            return Err(Error::invalid(format!(
                "{name} feeds samples of full scale 1 or 32768; the model takes {scale}"
            )));
        }
        Ok(())
    }

    /// The front-end that the program has for a model of this one.
    pub fn frontend(self, own: &Frontend) -> Frontend {
        match self {
            Self::Wespeaker | Self::Pyannote => Frontend::default(),
            Self::SherpaOnnx => Frontend {
                fbank: FbankConfig {
                    sample_rate: own.fbank.sample_rate,
                    scale: own.fbank.scale,
                    window: Window::Povey,
                    high_freq: -400.0,
                    snip_edges: false,
                    ..FbankConfig::default()
                },
                cmn: own.cmn,
            },
        }
    }

    /// How the program's front-end differs from a model's: `window: povey there, hamming here`.
    pub fn differences(self, own: &Frontend) -> Vec<String> {
        let theirs = described(&self.frontend(own));
        let pairs = described(own).into_iter().zip(theirs);
        pairs
            .filter(|((_, here), (_, there))| here != there)
            .map(|((name, here), (_, there))| format!("{name}: {there} there, {here} here"))
            .collect()
    }
}

/// The settings of a front-end but for the dither, which only training has.
fn described(frontend: &Frontend) -> Vec<(&'static str, String)> {
    let FbankConfig {
        sample_rate,
        mels,
        frame_length_ms,
        frame_shift_ms,
        window,
        dither: _,
        scale,
        preemphasis,
        remove_dc_offset,
        low_freq,
        high_freq: _,
        snip_edges,
        log,
        power,
    } = &frontend.fbank;
    let high = frontend.fbank.highest();
    vec![
        ("sample_rate", sample_rate.to_string()),
        ("mels", mels.to_string()),
        ("frame_length_ms", frame_length_ms.to_string()),
        ("frame_shift_ms", frame_shift_ms.to_string()),
        ("window", format!("{window:?}").to_lowercase()),
        ("scale", scale.to_string()),
        ("preemphasis", preemphasis.to_string()),
        ("remove_dc_offset", remove_dc_offset.to_string()),
        ("low_freq", low_freq.to_string()),
        ("high_freq", high.to_string()),
        ("snip_edges", snip_edges.to_string()),
        ("log", log.to_string()),
        ("power", power.to_string()),
        ("cmn", frontend.cmn.to_string()),
    ]
}

/// Keys and values: `revox` holds the model file's header (front-end, thresholds, training) and
/// `source_sha256` that file's hash. Programs have keys of their own.
///
/// The recipe of the training stays out, since a file that leaves the house would tell the paths of
/// whoever trained it. Seed, steps and the data's hash are there, and the model file has the rest.
///
/// # Errors
/// A header that is no JSON.
pub(super) fn entries(header: &Header, options: &Options) -> Result<Vec<(&'static str, String)>> {
    // The file has no training head whose rows could be named, and ranges only with integers.
    let is_int8 = options.weights == WeightForm::Int8;
    let activations = header.activations.clone().filter(|_| is_int8);
    let mut own = Header { speakers: Vec::new(), activations, ..header.clone() };
    if let Some(training) = &mut own.training {
        training.recipe.clear();
    }
    let json = serde_json::to_string(&own).map_err(|e| Error::invalid(e.to_string()))?;
    let mut all = vec![("revox", json)];
    all.extend(options.source.clone().map(|hash| ("source_sha256", hash)));
    if options.target == Some(Target::SherpaOnnx) {
        let fbank = &header.frontend.fbank;
        // Full scale 1 is what sherpa-onnx calls normalized.
        let normalized = u8::from(fbank.scale == 1.0);
        all.extend([
            ("framework", "wespeaker".to_owned()),
            ("language", "unknown".to_owned()),
            ("sample_rate", fbank.sample_rate.to_string()),
            ("output_dim", header.embedding_dim.to_string()),
            ("normalize_samples", normalized.to_string()),
        ]);
        if header.frontend.cmn {
            all.push(("feature_normalize_type", "global-mean".to_owned()));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model_file::Training;
    use crate::zoo::Architecture;

    fn header(frontend: Frontend) -> Header {
        Header::new(Architecture::named("resnet34").unwrap(), frontend)
    }

    #[test]
    fn sherpa_onnx_finds_its_keys() {
        let source = Some("abc".to_owned());
        let options = Options { target: Some(Target::SherpaOnnx), source, ..Options::default() };
        let all = entries(&header(Frontend::default()), &options).unwrap();
        let value = |key: &str| all.iter().find(|(k, _)| *k == key).map(|(_, v)| v.as_str());
        for (key, wanted) in [
            ("framework", "wespeaker"),
            ("output_dim", "256"),
            ("sample_rate", "16000"),
            ("normalize_samples", "0"),
            ("feature_normalize_type", "global-mean"),
            ("source_sha256", "abc"),
        ] {
            assert_eq!(value(key), Some(wanted), "{key}");
        }
        let read: Header = serde_json::from_str(value("revox").unwrap()).unwrap();
        assert_eq!(read, header(Frontend::default()));
        let plain = entries(&read, &Options::default()).unwrap();
        assert_eq!(plain.len(), 1);
    }

    /// A recipe has paths of whoever trained the model.
    #[test]
    fn the_recipe_stays_at_home() {
        let mut header = header(Frontend::default());
        header.speakers = vec!["a".to_owned()];
        header.training = Some(Training {
            recipe: "[data]\ntrain = '/home/someone/lists'\n".to_owned(),
            seed: 7,
            data_hash: "ab".to_owned(),
            steps: 12,
            epoch: 3,
            version: "0.1.0".to_owned(),
        });
        let all = entries(&header, &Options::default()).unwrap();
        assert!(all.iter().all(|(_, value)| !value.contains("someone")), "{all:?}");
        let read: Header = serde_json::from_str(&all[0].1).unwrap();
        let training = read.training.clone().unwrap();
        assert_eq!((training.seed, training.steps, training.data_hash.as_str()), (7, 12, "ab"));
        let recipe = header.training.as_ref().unwrap().recipe.clone();
        let training = Some(Training { recipe, ..training });
        assert_eq!(Header { training, speakers: header.speakers.clone(), ..read }, header);
    }

    #[test]
    fn differences_are_those_of_the_front_ends() {
        let own = Frontend::default();
        assert_eq!(Target::Wespeaker.differences(&own), [""; 0]);
        let trained = FbankConfig { dither: 1.0, high_freq: 8000.0, ..FbankConfig::default() };
        let trained = Frontend { fbank: trained, cmn: false };
        assert_eq!(Target::Pyannote.differences(&trained), ["cmn: true there, false here"]);
        let wanted = [
            "window: povey there, hamming here",
            "high_freq: 7600 there, 8000 here",
            "snip_edges: false there, true here",
        ];
        assert_eq!(Target::SherpaOnnx.differences(&own), wanted);
    }

    #[test]
    fn models_that_a_program_cannot_feed_are_refused() {
        let with = |fbank: FbankConfig| header(Frontend { fbank, cmn: true });
        let error = |header: &Header, input| {
            Target::SherpaOnnx.check(header, input).unwrap_err().to_string()
        };
        let mels = with(FbankConfig { mels: 40, ..FbankConfig::default() });
        assert!(error(&mels, Input::Features).contains("80 mels; the model takes 40"));
        let scale = with(FbankConfig { scale: 2.0, ..FbankConfig::default() });
        assert!(error(&scale, Input::Features).contains("full scale"));
        let plain = with(FbankConfig::default());
        assert!(error(&plain, Input::Waveform).contains("not a waveform"));
        Target::SherpaOnnx.check(&plain, Input::Features).unwrap();
    }
}
