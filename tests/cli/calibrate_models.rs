//! `calibrate` with scores of models, which an enrolment list explains.

use revox::model_file::read_header;
use revox::rng::Stream;

use crate::Place;

const SPEAKERS: usize = 12;

/// Scores of models `mNN` of two utterances each against all third utterances, and lists of them.
fn place() -> (Place, String) {
    let place = Place::make();
    place.model("m.safetensors");
    let mut stream = Stream::new(6, "scores", &[]);
    let (mut scores, mut models) = (String::new(), String::new());
    for a in 0..SPEAKERS {
        models += &format!("m{a:02} s{a:02}-0 s{a:02}-1\n");
        for b in 0..SPEAKERS {
            let mean = if a == b { 0.6 } else { 0.2 };
            let score = (mean + 0.15 * stream.normal()).clamp(-1.0, 1.0);
            scores += &format!("m{a:02} s{b:02}-2 {score:.6} {}\n", u8::from(a == b));
        }
    }
    place.write("scores", &scores);
    place.write("models", &models);
    let each = |line: &dyn Fn(usize, usize) -> String| -> String {
        (0..3 * SPEAKERS).map(|i| line(i / 3, i % 3)).collect()
    };
    place.write("utt2spk", &each(&|s, u| format!("s{s:02}-{u} s{s:02}\n")));
    let seconds = |s: usize, u: usize| 2.0 + 0.1 * (3 * s + u) as f64;
    place.write("utt2dur", &each(&|s, u| format!("s{s:02}-{u} {:.1}\n", seconds(s, u))));
    (place, models)
}

const CALIBRATE: [&str; 6] =
    ["calibrate", "m.safetensors", "--scores", "scores", "-o", "c.safetensors"];

#[test]
fn models_have_the_speakers_and_seconds_of_their_utterances() {
    let (place, _) = place();
    let with = |more: &[&str]| place.json(&[&CALIBRATE[..], more].concat());
    // Targets connect a model with its speaker, too.
    let plain = with(&[]);
    let listed = with(&["--enroll", "models", "--utt2spk", "utt2spk"]);
    assert_eq!(listed["speakers"].as_u64(), Some(SPEAKERS as u64));
    assert_eq!(listed["cllr"], plain["cllr"]);
    let seconds = |more: &[&str]| {
        with(&[&["--enroll", "models", "--durations", "utt2dur"], more].concat());
        let header = read_header(place.path("c.safetensors")).unwrap();
        header.scoring.calibration.unwrap().fitted.seconds.unwrap()
    };
    // From the first test utterance to both of the last model.
    let near = |found: [f64; 2], wanted: [f64; 2]| {
        assert!((0..2).all(|i| (found[i] - wanted[i]).abs() < 1e-9), "{found:?}, {wanted:?}");
    };
    near(seconds(&[]), [2.2, 5.3 + 5.4]);
    near(seconds(&["--utt2spk", "utt2spk", "--max-seconds", "6"]), [2.2, 6.0]);
    let weighed = with(&[
        "--enroll",
        "models",
        "--durations",
        "utt2dur",
        "--quality",
        "min-seconds,max-seconds",
    ]);
    assert_eq!(weighed["columns"].as_array().unwrap().len(), 3, "{weighed}");
}

#[test]
fn models_that_mean_nothing_are_named() {
    let (place, models) = place();
    let speakers = ["--utt2spk", "utt2spk"];
    let fails = |more: &[&str], wanted: &str| {
        place.fails(&[&CALIBRATE[..], &speakers, more].concat(), &[wanted]);
        assert!(!place.path("c.safetensors").exists());
    };
    fails(&[], "scores:1: unknown utterance `m00`");
    place.write("few", "m00 s00-0\n");
    fails(&["--enroll", "few"], "scores:13: unknown model `m01`; few has none of that name");
    place.write("two", &models.replace("s03-1", "s04-0"));
    let wanted = "two:4: model `m03` has utterances of `s03` and `s04` by utt2spk";
    fails(&["--enroll", "two"], wanted);
    place.write("other", &models.replace("m03 s03-0 s03-1", "m03 s04-0 s04-1"));
    let wanted = "scores:40: trial m03 s03-2 is target, but utt2spk has two speakers";
    fails(&["--enroll", "other"], wanted);
    place.write("strange", &models.replace("s03-1", "s99-1"));
    fails(&["--enroll", "strange"], "strange:4: unknown utterance `s99-1`");
    let onto = ["calibrate", "m.safetensors", "--scores", "scores", "-o", "models"];
    let enroll = ["--enroll", "models"];
    place.fails(&[&onto[..], &speakers, &enroll].concat(), &["models", "would be lost"]);
    // The list is of no use by itself, nor are embeddings of models known.
    let embeddings = ["--utt2spk", "utt2spk", "--quality", "min-norm", "--embeddings", "e"];
    let none: &[&str] = &[];
    for more in [none, &embeddings] {
        assert_eq!(place.run(&[&CALIBRATE[..], &enroll, more].concat()).code, 2);
    }
}
