//! Features computed on a device against those of the processor, for signals that leave few digits:
//! full-scale tones, an offset, one 16-bit step of noise, silence.
//!
//! Samples are 16-bit steps, as those of most files. For them the processor's mean of a frame is
//! exact. For other samples with a large offset it is not, and the quietest filters show it.

use burn::tensor::{Int, Tensor, TensorData};

use super::convolutions::Switch;
use super::{Findings, Subject, tensor, values};
use crate::audio::{Dither, FbankConfig, Window, subtract_mean};
use crate::error::Result;
use crate::inference::{DeviceExtractor, Extractor};
use crate::model_file::Frontend;
use crate::nn::Precision;
use crate::rng::Stream;

const FRAMES: usize = 24;
/// The largest difference of logarithms.
const TOLERANCE: f64 = 1e-4;

/// Signals of `count` samples, white noise first.
fn signals(count: usize, rate: u32) -> Vec<Vec<f32>> {
    let mut draw = Stream::new(9, "selftest signals", &[]);
    let noise: Vec<f64> = (0..count).map(|_| draw.normal()).collect();
    let phase = |i: usize, hertz: f64| std::f64::consts::TAU * hertz * i as f64 / f64::from(rate);
    // 120 Hz and its harmonics, the higher the weaker.
    let voice = |i: usize| {
        let harmonic = |k: usize| phase(i, 120.0 * k as f64).sin() / (k * k) as f64;
        (1..30).map(harmonic).sum::<f64>()
    };
    let rounded = |sample: &dyn Fn(usize) -> f64| -> Vec<f32> {
        (0..count).map(|i| (sample(i).round() / 32768.0) as f32).collect()
    };
    vec![
        rounded(&|i| 1000.0 * noise[i]),
        rounded(&|i| 10_000.0 * voice(i) + 30.0 * noise[i]),
        rounded(&|i| 32_700.0 * phase(i, 997.3).sin()),
        rounded(&|i| 3277.0 + 100.0 * noise[i]),
        rounded(&|i| noise[i]),
        vec![0.0; count],
    ]
}

/// The largest difference between logarithms of features `[frames, mels]`. More than 40 dB below
/// the frame's loudest filter it counts in proportion to the amplitude.
fn difference(ours: &[f32], wanted: &[f32], mels: usize) -> f64 {
    if ours.len() != wanted.len() {
        return f64::INFINITY;
    }
    let mut worst = 0.0f64;
    for (ours, wanted) in ours.chunks_exact(mels).zip(wanted.chunks_exact(mels)) {
        let loudest = wanted.iter().fold(f32::MIN, |m, &x| m.max(x));
        for (&x, &y) in ours.iter().zip(wanted) {
            let amplitude = f64::from((y - loudest) / 2.0).exp();
            let counted = f64::from((x - y).abs()) * (100.0 * amplitude).min(1.0);
            // `f64::max` ignores NaN.
            worst = if counted.is_nan() { f64::INFINITY } else { worst.max(counted) };
        }
    }
    worst
}

/// The features of signals of one length, side by side, on the device and on the processor.
fn both(subject: &Subject, frontend: &Frontend, signals: &[Vec<f32>]) -> Result<[Vec<f32>; 2]> {
    let config = &frontend.fbank;
    let stream = |i: usize| Stream::new(3, "selftest dither", &[i as u64]);
    let extractor = Extractor::new(frontend)?;
    let (mut wanted, mut offsets) = (Vec::new(), Vec::new());
    for (i, samples) in signals.iter().enumerate() {
        wanted.extend(extractor.features(samples, Some(&mut stream(i)))?.values);
        let drawn = Dither::offsets(FRAMES, config.frame_length(), &mut stream(i));
        offsets.extend(drawn.into_iter().map(|offset| offset as i64));
    }
    let (batch, count) = (signals.len(), config.samples_for(FRAMES));
    let samples = tensor(signals.concat(), [batch, count], &subject.device);
    let offsets = TensorData::new(offsets, [batch, FRAMES]);
    let offsets = Tensor::<2, Int>::from_data(offsets, &subject.device);
    let device = DeviceExtractor::new(frontend, &subject.device)?;
    let ours = values(device.features(samples, Some(offsets)).into_data());
    Ok([ours, wanted])
}

fn compare(
    subject: &Subject,
    findings: &mut Findings,
    name: &str,
    fbank: FbankConfig,
    kinds: usize,
) -> Result<()> {
    let signals = signals(fbank.samples_for(FRAMES), fbank.sample_rate);
    let (mels, log) = (fbank.mels, fbank.log);
    let both = both(subject, &Frontend { fbank, cmn: false }, &signals[..kinds])?;
    let [ours, wanted] = both.map(|values| match log {
        true => values,
        false => values.into_iter().map(f32::ln).collect(),
    });
    findings.note(name, difference(&ours, &wanted, mels), TOLERANCE);
    Ok(())
}

pub(super) fn run(subject: &Subject, findings: &mut Findings) -> Result<()> {
    let default = FbankConfig::default;
    for (name, fbank) in [
        ("16 kHz, 80 mels", default()),
        ("dither", FbankConfig { dither: 1.0, ..default() }),
        (
            "8 kHz, 40 mels, povey",
            FbankConfig { sample_rate: 8000, mels: 40, window: Window::Povey, ..default() },
        ),
        (
            "frames of an odd length, hanning",
            FbankConfig { sample_rate: 11_025, mels: 40, window: Window::Hanning, ..default() },
        ),
        ("offset kept", FbankConfig { remove_dc_offset: false, ..default() }),
        ("full scale 1", FbankConfig { scale: 1.0, ..default() }),
        (
            "300 to 3400 Hz",
            FbankConfig { mels: 30, low_freq: 300.0, high_freq: 3400.0, ..default() },
        ),
    ] {
        compare(subject, findings, name, fbank, 6)?;
    }
    // Without pre-emphasis no filter is far below the loudest in white noise.
    let flat = || FbankConfig { preemphasis: 0.0, ..default() };
    compare(subject, findings, "magnitudes", FbankConfig { power: false, ..flat() }, 1)?;
    compare(subject, findings, "no logarithm", FbankConfig { log: false, ..flat() }, 1)?;
    if Precision::Tf32.check(&subject.device).is_ok() {
        let _switch = Switch::to(true);
        compare(subject, findings, "while TF32 is allowed", default(), 6)?;
    }
    centred(subject, findings)
}

/// The mean over frames, against the processor's of the same features.
fn centred(subject: &Subject, findings: &mut Findings) -> Result<()> {
    let fbank = FbankConfig::default();
    let signals = signals(fbank.samples_for(FRAMES), fbank.sample_rate);
    let mels = fbank.mels;
    let of = |cmn| both(subject, &Frontend { fbank: fbank.clone(), cmn }, &signals);
    let ([ours, _], [mut wanted, _]) = (of(true)?, of(false)?);
    wanted.chunks_exact_mut(FRAMES * mels).for_each(|values| subtract_mean(values, mels));
    let far = ours.iter().zip(&wanted).map(|(a, b)| (a - b).abs());
    // `f32::max` ignores NaN.
    let far = far.fold(0.0f32, |m, d| if d.is_nan() { f32::INFINITY } else { m.max(d) });
    findings.note("mean subtracted", f64::from(far), 1e-5);
    Ok(())
}
