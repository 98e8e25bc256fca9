//! How much a recording offers: speech, clipping, bandwidth.

mod clipping;
mod spectrum;
#[cfg(test)]
mod tests;

use self::clipping::Clipping;
use self::spectrum::Spectrum;
use super::{FbankConfig, Vad, VadConfig};
use crate::error::Result;

/// Fewer seconds of speech than this tell nothing of a voice.
pub const LEAST_SPEECH: f64 = 0.5;

/// How much a recording offers to those who compare voices.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Quality {
    /// Seconds of speech, as [`Vad`] finds it window by window: the share of frames that are
    /// speech, of the length.
    pub speech_seconds: f64,
    /// Share of samples that are clipped, 0 to 1: three or more in a row at the highest or at the
    /// lowest value, within 1.5 steps of 16 bits, where that value is within 3 dB of full scale.
    /// Values beyond full scale count as full scale. What was clipped and resampled afterwards is
    /// found in part.
    pub clipped: f64,
    /// Highest frequency that is heard, Hz; 0 if nothing is. It is that of the highest bin of the
    /// mean power spectrum (Hann window, 25 to 51 ms, every 80 ms) whose level is within 60 dB of
    /// the loudest bin above 100 Hz. A bin's level is the median of those of its ten neighbours on
    /// each side and its own, so a whistling tone does not count.
    pub bandwidth: f64,
}

/// What measures recordings, window by window.
pub(crate) struct Meter {
    vad: Vad,
    spectrum: Spectrum,
    rate: f64,
}

/// What is known of the windows so far.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    samples: usize,
    /// Samples of speech.
    speech: f64,
    clipping: Clipping,
    /// Sums of the powers of each bin.
    power: Vec<f64>,
}

impl Meter {
    /// Measures samples at the rate of a filter bank, in its frames.
    ///
    /// # Errors
    /// Those of [`Vad::new`].
    pub fn new(fbank: &FbankConfig) -> Result<Self> {
        let vad = Vad::new(VadConfig::default(), fbank)?;
        let rate = fbank.sample_rate;
        Ok(Self { vad, spectrum: Spectrum::new(rate), rate: f64::from(rate) })
    }

    /// Measures a window. Also says of each of its frames whether it is speech.
    pub fn window(&self, samples: &[f32]) -> (Measured, Vec<bool>) {
        let speech = self.vad.speech(samples);
        let share = speech.iter().filter(|&&is| is).count() as f64 / speech.len().max(1) as f64;
        let measured = Measured {
            samples: samples.len(),
            speech: share * samples.len() as f64,
            clipping: Clipping::of(samples),
            power: self.spectrum.power(samples),
        };
        (measured, speech)
    }

    /// What the windows amount to.
    pub fn quality(&self, measured: &Measured) -> Quality {
        let Measured { samples, speech, clipping, power } = measured;
        Quality {
            speech_seconds: speech / self.rate,
            clipped: clipping.count() as f64 / (*samples).max(1) as f64,
            bandwidth: self.spectrum.bandwidth(power),
        }
    }
}

impl Measured {
    /// Adds the window that follows.
    pub fn add(&mut self, later: Self) {
        self.samples += later.samples;
        self.speech += later.speech;
        self.clipping.add(later.clipping);
        self.power.resize(later.power.len().max(self.power.len()), 0.0);
        self.power.iter_mut().zip(&later.power).for_each(|(sum, power)| *sum += power);
    }
}
