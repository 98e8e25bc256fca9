//! Kaldi's log-mel filter banks (`feature-fbank.cc`, `feature-window.cc`, `mel-computations.cc`),
//! with the choices of `torchaudio.compliance.kaldi.fbank` where the two differ in the last bit.

use std::ops::RangeInclusive;
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
    /// Standard deviation of the Gaussian noise added to each sample of each frame, in units of
    /// `scale` (1 = one 16-bit step).
    pub dither: f64,
    /// Full scale of the samples the filter bank sees: 32768 as Kaldi, 1 for toolkits that stay in
    /// [-1, 1).
    pub scale: f64,
    /// Pre-emphasis coefficient.
    pub preemphasis: f32,
    /// Subtract each frame's mean.
    pub remove_dc_offset: bool,
    /// Lowest frequency of the first filter, Hz.
    pub low_freq: f64,
    /// Highest frequency of the last filter, Hz; 0 or less is counted from the Nyquist frequency.
    pub high_freq: f64,
    /// Only frames that lie wholly inside the audio; otherwise frames are centred and the ends
    /// mirrored.
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
    /// Rates of audio, Hz.
    pub const RATE: RangeInclusive<f64> = 1000.0..=768_000.0;
    /// Numbers of mel filters.
    pub const MELS: RangeInclusive<f64> = 3.0..=1024.0;
    /// Lengths and shifts of frames, ms.
    pub const FRAME_MS: RangeInclusive<f64> = 1.0..=1000.0;
    /// Dither, in units of `scale`.
    pub const DITHER: RangeInclusive<f64> = 0.0..=10_000.0;
    /// Full scales of samples.
    pub const SCALE: RangeInclusive<f64> = 1e-3..=1e10;
    /// Pre-emphasis coefficients.
    pub const PREEMPHASIS: RangeInclusive<f64> = 0.0..=1.0;
    /// Limits of the filters, Hz; those that count from the Nyquist frequency are negative.
    pub const FREQUENCY: RangeInclusive<f64> = -384_000.0..=384_000.0;
    /// Most samples of a frame.
    const LONGEST_FRAME: usize = 1 << 16;

    /// Refuses settings that no audio has, or that make features without meaning. A setting may
    /// come from anybody's file: nothing is allocated before it is within its range.
    ///
    /// # Errors
    /// Names the setting and what is possible. As in Kaldi (`mel-computations.cc`), a filter that
    /// is too narrow for any bin of the spectrum is one of them: its output would be the same for
    /// all audio.
    pub fn check(&self) -> Result<()> {
        self.filters().map(|_| ())
    }

    /// The mel filters of settings that [`FbankConfig::check`] lets pass.
    fn filters(&self) -> Result<Vec<Filter>> {
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
                "frames of {} ms every {} ms are {length} samples every {shift} at {} Hz: 2 to {} samples every 1 or \
                 more are possible",
                self.frame_length_ms,
                self.frame_shift_ms,
                self.sample_rate,
                Self::LONGEST_FRAME
            ));
        }
        let rate = f64::from(self.sample_rate);
        let nyquist = rate / 2.0;
        let high = if self.high_freq > 0.0 { self.high_freq } else { nyquist + self.high_freq };
        if !(self.low_freq >= 0.0 && self.low_freq < high && high <= nyquist) {
            return bad(format!(
                "filters from {} to {high} Hz do not fit below {nyquist} Hz",
                self.low_freq
            ));
        }
        let padded = length.next_power_of_two();
        let filters = mel_filters(self.mels, padded, rate, self.low_freq, high);
        match filters.iter().position(|f| f.weights.is_empty()) {
            None => Ok(filters),
            Some(i) => bad(format!(
                "mel filter {i} (from 0) of {} lies between two bins of the spectrum of {padded} points: fewer mels or \
                 longer frames are needed",
                self.mels
            )),
        }
    }

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
    /// Prepares the tables.
    ///
    /// # Errors
    /// Those of [`FbankConfig::check`].
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

    /// The settings.
    pub fn config(&self) -> &FbankConfig {
        &self.config
    }

    /// Features of samples: `[frames, mels]`, row-major; dither as in [`Fbank::compute`].
    ///
    /// # Errors
    /// Audio shorter than one frame, and features that are not finite: samples so large that their
    /// spectrum has no value in f32, or samples that are not numbers.
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

    /// Refuses features that are not finite; `before` them there are so many frames.
    pub(super) fn refuse_infinite(&self, features: &[f32], before: usize) -> Result<()> {
        match features.iter().position(|v| !v.is_finite()) {
            None => Ok(()),
            Some(i) => Err(Error::Undefined(format!(
                "the features of frame {} (from 0) are not finite: samples too large, or the scale of {}",
                before + i / self.config.mels,
                self.config.scale
            ))),
        }
    }

    /// Features of samples in [-1, 1): `[frames, mels]`, row-major. Audio shorter than a frame has
    /// none. Dither, when the settings ask for it, is drawn from `noise`; without a stream there is
    /// none. Nothing looks at the values: [`Fbank::features`] refuses those that are not finite.
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
                *value =
                    dot(&filter.weights, &power[filter.first..filter.first + filter.weights.len()]);
            }
            if config.log {
                for v in out.iter_mut() {
                    // `f32::max` would turn what is not a number into the floor.
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
fn mirrored(i: isize, n: usize) -> usize {
    let n = n as isize;
    // Forwards, then backwards: the mirrored signal repeats after twice its length.
    let i = i.rem_euclid(2 * n);
    (if i < n { i } else { 2 * n - 1 - i }) as usize
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
            let weight =
                |x: f64| ((x - left) / (center - left)).min((right - x) / (right - center));
            let first = bins.partition_point(|&b| b <= left);
            let weights = bins[first..]
                .iter()
                .take_while(|&&b| b < right)
                .map(|&b| weight(b) as f32)
                .collect();
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
        // Noise of one 16-bit step lifts silence far above the floor; without a stream it stays
        // there.
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
    fn impossible_settings_are_errors_that_name_them() {
        let bad = |c: FbankConfig, wanted: &str| {
            let error = c.check().unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
            assert!(Fbank::new(c).is_err());
        };
        let default = FbankConfig::default;
        for mels in [0, 2, 1025, usize::MAX] {
            bad(FbankConfig { mels, ..default() }, "mels");
        }
        for sample_rate in [0, 999, 768_001, u32::MAX] {
            bad(FbankConfig { sample_rate, ..default() }, "sample_rate");
        }
        // The last: 64 TB, were it not refused first.
        for frame_length_ms in [0.0, -25.0, 1000.1, f64::NAN, f64::INFINITY, 1e12] {
            bad(FbankConfig { frame_length_ms, ..default() }, "frame_length_ms");
        }
        for frame_shift_ms in [0.0, -10.0, 1e12, f64::NAN] {
            bad(FbankConfig { frame_shift_ms, ..default() }, "frame_shift_ms");
        }
        for dither in [-1.0, f64::NAN, f64::INFINITY, 1e35] {
            bad(FbankConfig { dither, ..default() }, "dither");
        }
        for scale in [0.0, -1.0, 1e35, f64::NAN, f64::INFINITY] {
            bad(FbankConfig { scale, ..default() }, "scale");
        }
        for preemphasis in [-0.1, 1.1, f32::NAN, f32::INFINITY] {
            bad(FbankConfig { preemphasis, ..default() }, "preemphasis");
        }
        bad(FbankConfig { sample_rate: 768_000, frame_length_ms: 1000.0, ..default() }, "samples");
        bad(FbankConfig { sample_rate: 1000, frame_length_ms: 1.0, ..default() }, "samples");
        bad(FbankConfig { low_freq: 9000.0, ..default() }, "Hz");
        bad(FbankConfig { low_freq: -1.0, ..default() }, "Hz");
        bad(FbankConfig { high_freq: -8000.0, ..default() }, "Hz");
        bad(FbankConfig { high_freq: 8000.1, ..default() }, "Hz");
        bad(FbankConfig { low_freq: f64::NAN, ..default() }, "low_freq");
        bad(FbankConfig { high_freq: f64::NAN, ..default() }, "high_freq");
    }

    #[test]
    fn a_filter_without_a_bin_is_an_error() {
        let with = |mels, sample_rate| FbankConfig { mels, sample_rate, ..FbankConfig::default() };
        for (mels, rate) in [
            (3, 16000),
            (16, 16000),
            (40, 16000),
            (80, 16000),
            (120, 16000),
            (80, 8000),
            (80, 48000),
        ] {
            with(mels, rate).check().unwrap();
        }
        let error = with(128, 16000).check().unwrap_err().to_string();
        assert!(
            error.contains("mel filter 3") && error.contains("128") && error.contains("512 points"),
            "{error}"
        );
        assert!(with(96, 8000).check().is_err());
        // Longer frames have more bins.
        FbankConfig { frame_length_ms: 50.0, ..with(128, 16000) }.check().unwrap();
    }

    #[test]
    fn features_that_are_not_finite_are_errors() {
        let tone = |pitch: f32, level: f32| -> Vec<f32> {
            (0..4000).map(|i| level * (i as f32 * pitch).sin()).collect()
        };
        for config in [
            FbankConfig::default(),
            FbankConfig { log: false, ..Default::default() },
            FbankConfig { power: false, ..Default::default() },
            FbankConfig { remove_dc_offset: false, preemphasis: 0.0, ..Default::default() },
        ] {
            let fbank = Fbank::new(config).unwrap();
            for level in [1e20, 1e35, 3e38, f32::INFINITY, f32::NAN] {
                let error = fbank.features(&tone(0.3, level), None).unwrap_err().to_string();
                assert!(
                    error.contains("frame 0") && error.contains("not finite"),
                    "{level}: {error}"
                );
            }
            assert!(fbank.features(&tone(0.3, 1.0), None).is_ok());
        }
        // One sample is enough, and the frame is named. Frame 12 is the first that sees sample
        // 2240.
        let fbank = Fbank::new(FbankConfig::default()).unwrap();
        let mut samples = tone(0.3, 0.1);
        samples[2240] = f32::NAN;
        let error = fbank.features(&samples, None).unwrap_err().to_string();
        assert!(error.contains("frame 12 "), "{error}");
        let error = fbank.features(&[0.1; 399], None).unwrap_err().to_string();
        assert!(error.contains("399 samples are shorter than one frame"), "{error}");
    }

    #[test]
    fn signals_are_mirrored_at_both_ends() {
        let n = 3;
        let indices: Vec<usize> = (-7..10).map(|i| mirrored(i, n)).collect();
        assert_eq!(indices, [0, 0, 1, 2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0, 1, 2, 2]);
        assert!((-5..5).all(|i| mirrored(i, 1) == 0));
    }
}
