//! Kaldi's log-mel filter banks (`feature-fbank.cc`, `feature-window.cc`, `mel-computations.cc`), with the choices of
//! `torchaudio.compliance.kaldi.fbank` where the two differ in the last bit.

use std::sync::Arc;

use realfft::{RealFftPlanner, RealToComplex};
use serde::{Deserialize, Serialize};

use super::Window;
use crate::error::{Error, Result};
use crate::rng::Stream;

/// The smallest filter output taken to the logarithm: `f32::EPSILON`, as in Kaldi.
const FLOOR: f32 = 1.192_092_9e-7;

/// Which features, to the bit. The defaults are WeSpeaker's front-end without dither.
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
    /// Standard deviation of the Gaussian noise added to each sample of each frame, in units of `scale` (1 = one 16-bit step).
    pub dither: f64,
    /// Full scale of the samples the filter bank sees: 32768 as Kaldi, 1 for toolkits that stay in [-1, 1).
    pub scale: f64,
    /// Pre-emphasis coefficient.
    pub preemphasis: f32,
    /// Subtract each frame's mean.
    pub remove_dc_offset: bool,
    /// Lowest frequency of the first filter, Hz.
    pub low_freq: f64,
    /// Highest frequency of the last filter, Hz; 0 or less is counted from the Nyquist frequency.
    pub high_freq: f64,
    /// Only frames that lie wholly inside the audio; otherwise frames are centred and the ends mirrored.
    pub snip_edges: bool,
    /// Natural logarithm of the filter outputs.
    pub log: bool,
    /// Power spectrum; otherwise magnitude.
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
    /// Samples of a frame.
    pub fn frame_length(&self) -> usize {
        (f64::from(self.sample_rate) * self.frame_length_ms * 0.001) as usize
    }

    /// Samples from one frame to the next.
    pub fn frame_shift(&self) -> usize {
        (f64::from(self.sample_rate) * self.frame_shift_ms * 0.001) as usize
    }

    /// Samples that give exactly `frames` frames: ((frames - 1) * shift + length).
    pub fn samples_for(&self, frames: usize) -> usize {
        frames.saturating_sub(1) * self.frame_shift() + self.frame_length()
    }

    /// Frames of audio of `samples` samples.
    pub fn frames_of(&self, samples: usize) -> usize {
        let (length, shift) = (self.frame_length(), self.frame_shift());
        match self.snip_edges {
            true if samples < length => 0,
            true => 1 + (samples - length) / shift,
            false => (samples + shift / 2) / shift,
        }
    }
}

/// One triangular filter: its first spectrum bin and its weights from there on.
struct Filter {
    first: usize,
    weights: Vec<f32>,
}

/// The filter bank, ready to run.
pub struct Fbank {
    config: FbankConfig,
    window: Vec<f32>,
    filters: Vec<Filter>,
    fft: Arc<dyn RealToComplex<f32>>,
}

impl Fbank {
    /// Prepares the tables. Impossible settings are errors.
    pub fn new(config: FbankConfig) -> Result<Self> {
        let bad = |what: String| Err(Error::invalid(format!("fbank: {what}")));
        if config.sample_rate == 0 || config.frame_length() < 2 || config.frame_shift() == 0 {
            return bad(format!(
                "{} ms frames every {} ms at {} Hz are shorter than two samples",
                config.frame_length_ms, config.frame_shift_ms, config.sample_rate
            ));
        }
        if !(config.scale > 0.0 && config.dither >= 0.0) {
            return bad(format!("scale {} and dither {} must be positive", config.scale, config.dither));
        }
        if config.mels < 3 || config.mels > 1024 {
            return bad(format!("{} mel filters; 3 to 1024 are possible", config.mels));
        }
        let nyquist = f64::from(config.sample_rate) / 2.0;
        let high = if config.high_freq > 0.0 { config.high_freq } else { nyquist + config.high_freq };
        if !(config.low_freq >= 0.0 && config.low_freq < high && high <= nyquist) {
            return bad(format!("filters from {} to {high} Hz do not fit below {nyquist} Hz", config.low_freq));
        }
        let padded = config.frame_length().next_power_of_two();
        Ok(Self {
            window: config.window.values(config.frame_length()),
            filters: mel_filters(config.mels, padded, f64::from(config.sample_rate), config.low_freq, high),
            fft: RealFftPlanner::new().plan_fft_forward(padded),
            config,
        })
    }

    /// The settings.
    pub fn config(&self) -> &FbankConfig {
        &self.config
    }

