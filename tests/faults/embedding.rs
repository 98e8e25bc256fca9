//! A list of recordings so long that what is done is kept beside the output, killed in the middle.

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use revox::audio::{FbankConfig, write_wav16};
use revox::model_file::{Frontend, Header, Model};
use revox::zoo::Architecture;

use crate::place::{Place, Ran, Running};

/// Utterances, of 20 s each.
const UTTERANCES: usize = 67;
/// What is done is kept whenever features of 16 MiB have become embeddings: after each 27
/// utterances of 80 mel filters.
const KEPT: usize = 27;
const SECONDS: usize = 20;
const RATE: usize = 16_000;
/// Recordings.
const FILES: usize = 5;
/// Values of an embedding.
const DIM: usize = 64;
const OUTPUT: &str = "e.safetensors";
const PART: &str = "e.safetensors.part";
const EMBED: [&str; 6] = ["embed", "m.safetensors", "--wav-scp", "wav.scp", "-o", OUTPUT];

/// The smallest network, and a list of few recordings under many ids.
fn place() -> Place {
    let place = Place::empty();
    let arch = Architecture {
        width: 2,
        mels: 80,
        embedding_dim: DIM,
        ..Architecture::named("resnet10").unwrap()
    };
    let network = arch.init(&Default::default(), 1).unwrap();
    let frontend = Frontend { fbank: FbankConfig::default(), cmn: true };
    let header = Header::new(arch, frontend);
    Model { header, network }.save(place.path("m.safetensors"), Default::default()).unwrap();
    for file in 0..FILES {
        let step = 0.01 + 0.007 * file as f32;
        let sample = |t: usize| ((t as f32 * step).sin() + (t as f32 * step * 3.1).cos()) * 0.2;
        let samples: Vec<f32> = (0..SECONDS * RATE).map(sample).collect();
        write_wav16(place.path(&format!("{file}.wav")), &samples, RATE as u32).unwrap();
    }
    place.write("wav.scp", list(UTTERANCES).as_bytes());
    place
}

/// A list of so many utterances. Neighbours differ, in an order without a period. Those behind the
/// place where the work begins anew do not need the first recording.
fn list(count: usize) -> String {
    let file = |i: usize| if i < KEPT { (i * i + i / 7) % FILES } else { 1 + i % (FILES - 1) };
    (0..count).map(|i| format!("u{i} {}.wav\n", file(i))).collect()
}

/// Bytes of the file of what is done, 0 without one.
fn kept(place: &Place) -> u64 {
    std::fs::metadata(place.path(PART)).map_or(0, |file| file.len())
}

/// Kills a run as soon as so many utterances are kept.
fn killed_at(place: &Place, mut running: Running, utterances: usize) -> Ran {
    let begun = Instant::now();
    // The file has a first line, and each embedding stands behind a byte.
    while kept(place) < (utterances * (1 + 4 * DIM)) as u64 {
        assert!(begun.elapsed() < Duration::from_secs(120) && !running.is_over(), "nothing kept");
        std::thread::sleep(Duration::from_millis(1));
    }
    running.kill();
    let ran = running.end().unwrap();
    assert_eq!(ran.status.signal(), Some(9), "{ran}");
    assert!(place.has(PART) && !place.has(OUTPUT));
    ran
}

/// The run with a number of threads, which changes nothing.
fn started(place: &Place, threads: &str) -> Running {
    Running::start(place.command(&EMBED).env("RAYON_NUM_THREADS", threads))
}

#[test]
fn killed_embeddings_go_on_to_the_same_file() {
    let place = place();
    place.ok(&EMBED);
    let wanted = place.read(OUTPUT);
    assert!(!place.has(PART));
    std::fs::remove_file(place.path(OUTPUT)).unwrap();
    let told = |ran: &Ran, utterances: usize| {
        let note = format!("note: {PART} holds {utterances} utterances of {UTTERANCES}: going on");
        assert!(ran.err.contains(&note), "no `{note}` in {ran}");
    };
    let ran = killed_at(&place, started(&place, "1"), KEPT);
    assert!(!ran.err.contains("going on"), "{ran}");
    // Other work is not taken for this one.
    place.write("wav.scp", list(UTTERANCES - 1).as_bytes());
    let ran = place.run(&EMBED);
    assert!(ran.code() == Some(1) && ran.err.contains("with another list"), "{ran}");
    place.write("wav.scp", list(UTTERANCES).as_bytes());
    // What is done is not read again.
    place.write("0.wav", b"no audio");
    told(&killed_at(&place, started(&place, "2"), 2 * KEPT), KEPT);
    let ran = started(&place, "3").end().unwrap();
    assert_eq!(ran.code(), Some(0), "{ran}");
    told(&ran, 2 * KEPT);
    assert!(place.read(OUTPUT) == wanted, "another file than without the kills");
    assert!(!place.has(PART));
    assert_eq!(place.temporaries(), [""; 0]);
}
