//! The settings of a filter bank.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::mel::{self, Filter};
use crate::audio::Window;
use crate::error::{Error, Result};

/// Settings that decide the features to the last bit. The defaults are WeSpeaker's front-end
/// without dither.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FbankConfig {
    /// Samples per second of the audio.
    pub sample_rate: u32,
    /// Number of mel filters.
    pub mels: usize,
    /// Frame length in milliseconds.
    pub frame_length_ms: f64,
    /// Frame shift in milliseconds.
    pub frame_shift_ms: f64,
    /// Analysis window.
    pub window: Window,
    /// Standard deviation of the Gaussian noise added to each sample of each frame, in units of
    /// `scale` (1 = one 16-bit step).
    pub dither: f64,
    /// Full scale of the samples that the filter bank sees: 32768 as in Kaldi, 1 for toolkits that
    /// keep samples in [-1, 1).
    pub scale: f64,
    /// Pre-emphasis coefficient.
    pub preemphasis: f32,
    /// Subtract each frame's mean.
    pub remove_dc_offset: bool,
    /// Lowest frequency of the first filter, Hz.
    pub low_freq: f64,
    /// Highest frequency of the last filter, Hz. 0 and negative values count from the Nyquist
    /// frequency.
    pub high_freq: f64,
    /// Use only frames that lie wholly inside the audio. Otherwise frames are centred, and the
    /// audio is mirrored at its ends.
    pub snip_edges: bool,
    /// Take the natural logarithm of the filter outputs.
    pub log: bool,
    /// Use the power spectrum, otherwise the magnitude.
    pub power: bool,
}

impl Default for FbankConfig {
    fn default() -> Self {
        Self {
            sample_rate: 16000,
            mels: 80,
            frame_length_ms: 25.0,
            frame_shift_ms: 10.0,
            window: Window::Hamming,
            dither: 0.0,
            scale: 32768.0,
            preemphasis: 0.97,
            remove_dc_offset: true,
            low_freq: 20.0,
            high_freq: 0.0,
            snip_edges: true,
            log: true,
            power: true,
        }
    }
}

impl FbankConfig {
    /// Possible rates of audio, Hz.
    pub const RATE: RangeInclusive<f64> = 1000.0..=768_000.0;
    /// Possible numbers of mel filters.
    pub const MELS: RangeInclusive<f64> = 3.0..=1024.0;
    /// Possible lengths and shifts of frames, ms.
    pub const FRAME_MS: RangeInclusive<f64> = 1.0..=1000.0;
    /// Possible dither, in units of `scale`.
    pub const DITHER: RangeInclusive<f64> = 0.0..=10_000.0;
    /// Possible full scales of samples.
    pub const SCALE: RangeInclusive<f64> = 1e-3..=1e10;
    /// Possible pre-emphasis coefficients.
    pub const PREEMPHASIS: RangeInclusive<f64> = 0.0..=1.0;
    /// Possible limits of the filters, Hz. Negative ones count from the Nyquist frequency.
    pub const FREQUENCY: RangeInclusive<f64> = -384_000.0..=384_000.0;
    /// Most samples of a frame.
    const LONGEST_FRAME: usize = 1 << 16;

    /// Refuses settings that no audio has, or that give meaningless features. Settings may come
    /// from a stranger's file, so their ranges are checked before anything is allocated.
    ///
    /// # Errors
    /// A setting outside its range; frames of too few or too many samples; filters above the
    /// Nyquist frequency. As in Kaldi (`mel-computations.cc`), also a filter too narrow for any bin
    /// of the spectrum: its output would be the same for all audio.
    pub fn check(&self) -> Result<()> {
        self.filters().map(|_| ())
    }

    /// The mel filters.
    ///
    /// # Errors
    /// Those of [`FbankConfig::check`].
    pub(super) fn filters(&self) -> Result<Vec<Filter>> {
        let bad = |what: String| Err(Error::invalid(format!("fbank: {what}")));
        for (name, value, range) in [
            ("sample_rate", f64::from(self.sample_rate), Self::RATE),
            ("mels", self.mels as f64, Self::MELS),
            ("frame_length_ms", self.frame_length_ms, Self::FRAME_MS),
            ("frame_shift_ms", self.frame_shift_ms, Self::FRAME_MS),
            ("dither", self.dither, Self::DITHER),
            ("scale", self.scale, Self::SCALE),
            ("preemphasis", f64::from(self.preemphasis), Self::PREEMPHASIS),
            ("low_freq", self.low_freq, Self::FREQUENCY),
            ("high_freq", self.high_freq, Self::FREQUENCY),
        ] {
            if !range.contains(&value) {
                return bad(format!(
                    "{name} = {value}: {} to {} are possible",
                    range.start(),
                    range.end()
                ));
            }
        }
        let (length, shift) = (self.frame_length(), self.frame_shift());
        if !(2..=Self::LONGEST_FRAME).contains(&length) || shift == 0 {
            return bad(format!(
                "frames of {} ms every {} ms are {length} samples every {shift} at {} Hz: \
                 2 to {} samples every 1 or more are possible",
                self.frame_length_ms,
                self.frame_shift_ms,
                self.sample_rate,
                Self::LONGEST_FRAME
            ));
        }
        let rate = f64::from(self.sample_rate);
        let nyquist = rate / 2.0;
        let high = self.highest();
        if !(self.low_freq >= 0.0 && self.low_freq < high && high <= nyquist) {
            return bad(format!(
                "filters from {} to {high} Hz do not fit below {nyquist} Hz",
                self.low_freq
            ));
        }
        let padded = length.next_power_of_two();
        let filters = mel::filters(self.mels, padded, rate, self.low_freq, high);
        match filters.iter().position(|f| f.weights.is_empty()) {
            None => Ok(filters),
            Some(i) => bad(format!(
                "mel filter {i} (from 0) of {} lies between two bins of the spectrum of {padded} \
                 points: fewer mels or longer frames are needed",
                self.mels
            )),
        }
    }

    /// Samples of a frame.
    pub fn frame_length(&self) -> usize {
        (f64::from(self.sample_rate) * self.frame_length_ms * 0.001) as usize
    }

    /// The end of the highest filter, in Hz: `high_freq`, counted from half the rate if it is not
    /// above 0, as Kaldi has it.
    pub(crate) fn highest(&self) -> f64 {
        let nyquist = f64::from(self.sample_rate) / 2.0;
        if self.high_freq > 0.0 { self.high_freq } else { nyquist + self.high_freq }
    }

    /// Samples from one frame to the next.
    pub fn frame_shift(&self) -> usize {
        (f64::from(self.sample_rate) * self.frame_shift_ms * 0.001) as usize
    }

    /// Samples that give exactly `frames` frames: (frames - 1) * shift + length.
    pub fn samples_for(&self, frames: usize) -> usize {
        frames.saturating_sub(1) * self.frame_shift() + self.frame_length()
    }

    /// Frames that `samples` samples give.
    pub fn frames_of(&self, samples: usize) -> usize {
        let (length, shift) = (self.frame_length(), self.frame_shift());
        match self.snip_edges {
            true if samples < length => 0,
            true => 1 + (samples - length) / shift,
            false => (samples + shift / 2) / shift,
        }
    }
}
