//! A cascade over a list so long that what is done is kept beside the output, killed twice.

use revox::scoring::{Calibration, Column, Fitted};

use crate::long::{self, DIM, FILES, KEPT, write_files};
use crate::place::Place;

/// Recordings, of 20 s each.
const RECORDINGS: usize = 40;
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
    let mut model = long::model(seed);
    model.header.scoring.calibration = Some(Calibration {
        columns: vec![Column::Score],
        weights: vec![9.0 + seed as f64],
        bias: -1.5,
        fitted: Fitted { prior: 0.01, cosines: true, ..Default::default() },
    });
    model.save(place.path(name), Default::default()).unwrap();
}

/// Two models, a list of few recordings under many ids, and trials that name all of them.
fn place() -> Place {
    let place = Place::empty();
    model(&place, "s.safetensors", 1);
    model(&place, "l.safetensors", 2);
    write_files(&place);
    let list: String =
        (0..RECORDINGS).map(|i| format!("u{i} {}.wav\n", (i * i + i / 7) % FILES)).collect();
    let trial = |i: usize| format!("u{i} u{}\n", (i + 1) % RECORDINGS);
    place.write("wav.scp", list.as_bytes());
    place.write("trials", (0..RECORDINGS).map(trial).collect::<String>().as_bytes());
    place
}

/// Kills a cascade as soon as so many embeddings are kept. Returns what it has said.
fn killed_at(place: &Place, embeddings: usize) -> String {
    // The file has a first line, and each embedding stands behind two times.
    let bytes = embeddings * (16 + 4 * DIM);
    long::killed_at(place, place.start(&CASCADE), "scores", bytes).err
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
