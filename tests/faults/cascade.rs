//! A cascade over a list so long that what is done is kept beside the output, killed twice.

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use revox::audio::{FbankConfig, write_wav16};
use revox::model_file::{Frontend, Header, Model};
use revox::scoring::{Calibration, Column, Fitted};
use revox::zoo::Architecture;

use crate::place::Place;

/// Recordings, of 20 s each. What is done is kept after each 27 of them, as `embedding` says.
const RECORDINGS: usize = 40;
const KEPT: usize = 27;
const SECONDS: usize = 20;
const RATE: usize = 16_000;
/// Values of an embedding.
const DIM: usize = 64;
const PART: &str = "scores.part";
const CASCADE: [&str; 8] = [
    "score",
    "wav.scp",
    "trials",
    "-o",
    "scores",
    "--band=-inf:inf",
    "--cascade",
    "s.safetensors:l.safetensors",
];

fn model(place: &Place, name: &str, seed: u64) {
    let arch = Architecture {
        width: 2,
        mels: 80,
        embedding_dim: DIM,
        ..Architecture::named("resnet10").unwrap()
    };
    let network = arch.init(&Default::default(), seed).unwrap();
    let mut header = Header::new(arch, Frontend { fbank: FbankConfig::default(), cmn: true });
    header.scoring.calibration = Some(Calibration {
        columns: vec![Column::Score],
        weights: vec![9.0 + seed as f64],
        bias: -1.5,
        fitted: Fitted { prior: 0.01, cosines: true, ..Default::default() },
    });
    Model { header, network }.save(place.path(name), Default::default()).unwrap();
}

/// Two models, a list of few recordings under many ids, and trials that name all of them.
fn place() -> Place {
    let place = Place::empty();
    model(&place, "s.safetensors", 1);
    model(&place, "l.safetensors", 2);
    for file in 0..5 {
        let step = 0.01 + 0.007 * file as f32;
        let sample = |t: usize| ((t as f32 * step).sin() + (t as f32 * step * 3.1).cos()) * 0.2;
        let samples: Vec<f32> = (0..SECONDS * RATE).map(sample).collect();
        write_wav16(place.path(&format!("{file}.wav")), &samples, RATE as u32).unwrap();
    }
    let list: String =
        (0..RECORDINGS).map(|i| format!("u{i} {}.wav\n", (i * i + i / 7) % 5)).collect();
    let trial = |i: usize| format!("u{i} u{}\n", (i + 1) % RECORDINGS);
    place.write("wav.scp", list.as_bytes());
    place.write("trials", (0..RECORDINGS).map(trial).collect::<String>().as_bytes());
    place
}

/// Kills a cascade as soon as so many embeddings are kept. Returns what it has said.
fn killed_at(place: &Place, embeddings: usize) -> String {
    let (mut running, begun) = (place.start(&CASCADE), Instant::now());
    let kept = || std::fs::metadata(place.path(PART)).map_or(0, |file| file.len());
    // The file has a first line, and each embedding stands behind two times.
    while kept() < (embeddings * (16 + 4 * DIM)) as u64 {
        assert!(begun.elapsed() < Duration::from_secs(120) && !running.is_over(), "nothing kept");
        std::thread::sleep(Duration::from_millis(1));
    }
    running.kill();
    let ran = running.end().unwrap();
    assert_eq!(ran.status.signal(), Some(9), "{ran}");
    assert!(place.has(PART) && !place.has("scores"));
    ran.err
}

#[test]
fn a_killed_cascade_goes_on_to_the_same_file() {
    let place = place();
    place.ok(&CASCADE);
    let wanted = place.read("scores");
    assert!(!place.has(PART));
    std::fs::remove_file(place.path("scores")).unwrap();
    let note = |done: usize, model: &str| {
        format!("note: {done} of {RECORDINGS} embeddings of the {model} model were kept")
    };
    assert!(!killed_at(&place, KEPT).contains("were kept"));
    // Other work is not taken for this one.
    let other = place.run(&[&CASCADE[..], &["--compare"]].concat());
    assert!(other.code() == Some(1) && other.err.contains("differs in compare"), "{other}");
    let err = killed_at(&place, RECORDINGS + KEPT - 1);
    assert!(err.contains(&note(KEPT, "small")), "{err}");
    let ran = place.ok(&CASCADE);
    assert!(ran.err.contains(&note(RECORDINGS, "small")), "{ran}");
    assert!(ran.err.contains(" embeddings of the large model were kept"), "{ran}");
    assert!(place.read("scores") == wanted, "another file than without the kills");
    assert!(!place.has(PART));
    assert_eq!(place.temporaries(), [""; 0]);
}
