//! Files that are cut, damaged, or of another codec.

use std::path::{Path, PathBuf};

use crate::ffmpeg::{encoded, has_encoder};
use crate::{error_of, ffmpeg_or_skip, signal};

const RATE: u32 = 16_000;

/// A recording of two seconds.
fn made(folder: &Path, name: &str, arguments: &[&str]) -> PathBuf {
    encoded(folder, name, RATE, &signal(RATE, 2.0, 1), arguments)
}

/// The place of the content of a box, and its end.
fn atom(bytes: &[u8], kind: &[u8; 4]) -> (usize, usize) {
    let at = bytes.windows(4).position(|w| w == kind).expect("a box");
    let length = bytes[at - 4..at].try_into().map(u32::from_be_bytes).unwrap() as usize;
    (at + 4, at - 4 + length)
}

/// Changes a file and gives the error for it.
fn changed(path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    let other = path.with_file_name(format!("x-{}", path.file_name().unwrap().to_str().unwrap()));
    std::fs::write(&other, bytes).unwrap();
    let error = error_of(&other, RATE);
    assert!(error.contains(other.to_str().unwrap()), "{error}");
    error
}

#[test]
fn cut_files_are_errors() {
    ffmpeg_or_skip!();
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("back.m4a", "aac", &[][..], "no box `moov`"),
        ("front.m4a", "aac", &["-movflags", "faststart"], "ends inside packet"),
        ("front-alac.m4a", "alac", &["-movflags", "faststart"], "ends inside packet"),
        ("a.aac", "aac", &[], "ends inside the frame"),
        ("a.mp3", "libmp3lame", &[], "ends inside the frame"),
        ("a.ogg", "libvorbis", &[], "truncated"),
        ("a.aiff", "pcm_s16be", &[], "promises"),
        ("a.caf", "pcm_s16le", &[], "promises"),
    ];
    for (name, encoder, more, wanted) in cases {
        if has_encoder(encoder) {
            let path = made(folder.path(), name, &[&["-c:a", encoder], more].concat());
            let error = changed(&path, |bytes| bytes.truncate(bytes.len() * 2 / 3));
            assert!(error.contains(wanted), "{error} for {wanted}");
        }
    }
    // Whole frames are missing: the first one counts them.
    if has_encoder("libmp3lame") {
        let path = made(folder.path(), "b.mp3", &["-c:a", "libmp3lame", "-b:a", "32k"]);
        // Frames of 72 samples of 8 bits, at 32 kbit/s: 144 bytes.
        let error = changed(&path, |bytes| bytes.truncate(bytes.len() - 144 * 5));
        assert!(error.contains("frames, the file holds"), "{error}");
    }
}

#[test]
fn damaged_packets_are_errors_with_their_place() {
    ffmpeg_or_skip!();
    let folder = tempfile::tempdir().unwrap();
    let fill = |bytes: &mut Vec<u8>| {
        let middle = bytes.len() / 2;
        bytes[middle..middle + 900].fill(0xff);
    };
    for (name, encoder, wanted) in [
        ("a.m4a", "aac", "cannot be decoded"),
        ("a.mp3", "libmp3lame", "neither a frame nor a tag"),
        ("a.aac", "aac", "neither a frame nor a tag"),
        ("a.ogg", "libvorbis", "wrong checksum"),
        ("a.opus", "libopus", "wrong checksum"),
    ] {
        if has_encoder(encoder) {
            let path = made(folder.path(), name, &["-c:a", encoder]);
            let error = changed(&path, fill);
            assert!(error.contains(wanted) && error.contains(" s)"), "{error} for {wanted}");
        }
    }
}

#[test]
fn a_recording_without_samples_is_an_error() {
    ffmpeg_or_skip!();
    let folder = tempfile::tempdir().unwrap();
    let path = made(folder.path(), "a.m4a", &["-c:a", "aac"]);
    // No packets: their number is the third word of the box.
    let error = changed(&path, |bytes| {
        let (at, _) = atom(bytes, b"stsz");
        bytes[at + 8..at + 12].fill(0);
    });
    assert!(error.contains("holds no samples"), "{error}");
    // An edit list that begins behind the end: version, number, length, first sample.
    let error = changed(&path, |bytes| {
        let (at, _) = atom(bytes, b"elst");
        bytes[at + 12..at + 16].copy_from_slice(&1_000_000u32.to_be_bytes());
    });
    assert!(error.contains("holds no samples"), "{error}");
}

/// The object type is the first five bits of the configuration: 2 for low complexity.
#[test]
fn other_profiles_of_aac_are_named() {
    ffmpeg_or_skip!();
    let folder = tempfile::tempdir().unwrap();
    let path = made(folder.path(), "a.m4a", &["-c:a", "aac"]);
    for (config, wanted) in [
        // SBR, 16 kHz, one channel, to 32 kHz, over low complexity.
        ([0x2c, 0x0a, 0x88, 0, 0], "HE-AAC audio"),
        ([0xec, 0x0a, 0x88, 0, 0], "HE-AAC v2 audio"),
        // Low complexity, with an extension that says SBR.
        ([0x14, 0x08, 0x56, 0xe5, 0xa8], "HE-AAC audio"),
        ([0x0c, 0x08, 0, 0, 0], "AAC audio of the profile Main"),
        ([0xf9, 0x50, 0x20, 0, 0], "xHE-AAC"),
    ] {
        let error = changed(&path, |bytes| {
            let (at, end) = atom(bytes, b"esds");
            let old = [0x14, 0x08, 0x56, 0xe5, 0x00];
            let found = bytes[at..end].windows(5).position(|w| w == old).expect("a configuration");
            bytes[at + found..at + found + 5].copy_from_slice(&config);
        });
        assert!(error.contains(&format!("is {wanted}")), "{error} for {wanted}");
        assert!(error.contains("ffmpeg -i"), "{error}");
    }
}

#[test]
fn other_codecs_are_named() {
    ffmpeg_or_skip!();
    let folder = tempfile::tempdir().unwrap();
    for (name, encoder, wanted) in [
        ("ac3.mp4", "ac3", "is AC-3 audio"),
        ("flac.mp4", "flac", "is FLAC (in an MP4 file) audio"),
        ("opus.mp4", "libopus", "is Opus (in an MP4 file) audio"),
        ("flac.ogg", "flac", "is FLAC in an Ogg file"),
        ("speex.ogg", "libspeex", "is Ogg Speex audio"),
        ("a.mka", "aac", "is Matroska or WebM audio"),
        ("a.au", "pcm_s16be", "is AU audio"),
        ("a.wma", "wmav2", "is Windows Media audio"),
        ("a.wv", "wavpack", "is WavPack audio"),
        ("a.w64", "pcm_s16le", "is Wave64 audio"),
        ("ima.aiff", "adpcm_ima_qt", "is AIFF audio encoded as `ima4`"),
        ("ima.caf", "adpcm_ima_qt", "is Core Audio (CAF) encoded as `ima4`"),
    ] {
        if has_encoder(encoder) {
            let arguments = ["-c:a", encoder, "-strict", "-2"];
            let error = error_of(&made(folder.path(), name, &arguments), RATE);
            assert!(error.contains(wanted) && error.contains("ffmpeg -i"), "{error} for {wanted}");
        }
    }
    let fragmented = ["-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"];
    let error = error_of(&made(folder.path(), "f.mp4", &fragmented), RATE);
    assert!(error.contains("is a fragmented MP4 file"), "{error}");
}
