//! Opus beside libopus, through ffmpeg. ffmpeg's own decoder differs from libopus in packets of
//! speech (SILK), where it delays and filters in another way.

use crate::ffmpeg::{decoded, encoded, has_encoder};
use crate::{difference, equals_ffmpeg, ffmpeg_or_skip, signal};

const RATE: u32 = 48_000;

#[test]
fn all_modes_equal_libopus() {
    ffmpeg_or_skip!();
    if !has_encoder("libopus") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (rate, channels, seconds) in
        [(48_000, 1, 2.3), (48_000, 2, 1.5), (16_000, 1, 2.01), (8_000, 1, 0.015)]
    {
        let signal = signal(rate, seconds, channels);
        for (bits, application) in
            [("8k", "voip"), ("16k", "voip"), ("24k", "audio"), ("32k", "voip"), ("96k", "audio")]
        {
            for length in ["20", "60"] {
                let arguments = ["-c:a", "libopus", "-b:a", bits, "-application", application];
                let arguments = [&arguments[..], &["-frame_duration", length]].concat();
                let path = encoded(folder.path(), "a.opus", rate, &signal, &arguments);
                let wanted = decoded(&path, &["-c:a", "libopus"], channels);
                for (channel, wanted) in wanted.iter().enumerate() {
                    let chosen = (channels > 1).then_some(channel);
                    let found = difference(&path, RATE, chosen, wanted);
                    assert!(found <= 1e-4, "{rate} {channels} {bits} {length}: {found}");
                }
            }
        }
    }
}

/// In stereo, ffmpeg's own decoder is less exact.
#[test]
fn music_equals_the_decoder_of_ffmpeg() {
    ffmpeg_or_skip!();
    if !has_encoder("libopus") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["-c:a", "libopus", "-b:a", "128k"];
    let path = encoded(folder.path(), "a.ogg", RATE, &signal(RATE, 3.0, 1), &arguments);
    equals_ffmpeg(&path, RATE, 1, 1e-4);
}

/// The gain of the header, in decibels times 256, changes all samples.
#[test]
fn the_gain_of_the_header_counts() {
    ffmpeg_or_skip!();
    if !has_encoder("libopus") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = encoded(folder.path(), "a.opus", RATE, &signal(RATE, 1.0, 1), &["-c:a", "libopus"]);
    let plain = revox::audio::load(&path, RATE, None).unwrap().samples;
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(8).position(|w| w == b"OpusHead").unwrap();
    bytes[at + 16..at + 18].copy_from_slice(&(-1541i16).to_le_bytes());
    // The first page is the header of Ogg with one segment, and the 19 bytes of the header of Opus.
    bytes[22..26].fill(0);
    let sum = bytes[..at + 19].iter().fold(0u32, |sum, byte| {
        (0..8).fold(sum ^ (u32::from(*byte) << 24), |sum, _| {
            if sum >> 31 == 1 { (sum << 1) ^ 0x04c1_1db7 } else { sum << 1 }
        })
    });
    bytes[22..26].copy_from_slice(&sum.to_le_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let quiet: Vec<f32> = plain.iter().map(|x| x * 0.5).collect();
    let found = difference(&path, RATE, None, &quiet);
    assert!(found < 1e-4, "{found}");
}