    /// Features of samples in [-1, 1): `[frames, mels]`, row-major. Audio shorter than a frame has none. Dither, when the
    /// settings ask for it, is drawn from `noise`; without a stream there is none.
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
                for pair in head.chunks_mut(2) {
                    let (a, b) = noise.normal_pair();
                    pair.iter_mut().zip([a, b]).for_each(|(x, n)| *x += (config.dither * n) as f32);
                }
            }
            self.shape_frame(head);
            frame[length..].fill(0.0);
            // The lengths are the plan's own, the only error this call knows.
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
                *value = dot(&filter.weights, &power[filter.first..filter.first + filter.weights.len()]);
            }
            if config.log {
                out.iter_mut().for_each(|v| *v = v.max(FLOOR).ln());
            }
        }
        features
    }

    /// Mean removal, pre-emphasis and window, in Kaldi's order.
    fn shape_frame(&self, frame: &mut [f32]) {
        if self.config.remove_dc_offset {
            let mean = sum(frame) / frame.len() as f32;
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
fn mirrored(mut i: isize, n: usize) -> usize {
    let n = n as isize;
    loop {
        if i < 0 {
            i = -i - 1;
        } else if i >= n {
            i = 2 * n - 1 - i;
        } else {
            return i as usize;
        }
    }
}

/// Triangles on the mel scale, 1127 ln(1 + f/700), over the bins below the Nyquist frequency.
fn mel_filters(mels: usize, padded: usize, rate: f64, low: f64, high: f64) -> Vec<Filter> {
    let mel = |hertz: f64| 1127.0 * (1.0 + hertz / 700.0).ln();
    let (low, high) = (mel(low), mel(high));
    let step = (high - low) / (mels + 1) as f64;
    let bins: Vec<f64> = (0..padded / 2).map(|i| mel(i as f64 * rate / padded as f64)).collect();
    (0..mels)
        .map(|m| {
            let (left, center, right) =
                (low + m as f64 * step, low + (m + 1) as f64 * step, low + (m + 2) as f64 * step);
            let weight = |x: f64| ((x - left) / (center - left)).min((right - x) / (right - center));
            let first = bins.iter().position(|&b| b > left).unwrap_or(bins.len());
            let weights = bins[first..].iter().take_while(|&&b| b < right).map(|&b| weight(b) as f32).collect();
            Filter { first, weights }
        })
        .collect()
}

/// Sum over eight lanes: what the compiler vectorises, and more exact than one running sum.
fn sum(x: &[f32]) -> f32 {
    let chunks = x.chunks_exact(8);
    let tail: f32 = chunks.remainder().iter().sum();
    let mut lanes = [0.0f32; 8];
    for chunk in chunks {
        for (l, v) in lanes.iter_mut().zip(chunk) {
            *l += v;
        }
    }
    lanes.iter().sum::<f32>() + tail
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (mut ca, mut cb) = (a.chunks_exact(4), b.chunks_exact(4));
    let mut lanes = [0.0f32; 4];
    for (x, y) in (&mut ca).zip(&mut cb) {
        for i in 0..4 {
            lanes[i] += x[i] * y[i];
        }
    }
    let tail: f32 = ca.remainder().iter().zip(cb.remainder()).map(|(x, y)| x * y).sum();
    lanes.iter().sum::<f32>() + tail
}

/// Per-utterance mean subtraction (CMN without variance): each mel's mean over time becomes 0.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_triangles_that_overlap_by_half() {
        let fbank = Fbank::new(FbankConfig::default()).unwrap();
        assert_eq!(fbank.filters.len(), 80);
        // Away from the ends, neighbouring triangles add up to one in every bin.
        let mut total = vec![0.0f32; 257];
        for filter in &fbank.filters {
            for (i, w) in filter.weights.iter().enumerate() {
                assert!((0.0..=1.0).contains(w));
                total[filter.first + i] += w;
            }
        }
        assert!(total[10..230].iter().all(|t| (t - 1.0).abs() < 1e-3), "{total:?}");
    }

    #[test]
    fn frames_follow_length() {
        let config = FbankConfig::default();
        for (samples, frames) in [(0, 0), (399, 0), (400, 1), (559, 1), (560, 2), (16000, 98)] {
            assert_eq!(config.frames_of(samples), frames);
            let fbank = Fbank::new(config.clone()).unwrap();
            assert_eq!(fbank.compute(&vec![0.1; samples], None).len(), frames * 80);
        }
        assert_eq!(config.frames_of(config.samples_for(200)), 200);
    }

    #[test]
    fn dither_is_seeded_and_scales() {
        let fbank = Fbank::new(FbankConfig { dither: 1.0, ..Default::default() }).unwrap();
        let silence = vec![0.0; 4000];
        let run = |seed| fbank.compute(&silence, Some(&mut Stream::new(seed, "dither", &[])));
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        // Noise of one 16-bit step lifts silence far above the floor; without a stream it stays there.
        assert!(run(1).iter().all(|&v| v > -10.0));
        assert!(fbank.compute(&silence, None).iter().all(|&v| (v - FLOOR.ln()).abs() < 1e-6));
    }

    #[test]
    fn mean_subtraction_leaves_zero_means() {
        let mut x: Vec<f32> = (0..60).map(|i| (i * i % 17) as f32).collect();
        subtract_mean(&mut x, 3);
        for m in 0..3 {
            let mean: f32 = x.iter().skip(m).step_by(3).sum::<f32>() / 20.0;
            assert!(mean.abs() < 1e-6);
        }
    }

    #[test]
    fn impossible_settings_are_errors() {
        let bad = |c: FbankConfig| assert!(Fbank::new(c).is_err());
        bad(FbankConfig { mels: 0, ..Default::default() });
        bad(FbankConfig { sample_rate: 0, ..Default::default() });
        bad(FbankConfig { low_freq: 9000.0, ..Default::default() });
        bad(FbankConfig { high_freq: -8000.0, ..Default::default() });
        bad(FbankConfig { frame_shift_ms: 0.0, ..Default::default() });
        bad(FbankConfig { scale: f64::NAN, ..Default::default() });
    }
}
