//! Reverberation: convolution with a room impulse response of unit energy, as WeSpeaker's
//! `processor.py` does it.

use realfft::RealFftPlanner;
use realfft::num_complex::Complex32;

/// Convolves `samples` with `response`, scaled to unit energy, and keeps the first `samples.len()`
/// values. The part of the response before its largest value is cut off, so the direct sound keeps
/// its place.
pub fn reverberate(samples: &mut [f32], response: &[f32]) {
    let energy: f64 = response.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    if samples.is_empty() || energy == 0.0 {
        return;
    }
    let peak = response
        .iter()
        .enumerate()
        .max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))
        .map_or(0, |(i, _)| i);
    let response = &response[peak..];
    let scale = (1.0 / energy.sqrt()) as f32;
    let n = (samples.len() + response.len() - 1).next_power_of_two();
    let mut planner = RealFftPlanner::<f32>::new();
    let (forward, inverse) = (planner.plan_fft_forward(n), planner.plan_fft_inverse(n));
    let spectrum = |x: &[f32]| -> Vec<Complex32> {
        let mut padded = vec![0.0; n];
        padded[..x.len()].copy_from_slice(x);
        let mut out = forward.make_output_vec();
        forward.process(&mut padded, &mut out).expect("buffers of the plan's length");
        out
    };
    let mut product = spectrum(samples);
    for (p, r) in product.iter_mut().zip(spectrum(response)) {
        *p *= r * (scale / n as f32);
    }
    // The first and the last bin of a real signal's spectrum are real. Rounding leaves imaginary
    // parts there, which the inverse would refuse.
    let last = product.len() - 1;
    product[0].im = 0.0;
    product[last].im = 0.0;
    let mut wet = vec![0.0; n];
    inverse.process(&mut product, &mut wet).expect("buffers of the plan's length");
    samples.copy_from_slice(&wet[..samples.len()]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_direct_convolution() {
        let signal: Vec<f32> = (0..300).map(|i| ((i * 37 % 91) as f32 - 45.0) / 50.0).collect();
        let mut response = vec![0.0f32; 40];
        for (i, r) in response.iter_mut().enumerate().skip(3) {
            *r = 0.9f32.powi(i as i32 - 3) * if i % 2 == 0 { -0.5 } else { 1.0 };
        }
        let norm = response.iter().map(|r| r * r).sum::<f32>().sqrt();
        let wanted: Vec<f32> = (0..signal.len())
            .map(|t| {
                (0..37).filter(|&k| k <= t).map(|k| signal[t - k] * response[k + 3] / norm).sum()
            })
            .collect();
        let mut wet = signal.clone();
        reverberate(&mut wet, &response);
        for (a, b) in wet.iter().zip(&wanted) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }

    #[test]
    fn an_impulse_changes_nothing() {
        let signal: Vec<f32> = (0..100).map(|i| (i as f32).sin()).collect();
        let mut same = signal.clone();
        reverberate(&mut same, &[0.0, 0.0, 0.3]);
        assert!(same.iter().zip(&signal).all(|(a, b)| (a - b).abs() < 1e-6));
        reverberate(&mut same, &[0.0; 5]);
        assert!(same.iter().zip(&signal).all(|(a, b)| (a - b).abs() < 1e-6));
    }
}
