//! The mean power spectrum, and how far up it reaches.

use std::sync::Arc;

use realfft::{RealFftPlanner, RealToComplex};

use crate::audio::Window;

/// A piece has at least so many seconds; its samples are a power of two.
const PIECE: f64 = 0.025;
/// Seconds from one piece to the next. Features have eight frames in that time.
const HOP: f64 = 0.08;
/// Below lies hum rather than a voice, Hz.
const LOWEST: f64 = 100.0;
/// Power of what is heard, as a part of the loudest: 60 dB below it. Rounding to 16 bits lies about
/// 80 dB below speech, fricatives at 7 kHz about 45.
const HEARD: f64 = 1e-6;
/// Bins on each side whose median is the level of a bin.
const AROUND: usize = 10;

/// The tables.
pub(super) struct Spectrum {
    window: Vec<f32>,
    hop: usize,
    fft: Arc<dyn RealToComplex<f32>>,
    /// Hz from one bin to the next.
    bin: f64,
}

impl Spectrum {
    /// For samples at a rate.
    pub fn new(rate: u32) -> Self {
        let rate = f64::from(rate);
        let length = ((PIECE * rate) as usize).next_power_of_two();
        Self {
            window: Window::Hanning.values(length),
            hop: ((HOP * rate) as usize).max(1),
            fft: RealFftPlanner::new().plan_fft_forward(length),
            bin: rate / length as f64,
        }
    }

    /// The sum of the powers of each bin over the pieces of a window. Samples that are fewer than a
    /// piece are one.
    pub fn power(&self, samples: &[f32]) -> Vec<f64> {
        let length = self.window.len();
        let mut frame = self.fft.make_input_vec();
        let mut spectrum = self.fft.make_output_vec();
        let mut scratch = self.fft.make_scratch_vec();
        let mut power = vec![0.0f64; spectrum.len()];
        for start in (0..=samples.len().saturating_sub(length)).step_by(self.hop) {
            let piece = &samples[start..samples.len().min(start + length)];
            let mean = piece.iter().sum::<f32>() / piece.len().max(1) as f32;
            frame.fill(0.0);
            for ((x, s), w) in frame.iter_mut().zip(piece).zip(&self.window) {
                *x = (s - mean) * w;
            }
            // Only buffers of other lengths are an error.
            self.fft
                .process_with_scratch(&mut frame, &mut spectrum, &mut scratch)
                .expect("buffers of the plan's length");
            for (p, c) in power.iter_mut().zip(&spectrum) {
                *p += f64::from(c.re).powi(2) + f64::from(c.im).powi(2);
            }
        }
        power
    }

    /// The highest frequency that is heard in these powers, Hz; 0 if nothing is.
    pub fn bandwidth(&self, power: &[f64]) -> f64 {
        let first = ((LOWEST / self.bin).ceil() as usize).min(power.len());
        let loudest = power[first..].iter().copied().fold(0.0, f64::max);
        let is_heard = |&bin: &usize| {
            let end = power.len().min(bin + AROUND + 1);
            let level = median(&power[bin.saturating_sub(AROUND)..end]);
            level > 0.0 && level >= HEARD * loudest
        };
        let highest = (first..power.len()).rev().find(is_heard);
        highest.map_or(0.0, |bin| bin as f64 * self.bin)
    }
}

/// The median of one value or more: of an even number the upper one of the two in the middle.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
