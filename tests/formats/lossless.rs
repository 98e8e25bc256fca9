//! Formats that keep every sample: no difference at all.

use crate::ffmpeg::encoded;
use crate::{equals_ffmpeg, ffmpeg_or_skip, signal};

/// The name of a file and ffmpeg's arguments for it.
type Case = (&'static str, &'static [&'static str]);

fn all_equal(cases: &[Case]) {
    let folder = tempfile::tempdir().unwrap();
    for (name, arguments) in cases {
        for (rate, channels, seconds) in [(16_000, 1, 1.37), (44_100, 2, 0.5)] {
            let signal = signal(rate, seconds, channels);
            let path = encoded(folder.path(), name, rate, &signal, arguments);
            equals_ffmpeg(&path, rate, channels, 0.0);
        }
    }
}

#[test]
fn wav() {
    ffmpeg_or_skip!();
    all_equal(&[
        ("f64.wav", &["-c:a", "pcm_f64le"]),
        ("f32.wav", &["-c:a", "pcm_f32le"]),
        ("s24.wav", &["-c:a", "pcm_s24le"]),
        ("s32.wav", &["-c:a", "pcm_s32le"]),
        ("u8.wav", &["-c:a", "pcm_u8"]),
        ("alaw.wav", &["-c:a", "pcm_alaw"]),
        ("mulaw.wav", &["-c:a", "pcm_mulaw"]),
        ("rf64.wav", &["-c:a", "pcm_s16le", "-rf64", "always"]),
        ("rf64f.wav", &["-c:a", "pcm_f64le", "-rf64", "always"]),
    ]);
}

#[test]
fn aiff() {
    ffmpeg_or_skip!();
    all_equal(&[
        ("s8.aiff", &["-c:a", "pcm_s8"]),
        ("s16.aiff", &["-c:a", "pcm_s16be"]),
        ("s24.aiff", &["-c:a", "pcm_s24be"]),
        ("s32.aiff", &["-c:a", "pcm_s32be"]),
        ("sowt.aiff", &["-c:a", "pcm_s16le"]),
        ("f32.aiff", &["-c:a", "pcm_f32be"]),
        ("f64.aiff", &["-c:a", "pcm_f64be"]),
        ("alaw.aiff", &["-c:a", "pcm_alaw"]),
        ("mulaw.aiff", &["-c:a", "pcm_mulaw"]),
    ]);
}

#[test]
fn caf() {
    ffmpeg_or_skip!();
    all_equal(&[
        ("s16le.caf", &["-c:a", "pcm_s16le"]),
        ("s16be.caf", &["-c:a", "pcm_s16be"]),
        ("s24.caf", &["-c:a", "pcm_s24le"]),
        ("s32.caf", &["-c:a", "pcm_s32be"]),
        ("f32.caf", &["-c:a", "pcm_f32le"]),
        ("f64.caf", &["-c:a", "pcm_f64be"]),
        ("alaw.caf", &["-c:a", "pcm_alaw"]),
        ("mulaw.caf", &["-c:a", "pcm_mulaw"]),
        ("alac.caf", &["-c:a", "alac"]),
    ]);
}

#[test]
fn alac() {
    ffmpeg_or_skip!();
    all_equal(&[
        ("s16.m4a", &["-c:a", "alac", "-sample_fmt", "s16p"]),
        ("s24.m4a", &["-c:a", "alac", "-sample_fmt", "s32p"]),
        ("front.m4a", &["-c:a", "alac", "-movflags", "faststart"]),
        ("quicktime.mov", &["-c:a", "alac"]),
    ]);
}
