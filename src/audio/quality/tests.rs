use super::*;
use crate::audio::resample;
use crate::rng::Stream;

fn meter() -> Meter {
    Meter::new(&FbankConfig::default()).unwrap()
}

fn quality(samples: &[f32]) -> Quality {
    let meter = meter();
    meter.quality(&meter.window(samples).0)
}

/// Noise with nothing above a frequency: a sinc of 255 taps under a Hann window, at 16 kHz.
fn low_passed(frequency: f64, length: usize) -> Vec<f32> {
    let mut noise = Stream::new(7, "noise", &[]);
    let noise: Vec<f64> = (0..length + 254).map(|_| 0.1 * noise.normal()).collect();
    let width = 2.0 * frequency / 16_000.0;
    let taps: Vec<f64> = (-127i32..=127)
        .map(|i| {
            let angle = std::f64::consts::PI * f64::from(i);
            let sinc = if i == 0 { 1.0 } else { (angle * width).sin() / (angle * width) };
            width * sinc * (0.5 + 0.5 * (angle / 127.0).cos())
        })
        .collect();
    let at = |i: usize| noise[i..].iter().zip(&taps).map(|(x, h)| x * h).sum::<f64>();
    (0..length).map(|i| ((at(i) * 32_768.0).round() / 32_768.0) as f32).collect()
}

fn is_near(found: f64, wanted: f64, part: f64) -> bool {
    (found - wanted).abs() <= part * wanted
}

#[test]
fn bandwidth_is_where_noise_ends() {
    for frequency in [2000.0, 3400.0, 5000.0, 7000.0] {
        let found = quality(&low_passed(frequency, 8000)).bandwidth;
        assert!(is_near(found, frequency, 0.1), "{frequency}: {found}");
    }
    // Neither hum nor a whistling tone far above decides, nor does the level.
    let mut samples = low_passed(3400.0, 16_000);
    for (i, x) in samples.iter_mut().enumerate() {
        let t = std::f32::consts::TAU * i as f32 / 16_000.0;
        *x = 0.2 * (*x + (50.0 * t).sin() + 0.003 * (6400.0 * t).sin());
    }
    let found = quality(&samples).bandwidth;
    assert!(is_near(found, 3400.0, 0.1), "{found}");
    let mut noise = Stream::new(8, "noise", &[]);
    let white: Vec<f32> = (0..8000).map(|_| 0.1 * noise.normal() as f32).collect();
    assert_eq!(quality(&white).bandwidth, 8000.0);
    // Telephone audio at a higher rate.
    let found = quality(&resample(&white, 8000, 16_000).unwrap()).bandwidth;
    assert!((3500.0..4500.0).contains(&found), "{found}");
}

#[test]
fn clipped_samples_are_counted() {
    let sine = |gain: f32| -> Vec<f32> {
        (0..16_000)
            .map(|i| (gain * (i as f32 * 0.05).sin()).clamp(-1.0, 32_767.0 / 32_768.0))
            .collect()
    };
    // A sine of twice full scale is at full scale for two thirds of its time.
    let found = quality(&sine(2.0)).clipped;
    assert!((found - 2.0 / 3.0).abs() < 0.01, "{found}");
    assert_eq!(quality(&sine(1.0)).clipped, 0.0);
    assert_eq!(quality(&sine(0.5)).clipped, 0.0);
    // Of 8 bits, the highest value is 127/128. A file may be a little fainter than full scale.
    let scaled = |gain: f32| -> Vec<f32> {
        sine(2.0).iter().map(|x| gain * (x * 128.0).round().clamp(-128.0, 127.0) / 128.0).collect()
    };
    assert!(quality(&scaled(1.0)).clipped > 0.6);
    assert!(quality(&scaled(0.8)).clipped > 0.6);
    // A faint plateau is not full scale, values beyond it are.
    assert_eq!(quality(&scaled(0.6)).clipped, 0.0);
    assert!(quality(&sine(2.0).iter().map(|x| x * 3.0).collect::<Vec<_>>()).clipped > 0.6);
    // Two samples in a row are not clipped, three are.
    let mut samples = vec![0.0f32; 1000];
    samples[100..102].fill(0.9);
    assert_eq!(quality(&samples).clipped, 0.0);
    samples[102] = 0.9;
    assert_eq!(quality(&samples).clipped, 0.003);
}

/// Bursts of a tone between silence.
#[test]
fn speech_is_measured_to_a_frame() {
    let (length, bursts) = (64_000, [(8000, 16_000), (24_000, 28_000), (40_000, 56_000)]);
    let mut samples = vec![0.0f32; length];
    for (first, end) in bursts {
        (first..end).for_each(|i| samples[i] = (i as f32 * 0.2).sin() * 0.1);
    }
    // Of each burst: the frames that see it, and two on each side.
    let frames: usize = bursts.iter().map(|(first, end)| (end - first + 400) / 160 + 4).sum();
    let wanted = frames as f64 / 398.0 * 4.0;
    let found = quality(&samples).speech_seconds;
    assert!((found - wanted).abs() <= 3.0 * 0.01, "{found}, not {wanted}");
    let tone: Vec<f32> = (0..16_000).map(|i| (i as f32 * 0.2).sin() * 0.1).collect();
    assert_eq!(quality(&tone).speech_seconds, 1.0);
}

/// Windows add up to the whole, up to what is at their borders.
#[test]
fn windows_add_up() {
    let meter = meter();
    let mut samples = low_passed(3400.0, 32_000);
    samples.iter_mut().for_each(|x| *x = (20.0 * *x).clamp(-1.0, 1.0));
    samples[..8000].iter_mut().for_each(|x| *x *= 0.1);
    let whole = meter.quality(&meter.window(&samples).0);
    assert!(whole.clipped > 0.01, "{whole:?}");
    for each in [8000, 16_000, 32_000] {
        let mut all = Measured::default();
        samples.chunks(each).for_each(|window| all.add(meter.window(window).0));
        let found = meter.quality(&all);
        assert!((found.clipped - whole.clipped).abs() < 0.001, "{each}: {found:?}, {whole:?}");
        assert!(is_near(found.bandwidth, whole.bandwidth, 0.02), "{each}: {found:?}, {whole:?}");
        assert!((found.speech_seconds - whole.speech_seconds).abs() < 0.1, "{found:?}, {whole:?}");
    }
}

#[test]
fn what_cannot_be_measured_is_zero() {
    let zero = Quality::default();
    assert_eq!(meter().quality(&Measured::default()), zero);
    for samples in [vec![], vec![0.0; 100], vec![0.0; 16_000]] {
        assert_eq!(quality(&samples), zero);
    }
    for level in [1e30, f32::MAX, f32::INFINITY] {
        let found = quality(&[level; 16_000]);
        assert!(found.bandwidth.is_finite() && found.clipped == 1.0, "{found:?}");
    }
}
