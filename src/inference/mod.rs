//! Embeddings of whole utterances: [`Embedder`]. Without the feature `burn`, [`portable`] computes
//! them.
//!
//! [`portable`]: crate::portable

mod batches;
#[cfg(feature = "burn")]
mod device_fbank;
#[cfg(feature = "burn")]
mod embedder;
mod files;
mod reading;
#[cfg(feature = "burn")]
mod shapes;
mod windows;

pub(crate) use batches::{Batches, Way};
#[cfg(feature = "burn")]
pub use device_fbank::DeviceExtractor;
#[cfg(feature = "burn")]
pub use embedder::Embedder;
pub use files::{Opener, Receiver, Taker};
pub(crate) use files::{WAITING, embed};
#[cfg(feature = "cli")]
pub(crate) use reading::FAINT;
pub use reading::{Facts, WINDOW};
pub(crate) use reading::{Opened, Reading};
#[cfg(feature = "burn")]
pub use shapes::Padding;
#[cfg(feature = "train")]
pub(crate) use shapes::{masked, padded_length};

use crate::audio::{Fbank, subtract_mean};
use crate::bytes::counted;
use crate::error::{Error, Result};
use crate::model_file::Frontend;
use crate::rng::Stream;

/// Mean-subtracted features of one utterance.
#[derive(Debug, Clone)]
pub struct Features {
    /// `[frames, mels]`, row-major.
    pub values: Vec<f32>,
    /// Number of frames.
    pub frames: usize,
    /// Number of mel filters.
    pub mels: usize,
}

/// The front-end of a model, ready to run.
pub struct Extractor {
    fbank: Fbank,
    cmn: bool,
    least: usize,
}

impl Extractor {
    /// Prepares the tables.
    ///
    /// # Errors
    /// Those of [`Fbank::new`]: settings that contradict each other.
    pub fn new(frontend: &Frontend) -> Result<Self> {
        Ok(Self { fbank: Fbank::new(frontend.fbank.clone())?, cmn: frontend.cmn, least: 1 })
    }

    /// Refuses audio of fewer frames than a network takes.
    #[must_use]
    pub fn at_least(self, frames: usize) -> Self {
        Self { least: frames, ..self }
    }

    /// The filter bank.
    pub fn fbank(&self) -> &Fbank {
        &self.fbank
    }

    /// Features of samples at the front-end's rate. Dither needs a stream: only training has one.
    ///
    /// # Errors
    /// Those of [`Fbank::features`]: audio shorter than one frame, features that are not finite.
    /// Fewer frames than [`Extractor::at_least`] says.
    pub fn features(&self, samples: &[f32], noise: Option<&mut Stream>) -> Result<Features> {
        let values = self.fbank.features(samples, noise)?;
        let frames = values.len() / self.fbank.config().mels;
        if frames < self.least {
            let (frames, least) = (counted(frames, "frame"), self.least);
            let message = format!("{frames} of speech; the network takes {least} or more");
            return Err(Error::Undefined(message));
        }
        Ok(self.finished(values))
    }

    /// Features of the frames that are `speech`, `[frames]`, as Kaldi's `select-voiced-frames`
    /// gives them: the others are taken out before the mean is subtracted. Nothing if fewer are
    /// left than [`Extractor::at_least`] says.
    ///
    /// # Errors
    /// Those of [`Fbank::features`].
    fn features_of_speech(&self, samples: &[f32], speech: &[bool]) -> Result<Option<Features>> {
        let mels = self.fbank.config().mels;
        let all = self.fbank.features(samples, None)?;
        let frames = all.chunks_exact(mels).zip(speech).filter(|(_, is_speech)| **is_speech);
        let values: Vec<f32> = frames.flat_map(|(frame, _)| frame.iter().copied()).collect();
        Ok((values.len() >= self.least * mels).then(|| self.finished(values)))
    }

    /// Values `[frames, mels]` as features.
    fn finished(&self, mut values: Vec<f32>) -> Features {
        let mels = self.fbank.config().mels;
        if self.cmn {
            subtract_mean(&mut values, mels);
        }
        Features { frames: values.len() / mels, values, mels }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use burn::tensor::Device;

    use super::*;
    use crate::audio::{FbankConfig, Meter, Source};
    use crate::backend::BackendKind;
    use crate::zoo::{Architecture, Network};

    pub const MELS: usize = 16;

    /// A CPU, whatever the default device is.
    pub fn flex() -> Device {
        BackendKind::Flex.device(0).expect("tests are built with it")
    }

    pub fn frontend() -> Frontend {
        Frontend { fbank: FbankConfig { mels: MELS, ..Default::default() }, cmn: true }
    }

    pub fn extractor() -> Extractor {
        Extractor::new(&frontend()).unwrap()
    }

    pub fn meter() -> Meter {
        Meter::new(&frontend().fbank).unwrap()
    }

    /// All frames of windows of so many seconds.
    pub fn reading<'a>(extractor: &'a Extractor, meter: &'a Meter, window: f64) -> Reading<'a> {
        Reading { extractor, meter, channel: None, window, vad: false }
    }

    pub fn arch() -> Architecture {
        Architecture {
            width: 2,
            mels: MELS,
            embedding_dim: 8,
            ..Architecture::named("resnet10").unwrap()
        }
    }

    pub fn network() -> Network {
        arch().init(&Device::default(), 1).unwrap()
    }

    pub fn tone(samples: usize) -> Vec<f32> {
        (0..samples).map(|i| (i as f32 * 0.05).sin() * 0.3).collect()
    }

    /// A recording with the features of all its windows in memory.
    pub struct Recording {
        pub facts: Facts,
        pub windows: Vec<Features>,
    }

    pub fn recording(reading: &Reading, path: &Path) -> Result<Recording> {
        match reading.begin(Source::open(path, reading.rate(), reading.channel)?)? {
            Opened::Short(facts, features) => Ok(Recording { facts, windows: vec![features] }),
            Opened::Long(mut source) => {
                let mut windows = Vec::new();
                let facts = reading.windows(&mut source, &mut |features| windows.push(features))?;
                Ok(Recording { facts, windows })
            }
        }
    }
}
