//! What reaches standard output and the terminal.

use std::fs::File;

use revox::model_file::{Model, Training};
use serde_json::Value;

use super::place;
use crate::place::{Place, has_full_disk};

/// A verb fails when standard output is a full disk.
#[test]
fn a_full_standard_output_is_an_error_of_every_verb() {
    if !has_full_disk() {
        return;
    }
    let place = place();
    let small = [
        "bench",
        "train",
        "resnet10",
        "--batch",
        "2",
        "--frames",
        "24",
        "--steps",
        "1",
        "--speakers",
        "4",
    ];
    place.write("figures.json", &place.json(&small).to_string());
    for (i, name) in ["1.wav", "2.wav"].into_iter().enumerate() {
        place.wav(&format!("speakers/ann/{name}"), 0.5, 100.0 + i as f64);
    }
    let verbs: [&[&str]; 16] = [
        &["info", "m.safetensors"],
        &["zoo"],
        &["doctor"],
        &["eval", "scores", "--replicates", "0"],
        &["compare", "m.safetensors", "a.wav", "b.wav"],
        &["memory", "resnet10"],
        &["bench", "report", "figures.json"],
        &small,
        &[
            "synth",
            "corpus",
            "--speakers",
            "2",
            "--dev-speakers",
            "2",
            "--utterances",
            "2",
            "--seconds",
            "0.5",
        ],
        &["prepare", "folder", "speakers", "lists"],
        &["fbank", "a.wav", "-o", "x"],
        &["embed", "m.safetensors", "a.wav", "-o", "x"],
        &["score", "e.safetensors", "trials", "-o", "x"],
        &["import", "m.safetensors", "--arch", "resnet10", "--mels", "40", "-o", "x"],
        &["quantize", "m.safetensors", "--set", "quantize.small_layers=fewer-bits", "-o", "x"],
        &["fbank", "a.wav", "-o", "-"],
    ];
    for verb in verbs {
        for json in [false, true] {
            let mut args = verb.to_vec();
            args.extend(json.then_some("--json"));
            let full = File::options().write(true).open("/dev/full").unwrap();
            let ran = place.command(&args).stdout(full).output().unwrap();
            let said = String::from_utf8_lossy(&ran.stderr);
            assert_eq!(ran.status.code(), Some(1), "revox {}: {said}", args.join(" "));
            assert!(said.contains("standard output"), "revox {}: {said}", args.join(" "));
            assert!(!said.contains("panicked"), "revox {}: {said}", args.join(" "));
            // The second run makes them again.
            for folder in ["corpus", "lists"] {
                let _ = std::fs::remove_dir_all(place.path(folder));
            }
        }
    }
}

/// Runs with `--json` and gives the object that standard output holds.
fn object(place: &Place, args: &[&str], code: i32) -> Value {
    let ran = place.run(&[args, &["--json"]].concat());
    assert_eq!(ran.code, code, "revox {}: {}", args.join(" "), ran.err);
    let value: Value = serde_json::from_str(&ran.out)
        .unwrap_or_else(|e| panic!("{e} in {:?}: {}", ran.out, ran.err));
    assert!(
        value["error"].as_str().is_some_and(|e| !e.is_empty()),
        "revox {}: {value}",
        args.join(" ")
    );
    value
}

#[test]
fn errors_are_json_where_that_is_asked_for() {
    let place = place();
    place.write("bad.scp", "a a.wav\n\nb\n");
    place.write("bad.trials", "1 a b\n1 a b c d\n");
    place.write("bad.scores", "a b 0.5 target\na b high target\n");
    place.write("bad.toml", "[data]\ntrain = 1\n");
    place.write("text.wav", "no audio");
    let lines: [(&[&str], &str, u64); 4] = [
        (&["embed", "m.safetensors", "--wav-scp", "bad.scp", "-o", "x"], "bad.scp", 3),
        (&["score", "e.safetensors", "bad.trials", "-o", "x"], "bad.trials", 2),
        (&["eval", "bad.scores"], "bad.scores", 2),
        (&["train", "bad.toml", "--out", "run"], "bad.toml", 2),
    ];
    for (args, file, line) in lines {
        let error = object(&place, args, 1);
        assert_eq!(
            (error["file"].as_str(), error["line"].as_u64()),
            (Some(file), Some(line)),
            "{args:?}: {error}"
        );
    }
    for (args, file) in [
        (["compare", "m.safetensors", "a.wav", "text.wav"], "text.wav"),
        (["compare", "m.safetensors", "a.wav", "none.wav"], "none.wav"),
        (["compare", "a.wav", "a.wav", "a.wav"], "a.wav"),
    ] {
        let error = object(&place, &args, 1);
        assert!(
            error["file"].as_str().is_some_and(|f| f.ends_with(file)) && error["line"].is_null(),
            "{error}"
        );
    }
    // Wrong arguments have no file and no line.
    let error = object(&place, &["memory", "resnet10", "--batch", "1"], 2);
    assert!(error["file"].is_null() && error["line"].is_null(), "{error}");
    for args in [&["zoo", "--frames", "x"][..], &["nonsense"], &["compare", "m.safetensors"]] {
        object(&place, args, 2);
    }
    assert!(!place.path("x").exists() && !place.path("run").exists());
}

