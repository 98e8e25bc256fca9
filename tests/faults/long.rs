//! Work so long that what is done is kept beside the output.

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use revox::audio::{FbankConfig, write_wav16};
use revox::model_file::{Frontend, Header, Model};
use revox::zoo::Architecture;

use crate::place::{Place, Ran, Running};

/// What is done is kept whenever features of 16 MiB have become embeddings: after each 27
/// recordings of [`SECONDS`] with 80 mel filters.
pub(super) const KEPT: usize = 27;
const SECONDS: usize = 20;
const RATE: usize = 16_000;
/// Files of recordings: `0.wav` and so on.
pub(super) const FILES: usize = 5;
/// Values of an embedding.
pub(super) const DIM: usize = 64;

/// The smallest network.
pub(super) fn model(seed: u64) -> Model {
    let arch = Architecture {
        width: 2,
        mels: 80,
        embedding_dim: DIM,
        ..Architecture::named("resnet10").unwrap()
    };
    let network = arch.init(&Default::default(), seed).unwrap();
    let frontend = Frontend { fbank: FbankConfig::default(), cmn: true };
    Model { header: Header::new(arch, frontend), network }
}

/// Writes the recordings' files.
pub(super) fn write_files(place: &Place) {
    for file in 0..FILES {
        let step = 0.01 + 0.007 * file as f32;
        let sample = |t: usize| ((t as f32 * step).sin() + (t as f32 * step * 3.1).cos()) * 0.2;
        let samples: Vec<f32> = (0..SECONDS * RATE).map(sample).collect();
        write_wav16(place.path(&format!("{file}.wav")), &samples, RATE as u32).unwrap();
    }
}

/// Kills work as soon as the file beside its output holds so many bytes.
pub(super) fn killed_at(place: &Place, mut running: Running, output: &str, bytes: usize) -> Ran {
    let (part, begun) = (format!("{output}.part"), Instant::now());
    let kept = || std::fs::metadata(place.path(&part)).map_or(0, |file| file.len());
    while kept() < bytes as u64 {
        assert!(begun.elapsed() < Duration::from_secs(120) && !running.is_over(), "nothing kept");
        std::thread::sleep(Duration::from_millis(1));
    }
    running.kill();
    let ran = running.end().unwrap();
    assert_eq!(ran.status.signal(), Some(9), "{ran}");
    assert!(place.has(&part) && !place.has(output));
    ran
}
