//! Which frames are speech, by their energy.

#[cfg(test)]
mod tests;

use super::FbankConfig;
use super::fbank::mirrored;
use crate::error::Result;
use crate::lanes::Lanes;

/// Full scale of the samples whose energy counts: 16 bits, as in Kaldi.
const FULL_SCALE: f64 = 32_768.0;
/// Shares of the frames that are quieter than the quiet and the loud frame of a recording.
const QUIET: f64 = 0.05;
const LOUD: f64 = 0.95;
/// A recording is clear if its loud frame has so many dB more than its quiet one. Steady noise has
/// about 1.
const CLEAR_DB: f64 = 15.0;
/// In a clear recording, what is speech has so many dB more than the quiet frame.
const ABOVE_QUIET_DB: f64 = 6.0;

/// Settings of [`Vad`]. The defaults are those of Kaldi's recipe `sre16` (`conf/vad.conf`), not
/// those of its program.
#[derive(Debug, Clone, PartialEq)]
pub struct VadConfig {
    /// Log energy that a loud frame exceeds, without the part of the mean (`vad-energy-threshold`).
    pub energy_threshold: f64,
    /// Part of the mean log energy that is added to it (`vad-energy-mean-scale`).
    pub mean_scale: f64,
    /// Frames on each side that decide with a frame (`vad-frames-context`).
    pub context: usize,
    /// Share of these frames that must be loud (`vad-proportion-threshold`).
    pub proportion: f64,
    /// How far below its loud frame a clear recording still has speech, in dB, however faint it is.
    /// Without it, Kaldi's rule alone decides.
    pub range_db: Option<f64>,
}

impl Default for VadConfig {
    fn default() -> Self {
        Self {
            energy_threshold: 5.5,
            mean_scale: 0.5,
            context: 2,
            proportion: 0.12,
            range_db: Some(25.0),
        }
    }
}

/// Tells speech from pauses by energy.
///
/// The rule is Kaldi's (`ivector/voice-activity-detection.cc`, the program `compute-vad`). A
/// frame's log energy is the logarithm of the sum of its squared samples (16-bit scale, mean
/// removed, no window). A frame is loud if it exceeds `energy_threshold + mean_scale * mean`, where
/// the mean is that of all log energies. It is speech if a share `proportion` of the frames around
/// it are loud, itself included. Kaldi adds dither of one step of 16 bits. Here no log energy lies
/// below that of such dither, so digital silence counts as in Kaldi.
///
/// Kaldi's threshold is half absolute, so it takes faint speech for pauses. One more criterion
/// lowers it for clear recordings, whose loud frame (95 % are quieter) has 15 dB more than the
/// quiet one (5 % are quieter). There what is less than `range_db` below the loud frame and more
/// than 6 dB above the quiet one is loud, too. At usual levels Kaldi's threshold is the lower one
/// and decides alone.
///
/// Energy does not tell voices from other sounds: loud noise is speech to it.
///
/// ```
/// use revox::audio::{FbankConfig, Vad, VadConfig};
///
/// let vad = Vad::new(VadConfig::default(), &FbankConfig::default())?;
/// let tone = (0..16_000).map(|i| (i as f32 * 0.1).sin() * 0.2);
/// let samples: Vec<f32> = tone.chain([0.0; 16_000]).collect();
/// let speech = vad.speech(&samples);
/// assert!(speech[..98].iter().all(|&is| is) && !speech[103..].contains(&true));
/// # Ok::<(), revox::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Vad {
    config: VadConfig,
    framing: FbankConfig,
}

impl Vad {
    /// A detector with the frames of a filter bank, so that each frame of features has an answer.
    ///
    /// # Errors
    /// Those of [`FbankConfig::check`].
    pub fn new(config: VadConfig, framing: &FbankConfig) -> Result<Self> {
        framing.check()?;
        Ok(Self { config, framing: framing.clone() })
    }

    /// Whether each frame is speech, `[frames]`. The samples (full scale 1) are a whole recording
    /// or a window of it: the mean is that of these samples.
    pub fn speech(&self, samples: &[f32]) -> Vec<bool> {
        let energies = self.energies(samples);
        if energies.is_empty() {
            return Vec::new();
        }
        let threshold = self.threshold(&energies);
        let loud: Vec<bool> = energies.iter().map(|&energy| energy > threshold).collect();
        (0..loud.len()).map(|frame| self.decide(&loud, frame)).collect()
    }

    /// Whether a frame is speech, by the loud frames around it.
    fn decide(&self, loud: &[bool], frame: usize) -> bool {
        let VadConfig { context, proportion, .. } = self.config;
        let end = frame.saturating_add(context).saturating_add(1).min(loud.len());
        let around = &loud[frame.saturating_sub(context)..end];
        let count = around.iter().filter(|&&loud| loud).count();
        count as f64 >= proportion * around.len() as f64
    }

    /// The log energy of each frame, `[frames]`.
    fn energies(&self, samples: &[f32]) -> Vec<f64> {
        let (length, shift) = (self.framing.frame_length(), self.framing.frame_shift());
        let frames = 0..self.framing.frames_of(samples.len());
        if self.framing.snip_edges {
            return frames.map(|f| log_energy(&samples[f * shift..f * shift + length])).collect();
        }
        let mut frame = vec![0.0f32; length];
        let centred = frames.map(|f| {
            let start = (f * shift + shift / 2) as isize - (length / 2) as isize;
            for (i, x) in frame.iter_mut().enumerate() {
                *x = samples[mirrored(start + i as isize, samples.len())];
            }
            log_energy(&frame)
        });
        centred.collect()
    }

    /// The log energy that loud frames exceed. There must be a frame.
    fn threshold(&self, energies: &[f64]) -> f64 {
        let mean = energies.iter().sum::<f64>() / energies.len() as f64;
        let kaldis = self.config.energy_threshold + self.config.mean_scale * mean;
        let Some(range) = self.config.range_db else { return kaldis };
        let mut sorted = energies.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| sorted[(share * (sorted.len() - 1) as f64) as usize];
        let (quiet, loud) = (at(QUIET), at(LOUD));
        match loud - quiet >= nats(CLEAR_DB) {
            true => kaldis.min((loud - nats(range)).max(quiet + nats(ABOVE_QUIET_DB))),
            false => kaldis,
        }
    }
}

/// dB as a difference of log energies.
fn nats(db: f64) -> f64 {
    db * std::f64::consts::LN_10 / 10.0
}

/// The logarithm of a frame's energy, at least that of dither of one step of 16 bits.
fn log_energy(frame: &[f32]) -> f64 {
    let length = frame.len() as f64;
    let sum: f64 = Lanes::<8>::sum2(frame, frame, |x, _| f64::from(x));
    let mean = sum / length;
    let energy: f64 = Lanes::<8>::sum2(frame, frame, |x, _| (f64::from(x) - mean).powi(2));
    (energy * FULL_SCALE * FULL_SCALE).max(length).ln()
}
