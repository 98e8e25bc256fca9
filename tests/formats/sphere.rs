//! NIST SPHERE, which ffmpeg reads but does not write.

use std::path::PathBuf;

use crate::{equals_ffmpeg, ffmpeg_or_skip, signal};

/// A file of 16 bits with this order of bytes, or of mu-law.
fn file(folder: &std::path::Path, channels: usize, order: &str) -> PathBuf {
    let signal = signal(8000, 1.1, channels);
    let count = signal[0].len();
    let frames = (0..count).flat_map(|i| signal.iter().map(move |channel| channel[i]));
    let samples = frames.map(|x| (x * 32_767.0) as i16);
    let (coding, bytes, data): (_, _, Vec<u8>) = match order {
        "01" => ("pcm", 2, samples.flat_map(i16::to_le_bytes).collect()),
        "10" => ("pcm", 2, samples.flat_map(i16::to_be_bytes).collect()),
        // Any bytes are samples of mu-law.
        _ => ("ulaw", 1, samples.map(|x| (x >> 8) as u8 ^ 0xff).collect()),
    };
    let mut head = format!(
        "NIST_1A\n   1024\nsample_count -i {count}\nsample_n_bytes -i {bytes}\n\
         channel_count -i {channels}\nsample_byte_format -s{} {order}\nsample_rate -i 8000\n\
         sample_coding -s{} {coding}\nend_head\n",
        order.len(),
        coding.len()
    )
    .into_bytes();
    head.resize(1024, b' ');
    let path = folder.join("a.sph");
    std::fs::write(&path, [head, data].concat()).unwrap();
    path
}

#[test]
fn both_orders_of_bytes_and_mu_law() {
    ffmpeg_or_skip!();
    let folder = tempfile::tempdir().unwrap();
    for order in ["01", "10", "1"] {
        for channels in [1, 2] {
            equals_ffmpeg(&file(folder.path(), channels, order), 8000, channels, 0.0);
        }
    }
}
