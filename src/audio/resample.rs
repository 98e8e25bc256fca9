//! Sample-rate conversion through `rubato`'s synchronous FFT resampler: one fixed quality, since scores depend on it.

use std::borrow::Cow;

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler};

use crate::error::{Error, Result};

/// Least frames per resampler call. The filter is as long as a call, so this is part of the quality.
const CHUNK: usize = 1024;

/// Largest sample whose spectrum stays finite, with room to spare. Full scale is 1.
const LOUDEST: f32 = 1e30;

/// Most frames of a block. The filter's memory grows with it, and a file's header must not decide
/// that. Rates of audio stay far below: 22254 Hz to 16 kHz takes 22254.
const LONGEST: usize = 1 << 19;

/// Converts samples from one rate to another. The result has `round(len * to / from)` samples and no delay.
pub fn resample(samples: &[f32], from: u32, to: u32) -> Result<Vec<f32>> {
    if from == to || samples.is_empty() {
        return Ok(samples.to_vec());
    }
    let failed = |e: String| Error::invalid(format!("cannot resample from {from} Hz to {to} Hz: {e}"));
    if let Some(i) = samples.iter().position(|x| x.abs() > LOUDEST) {
        return Err(failed(format!("sample {i} is {:e}, which is too large", samples[i])));
    }
    // Outside this range the header is wrong, not the recorder unusual.
    if !(1000..=768_000).contains(&from) {
        return Err(failed("not a rate of audio".into()));
    }
    // A call must hold an even number of the smallest blocks (from/gcd frames): the delay, half a call, is then a whole number
    // of frames on both sides. An odd number would shift the result by half a frame.
    let block = 2 * (from / gcd(from, to)) as usize;
    if block > LONGEST {
        return Err(failed(format!("the rates have no common divisor above {}", gcd(from, to))));
    }
    let chunk = block * CHUNK.div_ceil(block);
    let mut resampler =
        Fft::<f32>::new(from as usize, to as usize, chunk, 1, FixedSync::Both).map_err(|e| failed(e.to_string()))?;
    let input = InterleavedSlice::new(samples, 1, samples.len()).map_err(|e| failed(e.to_string()))?;
    let output = resampler.process_all(&input, samples.len(), None).map_err(|e| failed(e.to_string()))?;
    let mut output = output.take_data();
    let wanted = (samples.len() as f64 * f64::from(to) / f64::from(from)).round() as usize;
    output.resize(wanted, 0.0);
    Ok(output)
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Speed perturbation as sox's `speed`: the same samples played `factor` times as fast (pitch and tempo change together).
pub fn speed(samples: &[f32], factor: f64) -> Result<Cow<'_, [f32]>> {
    if factor == 1.0 {
        return Ok(Cow::Borrowed(samples));
    }
    // Rates in a small ratio keep the FFT short; 0.9 is 9/10, 1.1 is 11/10.
    let from = (factor * 10_000.0).round() as u32;
    Ok(Cow::Owned(resample(samples, from, 10_000)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, hertz: f64, n: usize) -> Vec<f32> {
        (0..n).map(|i| (std::f64::consts::TAU * hertz * i as f64 / f64::from(rate)).sin() as f32 * 0.5).collect()
    }

    #[test]
    fn a_tone_stays_the_same_tone() {
        for from in [8000, 11025, 22050, 44100, 48000] {
            let input = tone(from, 1000.0, from as usize);
            let output = resample(&input, from, 16000).unwrap();
            assert_eq!(output.len(), 16000);
            let wanted = tone(16000, 1000.0, 16000);
            let worst = (2000..14000).map(|i| (output[i] - wanted[i]).abs()).fold(0.0f32, f32::max);
            assert!(worst < 2e-3, "{from} Hz: off by {worst}");
        }
    }

    #[test]
    fn speed_changes_length_and_pitch() {
        let input = tone(16000, 1000.0, 16000);
        let output = speed(&input, 1.1).unwrap();
        assert_eq!(output.len(), 14545);
        let wanted = tone(16000, 1100.0, 14545);
        let worst = (2000..12000).map(|i| (output[i] - wanted[i]).abs()).fold(0.0f32, f32::max);
        assert!(worst < 2e-3, "off by {worst}");
        assert!(matches!(speed(&input, 1.0).unwrap(), Cow::Borrowed(_)));
    }

    #[test]
    fn impossible_rates_are_errors() {
        assert!(resample(&[0.0; 100], 3, 16000).is_err());
        assert!(resample(&[0.0; 100], 767_999, 16000).is_err());
        assert_eq!(resample(&[0.0; 705_600], 705_600, 16000).unwrap().len(), 16000);
    }
}
