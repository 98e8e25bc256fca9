//! `eval` of scores of models, which an enrolment list explains.

use revox::rng::Stream;
use revox::scoring::Curve;
use serde_json::Value;

use crate::Place;

/// Models `mNN` of two utterances each against all third utterances.
#[test]
fn models_of_an_enrolment_list_have_speakers_and_conditions() {
    let place = Place::make();
    let mut stream = Stream::new(5, "test", &[]);
    let (mut text, mut models, mut trials) = (String::new(), String::new(), Vec::new());
    for a in 0..12 {
        models += &format!("m{a:02} s{a:02}-0 s{a:02}-1\n");
        for b in 0..12 {
            let score = stream.normal() + if a == b { 1.0 } else { -1.0 };
            text += &format!("m{a:02} s{b:02}-2 {score} {}\n", u8::from(a == b));
            trials.push((a, b, score));
        }
    }
    place.write("scores", &text);
    place.write("models", &models);
    let each = |line: &dyn Fn(usize, usize) -> String| -> String {
        (0..36).map(|i| line(i / 3, i % 3)).collect()
    };
    place.write("utt2spk", &each(&|s, u| format!("s{s:02}-{u} s{s:02}\n")));
    let gender = |s: usize| ["f", "m"][s % 2];
    place.write("utt2gender", &each(&|s, u| format!("s{s:02}-{u} {}\n", gender(s))));
    place.write(
        "spk2gender",
        &(0..12).map(|s| format!("s{s:02} {}\n", gender(s))).collect::<String>(),
    );
    place.write(
        "utt2device",
        &each(&|s, u| format!("s{s:02}-{u} {}\n", if s < 2 && u == 1 { "desk" } else { "phone" })),
    );
    let eval = ["eval", "scores", "--replicates", "40", "--enroll", "models"];
    let with = |more: &[&'static str]| -> Vec<&'static str> { [&eval[..], more].concat() };
    let plain = place.json(&["eval", "scores", "--replicates", "40"]);
    let listed = place.json(&with(&["--utt2spk", "utt2spk"]));
    assert_eq!(listed["eer"], plain["eer"]);
    // A model and its utterances are of one speaker.
    assert_eq!(listed["speakers"], 12);

    let of = |report: &Value, column: &str| -> Vec<(String, u64)> {
        let rows = report["conditions"][column].as_array().unwrap().iter();
        let count = |row: &Value, key: &str| row[key].as_u64().unwrap();
        rows.map(|row| {
            let value = row["value"].as_str().unwrap().to_owned();
            (value, count(row, "targets") + count(row, "nontargets"))
        })
        .collect()
    };
    let genders = [("f", 36), ("f-m", 72), ("m", 36)].map(|(v, n)| (v.to_owned(), n));
    for by in ["utt2gender", "spk2gender"] {
        let option: &[&str] = &["--utt2spk", "utt2spk", "--by"];
        let report = place.json(&[&with(option)[..], &[&*format!("gender={by}")]].concat());
        assert_eq!(of(&report, "gender"), genders, "{by}");
        let even = trials.iter().filter(|(a, b, _)| a % 2 == 0 && b % 2 == 0);
        let curve = Curve::new(even.map(|(a, b, score)| (*score, a == b))).unwrap();
        let found = report["conditions"]["gender"][0]["eer"].as_f64().unwrap();
        assert!((found - curve.eer().rate).abs() < 1e-9, "{report}");
    }
    // Two models have utterances of two devices. A list may name models itself.
    let report = place.json(&with(&["--by", "device=utt2device"]));
    assert_eq!(of(&report, "device"), [("phone".to_owned(), 120), ("phone-mixed".to_owned(), 24)]);
    let tests: String = (0..12).map(|s| format!("s{s:02}-2 phone\nm{s:02} desk\n")).collect();
    place.write("own", &tests);
    assert_eq!(of(&place.json(&with(&["--by", "own"])), "own"), [("desk-phone".to_owned(), 144)]);

    place
        .fails(&["eval", "scores", "--utt2spk", "utt2spk"], &["scores:1: unknown utterance `m00`"]);
    place.write("few", "m00 s00-0\n");
    let few = ["eval", "scores", "--utt2spk", "utt2spk", "--enroll", "few"];
    place.fails(&few, &["scores:13: unknown model `m01`; few has none of that name"]);
    place.write("two", &models.replace("s03-1", "s04-0"));
    let two = ["eval", "scores", "--utt2spk", "utt2spk", "--enroll", "two"];
    place.fails(&two, &["two:4: model `m03` has utterances of `s03` and `s04` by utt2spk"]);
    place.write("other", &models.replace("m03 s03-0 s03-1", "m03 s04-0 s04-1"));
    let other = ["eval", "scores", "--utt2spk", "utt2spk", "--enroll", "other"];
    place.fails(&other, &["scores:40: trial m03 s03-2 is target, but utt2spk has two speakers"]);
    // The list is of no use by itself.
    assert_eq!(place.run(&eval).code, 2);
}
