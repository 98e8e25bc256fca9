//! From audio files to features, without any tensor framework.
//!
//! [`load`] reads a file as samples in [-1, 1) at the rate asked for, [`Source`] a piece of it at a
//! time; [`Fbank`] turns samples into Kaldi's log-mel filter banks; [`Vad`] tells speech from
//! pauses; [`augment`] makes training utterances different each time they are seen.

pub mod augment;
mod blocks;
mod fbank;
mod flac;
mod foreign;
mod framing;
mod held;
mod input;
mod kind;
mod level;
mod pcm;
pub mod pipe;
mod quality;
mod resample;
mod source;
mod sphere;
mod tags;
mod vad;
mod wav;
mod window;

pub use fbank::{Dither, Fbank, FbankConfig, subtract_mean};
#[cfg(feature = "train")]
pub(crate) use flac::encode as encode_flac;
pub(crate) use input::read_exact_at;
#[cfg(feature = "train")]
pub(crate) use kind::is_unsupported;
pub use level::Level;
pub use quality::{LEAST_SPEECH, Quality};
pub(crate) use quality::{Measured, Meter};
pub use resample::resample;
pub use source::Source;
pub use vad::{Vad, VadConfig};
pub use wav::write_wav16;
pub use window::Window;

use std::path::Path;

use crate::error::{Error, Remedy, Result};

/// One channel of audio.
#[derive(Debug, Clone, PartialEq)]
pub struct Audio {
    /// Samples, full scale = 1.
    pub samples: Vec<f32>,
    /// Samples per second.
    pub sample_rate: u32,
    /// Samples per second in the file, before resampling.
    pub source_rate: u32,
}

impl Audio {
    /// Length in seconds.
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.sample_rate)
    }

    /// Root mean square of the samples, full scale = 1.
    pub fn rms(&self) -> f64 {
        Level::of(&self.samples).rms()
    }

    /// Whether nothing can be heard, by [`Level::is_silent`].
    pub fn is_silent(&self) -> bool {
        Level::of(&self.samples).is_silent()
    }

    /// A warning if the file has a lower rate, and so a narrower band, than the samples.
    pub fn narrowband_warning(&self) -> Option<String> {
        narrowband_warning(self.source_rate, self.sample_rate)
    }
}

fn narrowband_warning(source_rate: u32, sample_rate: u32) -> Option<String> {
    (source_rate < sample_rate).then(|| {
        format!(
            "recorded at {source_rate} Hz: above {} Hz there is nothing for a {sample_rate} Hz \
             model to hear; scores are less reliable",
            source_rate / 2,
        )
    })
}

/// Reads an audio file (its content tells the format, not its name) as one channel at
/// `sample_rate`. WAV, FLAC, AIFF, CAF and NIST SPHERE are always read; the feature `formats` adds
/// AAC-LC, ALAC, MP3, Vorbis and Opus in MP4, Ogg and other files.
///
/// `channel` counts from 0. ID3v2 tags in front of either format are skipped. All checks are made,
/// as by [`Source::verified`].
///
/// # Errors
/// A file of several channels without a chosen one ([`Remedy::ChooseChannel`]); a file without
/// samples, with samples that are not finite, cut off or damaged; a file of another format, by its
/// name where it is known.
pub fn load(path: impl AsRef<Path>, sample_rate: u32, channel: Option<usize>) -> Result<Audio> {
    let mut source = Source::open(path, sample_rate, channel)?.verified();
    let samples = source.read(usize::MAX)?;
    Ok(Audio { samples, sample_rate, source_rate: source.source_rate() })
}

/// The channel to read of a file with `channels` of them.
fn choose_channel(path: &Path, channels: usize, wanted: Option<usize>) -> Result<usize> {
    match wanted {
        Some(channel) if channel < channels => Ok(channel),
        None if channels == 1 => Ok(0),
        Some(channel) => Err(Error::file(
            path,
            format!("has no channel {channel}: it has {channels}, counted from 0"),
        )),
        None => Err(Error::file(path, format!("has {channels} channels"))
            .with(Remedy::ChooseChannel { channels })),
    }
}

#[cfg(test)]
pub(crate) mod tests;
