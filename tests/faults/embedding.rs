//! A list of recordings so long that what is done is kept beside the output, killed in the middle.

use crate::long::{DIM, FILES, KEPT, killed_at, model, write_files};
use crate::place::{Place, Ran, Running};

/// Utterances, of 20 s each.
const UTTERANCES: usize = 67;
const OUTPUT: &str = "e.safetensors";
const PART: &str = "e.safetensors.part";
const EMBED: [&str; 6] = ["embed", "m.safetensors", "--wav-scp", "wav.scp", "-o", OUTPUT];

/// The smallest network, and a list of few recordings under many ids.
fn place() -> Place {
    let place = Place::empty();
    model(1).save(place.path("m.safetensors"), Default::default()).unwrap();
    write_files(&place);
    place.write("wav.scp", list(UTTERANCES).as_bytes());
    place
}

/// A list of so many utterances. Neighbours differ, in an order without a period. Those behind the
/// place where the work begins anew do not need the first recording.
fn list(count: usize) -> String {
    let file = |i: usize| if i < KEPT { (i * i + i / 7) % FILES } else { 1 + i % (FILES - 1) };
    (0..count).map(|i| format!("u{i} {}.wav\n", file(i))).collect()
}

/// Bytes of the file of what is done, but for its first line, when so many utterances are kept.
/// Each has its outcome, a byte, and its seconds of speech.
const fn bytes(utterances: usize) -> usize {
    utterances * (1 + 8 + 4 * DIM)
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
    let ran = killed_at(&place, started(&place, "1"), OUTPUT, bytes(KEPT));
    assert!(!ran.err.contains("going on"), "{ran}");
    // Other work is not taken for this one.
    place.write("wav.scp", list(UTTERANCES - 1).as_bytes());
    let ran = place.run(&EMBED);
    assert!(ran.code() == Some(1) && ran.err.contains("with another list"), "{ran}");
    place.write("wav.scp", list(UTTERANCES).as_bytes());
    // What is done is not read again.
    place.write("0.wav", b"no audio");
    told(&killed_at(&place, started(&place, "2"), OUTPUT, bytes(2 * KEPT)), KEPT);
    let ran = started(&place, "3").end().unwrap();
    assert_eq!(ran.code(), Some(0), "{ran}");
    told(&ran, 2 * KEPT);
    assert!(place.read(OUTPUT) == wanted, "another file than without the kills");
    assert!(!place.has(PART));
    assert_eq!(place.temporaries(), [""; 0]);
}
