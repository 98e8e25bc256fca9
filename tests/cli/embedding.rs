//! Lists of utterances, and what becomes of them.

use std::io::Write;
use std::process::Stdio;

use revox::scoring::Embeddings;

use crate::{Place, finish};

/// A model and eight recordings of three speakers.
fn place() -> Place {
    let place = Place::make();
    place.model("m.safetensors");
    let mut lists = [String::new(), String::new(), String::new()];
    for i in 0..8 {
        place.wav(&format!("{i}.wav"), 0.5 + 0.1 * f64::from(i % 3), 90.0 + 17.0 * f64::from(i));
        lists[0] += &format!("u{i} {i}.wav\n");
        lists[1] += &format!("u{i} s{}\n", i % 3);
        let speaker = i % 3;
        lists[2] +=
            &format!("{{\"key\": \"u{i}\", \"wav\": \"{i}.wav\", \"spk\": \"s{speaker}\"}}\n");
    }
    let names = ["wav.scp", "utt2spk", "raw.list"];
    names.iter().zip(&lists).for_each(|(name, list)| place.write(name, list));
    place
}

fn rows(place: &Place, name: &str) -> Vec<(String, Vec<f32>)> {
    let all = Embeddings::load(place.path(name)).unwrap();
    (0..all.len()).map(|i| (all.id(i).to_owned(), all.row(i).to_vec())).collect()
}

#[test]
fn a_list_may_have_any_form() {
    let place = place();
    let embed = |form: &[&str], out: &str| {
        place.ok(&[&["embed", "m.safetensors", "-o", out][..], form].concat());
        rows(&place, out)
    };
    let wanted = embed(&["--wav-scp", "wav.scp"], "a.safetensors");
    assert_eq!(wanted.len(), 8);
    for data in [".", "wav.scp", "raw.list"] {
        assert_eq!(embed(&["--data", data], "b.safetensors"), wanted, "{data}");
    }
    let args = ["embed", "m.safetensors", "--wav-scp", "-", "-o", "c.safetensors"];
    let mut command = place.command(&args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = command.spawn().unwrap();
    let list = std::fs::read(place.path("wav.scp")).unwrap();
    running.stdin.take().unwrap().write_all(&list).unwrap();
    let ran = finish(running.wait_with_output().unwrap());
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(rows(&place, "c.safetensors"), wanted);
    let both = ["embed", "m.safetensors", "--data", ".", "--wav-scp", "wav.scp", "-o", "x"];
    assert_eq!(place.run(&both).code, 2);
}

#[test]
fn means_by_speaker_are_a_cohort() {
    let place = place();
    let embed = |more: &[&'static str]| {
        let all = ["embed", "m.safetensors", "--wav-scp", "wav.scp"];
        place.json(&[&all[..], more].concat())
    };
    embed(&["-o", "all.safetensors"]);
    let report = embed(&["-o", "means.safetensors", "--mean-by", "utt2spk"]);
    assert_eq!((&report["utterances"], &report["speakers"]), (&8.into(), &3.into()));
    let means = rows(&place, "means.safetensors");
    assert_eq!(means.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["s0", "s1", "s2"]);
    place.write("trials", "1 u0 u3\n0 u0 u1\n0 u2 u4\n");
    let score = |out: &str, cohort: &[&str]| {
        let all = ["score", "all.safetensors", "trials", "--top-n", "3", "-o", out];
        place.ok(&[&all[..], cohort].concat());
        std::fs::read(place.path(out)).unwrap()
    };
    let wanted = score("a", &["--cohort", "all.safetensors", "--utt2spk", "utt2spk"]);
    assert!(score("b", &["--cohort", "means.safetensors"]) == wanted);
    place.write("some", "u0 s0\n");
    place.fails(
        &["embed", "m.safetensors", "--wav-scp", "wav.scp", "-o", "x", "--mean-by", "some"],
        &["some: has no speaker of utterance `u1`"],
    );
}

#[test]
fn what_is_left_out_is_listed_and_does_not_flood() {
    let place = place();
    let mut list = std::fs::read_to_string(place.path("wav.scp")).unwrap();
    (0..14).for_each(|i| list += &format!("bad{i} none{i}.wav\n"));
    place.write("wav.scp", &list);
    let embed = ["embed", "m.safetensors", "--wav-scp", "wav.scp", "-o", "e.safetensors"];
    let more = ["--skip-errors", "--skipped", "skipped", "--json"];
    let ran = place.run(&[&embed[..], &more].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ran.err.matches("; left out").count(), 10, "{}", ran.err);
    assert!(ran.err.contains("more such warnings"), "{}", ran.err);
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&report["utterances"], &report["skipped"]), (&8.into(), &14.into()));
    let left_out = report["left_out"].as_array().unwrap();
    assert!(left_out.len() == 14 && left_out[13]["id"] == "bad13", "{report}");
    let skipped = std::fs::read_to_string(place.path("skipped")).unwrap();
    assert_eq!(skipped.lines().count(), 14);
    assert!(skipped.lines().nth(13).unwrap().starts_with("bad13 wav.scp:22: "), "{skipped}");
    assert_eq!(place.run(&[&embed[..], &["--skipped", "skipped"]].concat()).code, 2);
}

