//! Additive noise at a chosen signal-to-noise ratio.

use crate::rng::Stream;

/// Adds `noise` to `samples` at a signal-to-noise ratio of `snr_db`, the ratio of their powers over
/// the whole utterance. The noise starts at a random place and repeats if it is shorter than the
/// utterance. Silent samples and silent noise change nothing.
pub fn add_noise(samples: &mut [f32], noise: &[f32], snr_db: f64, stream: &mut Stream) {
    if noise.is_empty() || samples.is_empty() {
        return;
    }
    let start = stream.below(noise.len());
    let power = |x: &mut dyn Iterator<Item = f32>, n: usize| -> f64 {
        x.map(|v| f64::from(v) * f64::from(v)).sum::<f64>() / n as f64
    };
    let n = samples.len();
    let segment = || noise.iter().copied().cycle().skip(start).take(n);
    let (signal_power, noise_power) =
        (power(&mut samples.iter().copied(), n), power(&mut segment(), n));
    if signal_power == 0.0 || noise_power == 0.0 {
        return;
    }
    let gain = (signal_power / noise_power / 10f64.powf(snr_db / 10.0)).sqrt() as f32;
    let noisy: Vec<f32> = samples.iter().zip(segment()).map(|(s, v)| s + gain * v).collect();
    samples.copy_from_slice(&noisy);
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
    }
}
