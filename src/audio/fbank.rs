//! Kaldi's log-mel filter banks (`feature-fbank.cc`, `feature-window.cc`, `mel-computations.cc`),
//! with the choices of `torchaudio.compliance.kaldi.fbank` where the two differ in the last bit.

mod config;
mod dither;
mod mel;
#[cfg(test)]
mod tests;

pub use config::FbankConfig;
pub use dither::Dither;

use std::sync::Arc;

use realfft::{RealFftPlanner, RealToComplex};

use self::mel::Filter;
use crate::error::{Error, Result};
use crate::lanes::Lanes;
use crate::rng::Stream;

/// The floor of filter outputs before the logarithm: `f32::EPSILON`, as in Kaldi.
const FLOOR: f32 = 1.192_092_9e-7;

/// The filter bank, ready to run.
pub struct Fbank {
    config: FbankConfig,
    window: Vec<f32>,
    filters: Vec<Filter>,
    fft: Arc<dyn RealToComplex<f32>>,
}

impl Fbank {
    /// Computes window and filters.
    ///
    /// # Errors
    /// Settings that [`FbankConfig::check`] refuses.
    pub fn new(config: FbankConfig) -> Result<Self> {
        let filters = config.filters()?;
        let padded = config.frame_length().next_power_of_two();
        Ok(Self {
            window: config.window.values(config.frame_length()),
            filters,
            fft: RealFftPlanner::new().plan_fft_forward(padded),
            config,
        })
    }

    /// The floor of filter outputs before the logarithm.
    #[cfg(feature = "burn")]
    pub(crate) const FLOOR: f32 = FLOOR;

    /// The settings.
    pub fn config(&self) -> &FbankConfig {
        &self.config
    }

    /// Each mel filter's first bin of the spectrum, and its weights from there on.
    #[cfg(feature = "burn")]
    pub(crate) fn filters(&self) -> impl Iterator<Item = (usize, &[f32])> {
        self.filters.iter().map(|filter| (filter.first, filter.weights.as_slice()))
    }

    /// Features of samples: `[frames, mels]`, row-major; dither as in [`Fbank::compute`].
    ///
    /// # Errors
    /// Audio shorter than one frame, and features that are not finite: the samples are NaN or
    /// infinite, or so large that their spectrum overflows f32.
    pub fn features(&self, samples: &[f32], noise: Option<&mut Stream>) -> Result<Vec<f32>> {
        let features = self.compute(samples, noise);
        if features.is_empty() {
            return Err(self.too_short(samples.len()));
        }
        self.refuse_infinite(&features, 0)?;
        Ok(features)
    }

    pub(super) fn too_short(&self, samples: usize) -> Error {
        let length = self.config.frame_length_ms;
        Error::Undefined(format!("{samples} samples are shorter than one frame of {length} ms"))
    }

    /// Refuses features `[frames, mels]` that are not finite. `before` counts the frames in front
    /// of them.
    pub(super) fn refuse_infinite(&self, features: &[f32], before: usize) -> Result<()> {
        match features.iter().position(|v| !v.is_finite()) {
            None => Ok(()),
            Some(i) => {
                let (frame, scale) = (before + i / self.config.mels, self.config.scale);
                Err(Error::Undefined(format!(
                    "the features of frame {frame} (from 0) are not finite: samples too large, or \
                     the scale of {scale}"
                )))
            }
        }
    }

    /// Features of samples in [-1, 1): `[frames, mels]`, row-major. Audio shorter than a frame has
    /// none. [`Dither`], when the settings ask for it, is drawn from `noise`; without a stream
    /// there is none. The values are not checked: [`Fbank::features`] refuses those that are not
    /// finite.
    pub fn compute(&self, samples: &[f32], mut noise: Option<&mut Stream>) -> Vec<f32> {
        let config = &self.config;
        let (length, shift, mels) = (config.frame_length(), config.frame_shift(), config.mels);
        let frames = config.frames_of(samples.len());
        let scale = config.scale as f32;
        let mut features = vec![0.0f32; frames * mels];
        let mut frame = vec![0.0f32; self.fft.len()];
        let mut spectrum = self.fft.make_output_vec();
        let mut scratch = self.fft.make_scratch_vec();
        let mut power = vec![0.0f32; spectrum.len()];
        for (f, out) in features.chunks_exact_mut(mels).enumerate() {
            let head = &mut frame[..length];
            if config.snip_edges {
                for (x, s) in head.iter_mut().zip(&samples[f * shift..f * shift + length]) {
                    *x = s * scale;
                }
            } else {
                let start = (f * shift + shift / 2) as isize - (length / 2) as isize;
                for (i, x) in head.iter_mut().enumerate() {
                    *x = samples[mirrored(start + i as isize, samples.len())] * scale;
                }
            }
            if config.dither > 0.0
                && let Some(noise) = noise.as_deref_mut()
            {
                Dither::add(head, config.dither as f32, noise);
            }
            self.shape_frame(head);
            frame[length..].fill(0.0);
            // Only buffers of other lengths are an error.
            self.fft
                .process_with_scratch(&mut frame, &mut spectrum, &mut scratch)
                .expect("buffers of the plan's length");
            for (p, c) in power.iter_mut().zip(&spectrum) {
                *p = c.re * c.re + c.im * c.im;
            }
            if !config.power {
                power.iter_mut().for_each(|p| *p = p.sqrt());
            }
            for (value, filter) in out.iter_mut().zip(&self.filters) {
                let bins = &power[filter.first..][..filter.weights.len()];
                *value = Lanes::<4>::sum2(&filter.weights, bins, |w, p| w * p);
            }
            if config.log {
                for v in out.iter_mut() {
                    // `f32::max` would turn NaN into the floor.
                    let floored = if *v < FLOOR { FLOOR } else { *v };
                    *v = floored.ln();
                }
            }
        }
        features
    }

    /// Mean removal, pre-emphasis and window, in Kaldi's order.
    fn shape_frame(&self, frame: &mut [f32]) {
        if self.config.remove_dc_offset {
            let mean = Lanes::<8>::sum2(frame, frame, |x, _| x) / frame.len() as f32;
            frame.iter_mut().for_each(|x| *x -= mean);
        }
        let c = self.config.preemphasis;
        if c != 0.0 {
            let mut previous = frame[0];
            for x in frame.iter_mut() {
                let current = *x;
                *x = current - c * previous;
                previous = current;
            }
        }
        frame.iter_mut().zip(&self.window).for_each(|(x, w)| *x *= w);
    }
}

/// Index into a signal mirrored at both ends (the end sample itself is repeated, as in Kaldi).
pub(super) fn mirrored(i: isize, n: usize) -> usize {
    let n = n as isize;
    // The signal forwards, then backwards: this repeats after twice its length.
    let i = i.rem_euclid(2 * n);
    (if i < n { i } else { 2 * n - 1 - i }) as usize
}

/// Per-utterance mean subtraction (CMN without variance) of features `[frames, mels]`: the mean of
/// each mel over time becomes 0. `mels` must not be 0.
pub fn subtract_mean(features: &mut [f32], mels: usize) {
    let frames = features.len() / mels.max(1);
    let mut means = vec![0.0f64; mels];
    for frame in features.chunks_exact(mels) {
        for (m, &x) in means.iter_mut().zip(frame) {
            *m += f64::from(x);
        }
    }
    for frame in features.chunks_exact_mut(mels) {
        for (x, &m) in frame.iter_mut().zip(&means) {
            *x -= (m / frames as f64) as f32;
        }
    }
}
