//! A part of a recording is what stands there when all of it is read.

use revox::audio::{Source, load};

use crate::ffmpeg::{encoded, has_encoder};
use crate::{ffmpeg_or_skip, signal};

#[test]
fn parts_are_those_of_the_whole() {
    ffmpeg_or_skip!();
    let folder = tempfile::tempdir().unwrap();
    // AAC with noise, of which a decoder draws all, without it, and at a rate whose bands of noise
    // are not known.
    for (name, encoder, own, more) in [
        ("a.m4a", "aac", 16_000, &[] as &[&str]),
        ("b.m4a", "aac", 16_000, &["-aac_pns", "0"]),
        ("c.m4a", "aac", 22_050, &[]),
        ("d.m4a", "aac", 16_000, &["-b:a", "16k", "-aac_pns", "1"]),
        ("a.aac", "aac", 16_000, &[]),
        ("e.m4a", "alac", 16_000, &[]),
        ("c.caf", "alac", 16_000, &[]),
        ("c.aiff", "pcm_s16be", 16_000, &[]),
        ("d.caf", "pcm_f32le", 16_000, &[]),
        ("a.mp3", "libmp3lame", 16_000, &[]),
        ("a.ogg", "libvorbis", 16_000, &[]),
        ("a.opus", "libopus", 48_000, &[]),
    ] {
        if !has_encoder(encoder) {
            continue;
        }
        let signal = signal(own, 3.1, 1);
        let arguments = [&["-c:a", encoder], more].concat();
        let path = encoded(folder.path(), name, own, &signal, &arguments);
        for rate in [own, 24_000] {
            let whole = load(&path, rate, None).unwrap().samples;
            let mut source = Source::open(&path, rate, None).unwrap();
            let (known, promised) = (source.known_length(), source.promised_length());
            assert!(known.is_none_or(|length| length == whole.len()), "{name}: {known:?}");
            assert!(promised.is_none_or(|length| length == whole.len()), "{name}: {promised:?}");
            for start in [0, 1, 20_000, 3, whole.len() - 1, whole.len(), 33_333, 1023, 4096, 9000] {
                source.seek(start).unwrap();
                let part = source.read(3000).unwrap();
                let end = (start + 3000).min(whole.len());
                assert!(part == whole[start..end], "{name} at {rate} Hz from {start}");
            }
        }
    }
}
