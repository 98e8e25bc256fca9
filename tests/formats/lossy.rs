//! AAC, MP3 and Vorbis: as many samples as ffmpeg gives, and nearly the same ones.

use std::path::Path;

use revox::audio::load;

use crate::ffmpeg::{encoded, has_encoder};
use crate::{equals_ffmpeg, ffmpeg_or_skip, signal};

/// The largest difference.
const MOST: f32 = 1e-4;

/// Rates, channels and seconds of the recordings.
const SHAPES: [(u32, usize, f64); 7] = [
    (16_000, 1, 7.3),
    (16_000, 1, 0.02),
    (16_000, 1, 1.024),
    (16_000, 2, 1.0),
    (8_000, 1, 2.5),
    (44_100, 2, 1.7),
    (48_000, 1, 0.999),
];

fn all_near(name: &str, arguments: &[&str]) {
    near(name, arguments, 0.0);
}

/// Leaves out recordings that are shorter than some seconds.
fn near(name: &str, arguments: &[&str], shortest: f64) {
    let folder = tempfile::tempdir().unwrap();
    for (rate, channels, seconds) in SHAPES.into_iter().filter(|shape| shape.2 >= shortest) {
        let signal = signal(rate, seconds, channels);
        let path = encoded(folder.path(), name, rate, &signal, arguments);
        equals_ffmpeg(&path, rate, channels, MOST);
    }
}

/// ffmpeg's encoder replaces noise by the order to make noise, and its decoder makes that noise as
/// ours does, as long as both decode from the first packet on.
#[test]
fn aac_in_mp4() {
    ffmpeg_or_skip!();
    all_near("noise.m4a", &["-c:a", "aac"]);
    all_near("plain.m4a", &["-c:a", "aac", "-aac_pns", "0"]);
    all_near("small.m4a", &["-c:a", "aac", "-b:a", "20k"]);
    all_near("front.mp4", &["-c:a", "aac", "-movflags", "faststart"]);
    all_near("old.mov", &["-c:a", "aac"]);
    all_near("no-edits.m4a", &["-c:a", "aac", "-use_editlist", "0"]);
}

/// A decoder of AAC without noise is used for the next recording of the thread.
#[test]
fn what_was_decoded_before_changes_no_sample() {
    ffmpeg_or_skip!();
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["-c:a", "aac", "-aac_pns", "0"];
    let [a, b, noise] = [("a.m4a", 1.3, 4), ("b.m4a", 0.9, 4), ("noise.m4a", 1.1, 2)].map(
        |(name, seconds, count)| {
            let signal = signal(16_000, seconds, 1);
            encoded(folder.path(), name, 16_000, &signal, &arguments[..count])
        },
    );
    let samples = |path: &Path| load(path, 16_000, None).unwrap().samples;
    let alone = |path: &Path| std::thread::scope(|s| s.spawn(|| samples(path)).join().unwrap());
    for path in [&a, &b, &a, &noise, &b, &noise, &a] {
        assert_eq!(samples(path), alone(path), "{}", path.display());
    }
}

#[test]
fn aac_in_adts() {
    ffmpeg_or_skip!();
    all_near("noise.aac", &["-c:a", "aac", "-f", "adts"]);
    all_near("plain.aac", &["-c:a", "aac", "-f", "adts", "-aac_pns", "0"]);
}

#[test]
fn mp3() {
    ffmpeg_or_skip!();
    if !has_encoder("libmp3lame") {
        return;
    }
    let lame = |more: &[&'static str]| [&["-c:a", "libmp3lame"], more].concat();
    all_near("default.mp3", &lame(&[]));
    all_near("vbr.mp3", &lame(&["-q:a", "4"]));
    all_near("cbr.mp3", &lame(&["-b:a", "64k"]));
    all_near("bare.mp3", &lame(&["-write_xing", "0", "-id3v2_version", "0"]));
    // In a file of a few frames, ffmpeg takes the tag at the end for another recording.
    near("tags.mp3", &lame(&["-metadata", "title=x", "-write_id3v1", "1"]), 0.5);
}

#[test]
fn vorbis() {
    ffmpeg_or_skip!();
    if !has_encoder("libvorbis") {
        return;
    }
    // ffmpeg cuts streams whose samples have one page in other places.
    near("low.ogg", &["-c:a", "libvorbis", "-q:a", "0"], 1.0);
    near("high.ogg", &["-c:a", "libvorbis", "-q:a", "6"], 1.0);
    near("pages.ogg", &["-c:a", "libvorbis", "-page_duration", "20000"], 1.0);
}