/// Neither stream may hold a control character, and the text around it is shown.
fn harmless(place: &Place, args: &[&str], code: i32, shown: &str) {
    let ran = place.run(args);
    assert_eq!(ran.code, code, "revox {}: {}", args.join(" "), ran.err);
    let all = format!("{}{}", ran.out, ran.err);
    let obeyed = all.chars().find(|c| c.is_control() && !"\n\t".contains(*c));
    assert!(obeyed.is_none(), "revox {}: {obeyed:?} in {all:?}", args.join(" "));
    assert!(all.contains(shown), "revox {}: `{shown}` is not in {all:?}", args.join(" "));
}

#[test]
fn control_characters_are_shown_not_sent() {
    let place = place();
    place.write("evil.trials", "1 a \u{1b}]0;title\u{7}red\n");
    harmless(&place, &["score", "e.safetensors", "evil.trials", "-o", "x"], 1, "]0;title");
    place.write("evil.scores", "a b 0.5 \u{1b}[31mtarget\n");
    harmless(&place, &["eval", "evil.scores"], 1, "[31mtarget");
    harmless(&place, &["eval", "evil.scores", "--json"], 1, "[31mtarget");
    place.write("evil.scp", "\u{1b}[2Ja a.wav\n\u{1b}[2Ja b.wav\n");
    harmless(&place, &["embed", "m.safetensors", "--wav-scp", "evil.scp", "-o", "x"], 1, "[2Ja");
    place.write("evil.toml", "[data]\n\"\u{9b}31m\" = 1\n");
    harmless(&place, &["train", "evil.toml", "--out", "run"], 1, "31m");
    harmless(&place, &["compare", "m.safetensors", "a.wav", "\u{1b}[1mnone.wav"], 1, "[1mnone.wav");
}

#[test]
fn metadata_of_a_model_is_shown_not_obeyed() {
    let place = place();
    let mut model = Model::load(place.path("m.safetensors"), &Default::default()).unwrap();
    let training = Training {
        version: "\u{1b}[2J0.1\r".into(),
        // A byte offset of 12 would be inside a letter.
        data_hash: "äöüäöü€€€äöüäöü\u{1b}[0m".into(),
        ..Training::default()
    };
    model.header.training = Some(training);
    model.save(place.path("evil.safetensors"), Default::default()).unwrap();
    harmless(&place, &["info", "evil.safetensors"], 0, "[2J0.1");
    harmless(&place, &["info", "evil.safetensors"], 0, "äöüäöü");
    harmless(&place, &["info", "evil.safetensors", "--json", "--layers"], 0, "äöüäöü");
}

#[test]
#[cfg(target_os = "linux")]
fn names_that_are_not_utf8_do_not_end_the_program() {
    use std::os::unix::ffi::OsStrExt;
    let place = place();
    let odd = std::ffi::OsStr::from_bytes(b"od\xffd.wav");
    std::fs::copy(place.path("a.wav"), place.dir.path().join(odd)).unwrap();
    for (verb, code) in
        [(&["compare", "m.safetensors", "a.wav"][..], 0), (&["embed", "m.safetensors"], 1)]
    {
        let mut command = place.command(&[verb, &["--json"]].concat());
        if code == 1 {
            command.args(["-o", "odd.safetensors"]);
        }
        let ran = command.arg(odd).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(code), "{verb:?}: {said}");
        assert!(!said.contains("panicked"), "{verb:?}: {said}");
        let value: Value = serde_json::from_slice(&ran.stdout).unwrap();
        assert_eq!(value["error"].is_string(), code == 1, "{value}");
    }
}
