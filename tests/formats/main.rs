//! Formats other than WAV and FLAC, beside ffmpeg's decoding of the same files. ffmpeg makes the
//! files, too.

mod ffmpeg;
mod lossless;
mod lossy;
mod opus;
mod refused;
mod seeking;
mod sphere;

use std::path::Path;

use revox::audio::load;

/// A signal of a voice's tones, noise, and near silence, full scale = 1: one list of samples for
/// each channel.
fn signal(rate: u32, seconds: f64, channels: usize) -> Vec<Vec<f32>> {
    let mut state = 0x1234_5678_9abc_def1u64;
    let mut noise = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f64 / f64::from(1 << 23) - 1.0
    };
    let count = (f64::from(rate) * seconds).round() as usize;
    let one = |channel: usize| {
        let mut phase = 0.0;
        let mut sample = |i: usize| {
            let t = i as f64 / f64::from(rate) + channel as f64 * 0.11;
            phase += (120.0 + 15.0 * (4.4 * t).sin() + 30.0 * channel as f64) / f64::from(rate);
            let harmonics = (1..12).filter(|k| f64::from(*k) * 170.0 < f64::from(rate) / 2.0);
            let voice: f64 = harmonics
                .map(|k| (std::f64::consts::TAU * phase * f64::from(k)).sin() / f64::from(k))
                .sum();
            let loud = (10.7 * t).sin().max(0.0);
            let hiss = (14.5 * t + 1.0).sin().max(0.0);
            (0.25 * voice * loud + noise() * (0.08 * hiss + 0.003)) as f32
        };
        (0..count).map(&mut sample).collect()
    };
    (0..channels).map(one).collect()
}

/// The largest difference between a channel of a file and ffmpeg's samples.
///
/// # Panics
/// They are not equally many.
fn difference(path: &Path, rate: u32, channel: Option<usize>, wanted: &[f32]) -> f32 {
    let found = load(path, rate, channel).unwrap_or_else(|e| panic!("{e}")).samples;
    assert_eq!(found.len(), wanted.len(), "samples of {}", path.display());
    found.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Compares all channels of a file with ffmpeg's decoding.
fn equals_ffmpeg(path: &Path, rate: u32, channels: usize, most: f32) {
    let wanted = ffmpeg::decoded(path, &[], channels);
    for (channel, wanted) in wanted.iter().enumerate() {
        let chosen = (channels > 1).then_some(channel);
        let found = difference(path, rate, chosen, wanted);
        assert!(found <= most, "{}, channel {channel}: {found}", path.display());
        assert!(wanted.iter().any(|x| x.abs() > 0.1), "{} is not silent", path.display());
    }
}

/// The error for a file.
fn error_of(path: &Path, rate: u32) -> String {
    match load(path, rate, None) {
        Ok(audio) => panic!("{}: {} samples and no error", path.display(), audio.samples.len()),
        Err(error) => error.to_string(),
    }
}
