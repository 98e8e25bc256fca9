//! Additive noise at a chosen signal-to-noise ratio.

use crate::lanes::Lanes;
use crate::rng::Stream;

/// Adds `noise` to `samples` at a signal-to-noise ratio of `snr_db`, the ratio of their powers over
/// the whole utterance. The noise starts at a random place and repeats if it is shorter than the
/// utterance. Silent samples and silent noise change nothing.
pub fn add_noise(samples: &mut [f32], noise: &[f32], snr_db: f64, stream: &mut Stream) {
    if noise.is_empty() || samples.is_empty() {
        return;
    }
    let stretch = repeated(noise, stream.below(noise.len()), samples.len());
    add_at_ratio(samples, &stretch, power(samples), snr_db);
}

/// Adds as many samples of noise as there are of the utterance, so that the ratio of `signal` to
/// the noise's power is `snr_db`. `signal` is the [`power`] of the utterance without noise, which
/// several noises may be added to. If one of the two is silent, nothing changes.
pub fn add_at_ratio(samples: &mut [f32], noise: &[f32], signal: f64, snr_db: f64) {
    let noise_power = power(noise);
    if signal == 0.0 || noise_power == 0.0 {
        return;
    }
    let gain = (signal / noise_power / 10f64.powf(snr_db / 10.0)).sqrt() as f32;
    samples.iter_mut().zip(noise).for_each(|(s, v)| *s += gain * v);
}

/// The mean of the squares; 0 for no samples.
pub fn power(samples: &[f32]) -> f64 {
    let sum = Lanes::<8>::sum2(samples, samples, |x, _| f64::from(x) * f64::from(x));
    sum / samples.len().max(1) as f64
}

/// `length` samples of a sound from `start` on. The sound repeats; one without samples gives none.
pub fn repeated(sound: &[f32], start: usize, length: usize) -> Vec<f32> {
    let mut samples = Vec::with_capacity(length);
    let mut at = start % sound.len().max(1);
    while samples.len() < length && !sound.is_empty() {
        let count = (length - samples.len()).min(sound.len() - at);
        samples.extend_from_slice(&sound[at..at + count]);
        at = 0;
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_the_one_asked_for() {
        let mut draw = Stream::new(3, "test", &[]);
        let clean: Vec<f32> = (0..8000).map(|i| (i as f32 * 0.05).sin()).collect();
        let noise: Vec<f32> = (0..3000).map(|_| draw.normal() as f32 * 7.0).collect();
        for snr in [0.0, 5.0, 15.0] {
            let mut noisy = clean.clone();
            add_noise(&mut noisy, &noise, snr, &mut draw);
            let power = |x: &mut dyn Iterator<Item = f64>| x.map(|v| v * v).sum::<f64>();
            let signal = power(&mut clean.iter().map(|&c| f64::from(c)));
            let added = power(&mut noisy.iter().zip(&clean).map(|(n, c)| f64::from(n - c)));
            assert!((10.0 * (signal / added).log10() - snr).abs() < 0.01);
        }
        let mut silent = vec![0.0; 100];
        add_noise(&mut silent, &noise, 0.0, &mut draw);
        assert!(silent.iter().all(|&x| x == 0.0));
        let mut same = clean.clone();
        add_noise(&mut same, &[0.0; 10], 0.0, &mut draw);
        add_noise(&mut same, &[], 0.0, &mut draw);
        assert!(same == clean);
        add_noise(&mut [], &noise, 0.0, &mut draw);
    }

    #[test]
    fn sounds_repeat_from_any_place() {
        let sound: Vec<f32> = (0..7).map(|i| i as f32).collect();
        for start in 0..20 {
            for length in [0, 1, 6, 7, 8, 30] {
                let wanted: Vec<f32> =
                    sound.iter().copied().cycle().skip(start).take(length).collect();
                assert_eq!(repeated(&sound, start, length), wanted);
            }
        }
        assert!(repeated(&[], 3, 5).is_empty());
    }
}