/// As `compare` measures them, and as `calibrate` and `score` read them.
#[test]
fn seconds_of_speech_are_listed() {
    let place = place();
    // A tenth of a second of sound, and a second without.
    let sound = (0..1600).map(|i| (i as f32 * 0.3).sin() * 0.5);
    let mostly_still: Vec<f32> = sound.chain(vec![0.0; 16_000]).collect();
    revox::audio::write_wav16(place.path("0.wav"), &mostly_still, 16_000).unwrap();
    place.write("bad.wav", "no audio");
    let list = std::fs::read_to_string(place.path("wav.scp")).unwrap();
    place.write("wav.scp", &list.replace("u3 3.wav", "u3 bad.wav"));
    let embed = ["embed", "m.safetensors", "--wav-scp", "wav.scp", "--skip-errors", "-o"];
    let speech = ["--speech", "utt2speech"];
    place.ok(&[&embed[..], &["e.safetensors"], &speech].concat());
    let listed = revox::corpus::read_utt2dur(&place.path("utt2speech")).unwrap();
    let ids: Vec<&str> = listed.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["u0", "u1", "u2", "u4", "u5", "u6", "u7"]);
    let compared = place.json(&["compare", "m.safetensors", "0.wav", "1.wav"]);
    let files = compared["files"].as_array().unwrap();
    for (file, (_, own)) in files.iter().zip(&listed) {
        let seconds = file["speech_seconds"].as_f64().unwrap();
        assert!((own - seconds).abs() < 0.001, "{listed:?}, {compared}");
    }
    assert!(listed[0].1 < 0.5, "{listed:?}");
    // The same for means by speaker, whose names are not in the list.
    place.ok(&[&embed[..], &["m", "--mean-by", "utt2spk"], &["--speech", "again"]].concat());
    let read = |name: &str| std::fs::read(place.path(name)).unwrap();
    assert!(read("again") == read("utt2speech"));
    place.fails(
        &[&embed[..], &["utt2speech"], &speech].concat(),
        &["utt2speech: is named", "twice"],
    );
    let onto_list = [&embed[..], &["x", "--speech", "wav.scp"]].concat();
    place.fails(&onto_list, &["wav.scp", "would be lost"]);
    place.wav("two words.wav", 0.5, 100.0);
    let words = ["embed", "m.safetensors", "two words.wav", "-o", "x", "--speech", "y"];
    place.fails(&words, &["--speech: the id \"two words\" is no word without blanks"]);
    let features = ["embed", "m.safetensors", "--features", "f", "-o", "x", "--speech", "y"];
    assert_eq!(place.run(&features).code, 2);
}

/// Several processes have left shares, and one has made the whole.
#[test]
fn shares_that_nobody_needs_are_named_and_kept() {
    let place = place();
    for share in ["e.safetensors.1-of-2.part", "e.safetensors.2-of-2.part"] {
        place.write(share, "");
    }
    let ran = place.run(&["embed", "m.safetensors", "0.wav", "1.wav", "-o", "e.safetensors"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let names = "e.safetensors.1-of-2.part and e.safetensors.2-of-2.part";
    let wanted =
        format!("warning: an unfinished run by another number of processes has left {names};");
    assert!(ran.err.contains(&wanted), "{}", ran.err);
    assert!(place.path("e.safetensors.1-of-2.part").exists());
}
