//! A store of voices: enrolment, identification, verification, and forgetting.

use serde_json::Value;

use crate::Place;

/// A model and recordings of four synthetic speakers, three of each.
fn place() -> Place {
    let place = Place::make();
    place.model("m.safetensors");
    let sizes = ["--speakers", "2", "--dev-speakers", "4", "--utterances", "3", "--seconds", "3"];
    place.ok(&[&["synth", "c", "--quiet"][..], &sizes].concat());
    for speaker in 2..6 {
        for utterance in 0..3 {
            let from = format!("c/dev/wav/s{speaker:05}/s{speaker:05}-{utterance:04}.wav");
            let to = format!("{}{utterance}.wav", ["anna", "bert", "carl", "dora"][speaker - 2]);
            std::fs::copy(place.path(&from), place.path(&to)).unwrap();
        }
    }
    place
}

/// The same with a store of three voices.
fn enrolled() -> Place {
    let place = place();
    place.ok(&["enroll", "v", "anna", "anna0.wav", "--model", "m.safetensors"]);
    place.ok(&["enroll", "v", "bert", "bert0.wav", "bert1.wav"]);
    place.ok(&["enroll", "v", "carl", "carl0.wav"]);
    place
}

fn names(all: &Value) -> Vec<&str> {
    all.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect()
}

#[test]
fn voices_are_enrolled_found_and_forgotten() {
    let place = enrolled();
    let report = place.json(&["enroll", "v", "anna", "anna1.wav", "--add"]);
    assert_eq!((&report["added"], &report["recordings"]), (&1.into(), &2.into()));
    assert!(report["files"][0]["bandwidth"].is_f64(), "{report}");
    place.ok(&["forget", "v", "anna", "--recording", "anna1.wav"]);

    let listed = place.json(&["speakers", "v"]);
    assert_eq!(names(&listed["voices"]), ["anna", "bert", "carl"]);
    assert_eq!(listed["voices"][1]["recordings"], 2);
    assert_eq!(listed["voices"][0]["files"][0]["path"], "anna0.wav");
    assert!(listed["voices"][0]["created"].as_str().unwrap().starts_with("20"), "{listed}");
    assert_eq!(
        (&listed["model"]["arch"], &listed["model"]["embedding_dim"]),
        (&"resnet10".into(), &16.into())
    );
    assert!(listed["model"]["path"].as_str().unwrap().ends_with("m.safetensors"), "{listed}");
    assert!(place.ok(&["speakers", "v"]).contains("3 voices of the model resnet10 "));

    // A recording that was enrolled alone is its voice.
    let found = place.json(&["identify", "v", "carl0.wav", "dora0.wav", "--top", "2"]);
    let first = &found["files"][0];
    assert_eq!((&first["path"], &first["identified"]), (&"carl0.wav".into(), &"carl".into()));
    assert_eq!(first["candidates"].as_array().unwrap().len(), 2);
    assert_eq!(first["candidates"][0]["name"], "carl");
    let score = first["candidates"][0]["score"].as_f64().unwrap();
    assert!(score > 0.999_999, "{found}");
    assert!(first["candidates"][0]["llr"].is_null(), "{found}");
    assert!(first["basis"].as_str().unwrap().contains("0.5"), "{found}");
    assert_eq!((&found["voices"], found["files"].as_array().unwrap().len()), (&3.into(), 2));
    let all = place.json(&["identify", "v", "dora0.wav"])["files"][0]["candidates"].clone();
    assert_eq!(all.as_array().unwrap().len(), 3);
    let scores: Vec<f64> =
        all.as_array().unwrap().iter().map(|one| one["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{all}");
    let text = place.ok(&["identify", "v", "dora0.wav", "--threshold", "1"]);
    assert!(text.contains("dora0.wav: nobody in the store"), "{text}");
    let ran = place.run(&["identify", "v", "carl0.wav"]);
    assert!(ran.out.contains("carl0.wav: carl\n") && ran.out.contains("decided by"), "{}", ran.out);

    // The voice's score is the one that was found.
    let verified = place.json(&["verify", "v", "carl", "dora0.wav"]);
    let wanted = all.as_array().unwrap().iter().find(|one| one["name"] == "carl").unwrap();
    assert_eq!(verified["score"], wanted["score"]);
    assert_eq!(verified["threshold"], 0.5);
    assert_eq!(place.json(&["verify", "v", "carl", "carl0.wav"])["same_speaker"], true);
    let text = place.ok(&["verify", "v", "carl", "dora0.wav", "--threshold", "1"]);
    assert!(text.contains("not the voice of carl"), "{text}");

    let holds = |name: &[u8]| {
        let bytes = std::fs::read(place.path("v")).unwrap();
        bytes.windows(name.len()).any(|window| window == name)
    };
    assert!(holds(b"carl0.wav"));
    let gone = place.json(&["forget", "v", "carl", "bert"]);
    assert_eq!((names(&gone["forgotten"]), &gone["voices"]), (vec!["carl", "bert"], &1.into()));
    assert!(!holds(b"carl") && !holds(b"bert") && holds(b"anna"));
    place.fails(&["verify", "v", "carl", "carl0.wav"], &["v: `carl` is not enrolled"]);
    place.fails(&["forget", "v", "carl"], &["v: `carl` is not enrolled"]);
    let text = place.ok(&["forget", "v", "anna"]);
    assert!(text.contains("1 recording removed") && text.contains("0 voices left"), "{text}");
    place.fails(&["identify", "v", "anna0.wav"], &["v: holds no voices"]);
}

#[test]
fn a_store_has_one_model() {
    let place = enrolled();
    let header = |change: &dyn Fn(&mut revox::model_file::Header), to: &str| {
        let from = place.path("m.safetensors");
        revox::model_file::update_header(from, place.path(to), change).unwrap();
    };
    let identify = |model: &str| {
        place.json(&["identify", "v", "anna1.wav", "--model", model])["files"][0].clone()
    };
    // Another threshold and another mean are of the same model.
    header(&|header| header.scoring.threshold_eer = Some(0.25), "calibrated.safetensors");
    assert!(identify("calibrated.safetensors")["basis"].as_str().unwrap().contains("0.25"));
    header(&|header| header.scoring.embedding_mean = Some(vec![0.01; 16]), "centred.safetensors");
    let [raw, centred] = ["m.safetensors", "centred.safetensors"]
        .map(|model| identify(model)["candidates"][0]["score"].clone());
    assert_ne!(raw, centred);
    // Another front-end is not.
    header(&|header| header.frontend.cmn = false, "other.safetensors");
    for args in [
        &["identify", "v", "anna1.wav"][..],
        &["verify", "v", "anna", "anna1.wav"],
        &["enroll", "v", "dora", "dora0.wav"],
    ] {
        let all = [args, &["--model", "other.safetensors"]].concat();
        place.fails(&all, &["v: holds voices of the model resnet10 ", "this one is resnet10 "]);
    }
    // The model that was remembered has gone.
    std::fs::remove_file(place.path("m.safetensors")).unwrap();
    place.fails(&["identify", "v", "anna1.wav"], &["m.safetensors: cannot", "--model"]);
    place.ok(&["enroll", "v", "dora", "dora0.wav", "--model", "calibrated.safetensors"]);
    place.ok(&["identify", "v", "anna1.wav"]);
}

#[test]
fn without_a_threshold_there_are_scores_and_a_hint() {
    let place = place();
    let model = place.path("m.safetensors");
    revox::model_file::update_header(&model, &model, |h| h.scoring.threshold_eer = None).unwrap();
    place.ok(&["enroll", "v", "anna", "anna0.wav", "--model", "m.safetensors"]);
    let ran = place.run(&["identify", "v", "anna1.wav"]);
    assert!(ran.out.contains("anna1.wav: no decision"), "{}", ran.out);
    assert!(ran.err.contains("revox calibrate"), "{}", ran.err);
    assert!(place.json(&["identify", "v", "anna1.wav"])["files"][0]["identified"].is_null());
    let ran = place.run(&["verify", "v", "anna", "anna1.wav"]);
    assert!(ran.out.contains("no decision") && ran.err.contains("--threshold"), "{}", ran.out);
    assert!(place.json(&["verify", "v", "anna", "anna0.wav"])["same_speaker"].is_null());
}

#[test]
fn what_cannot_be_enrolled_changes_nothing() {
    let place = enrolled();
    place.wav("short.wav", 0.3, 120.0);
    revox::audio::write_wav16(place.path("silent.wav"), &[0.0; 32_000], 16_000).unwrap();
    place.write("text", &"no store of voices at all\n".repeat(100));
    let before = std::fs::read(place.path("v")).unwrap();
    for (args, wanted) in [
        (&["v", "new", "short.wav"][..], &["short.wav: ", "s of speech", "0.5 s at least"][..]),
        (&["v", "new", "dora0.wav", "silent.wav"], &["silent.wav: silent"]),
        (&["v", "new", "dora0.wav", "none.wav"], &["none.wav"]),
        (&["v", "anna", "anna1.wav"], &["v: `anna` is enrolled already", "--add"]),
        (&["v", "anna", "anna0.wav", "--add"], &["anna0.wav: is among the recordings of `anna`"]),
        (&["v", "new", "dora0.wav", "--add"], &["v: `new` is not enrolled"]),
        (&["w", "new", "dora0.wav", "--add"], &["w: is not there"]),
        (&["text", "new", "dora0.wav"], &["text: is no store of voices"]),
        (&["dora0.wav", "new", "dora0.wav"], &["dora0.wav: is an input"]),
    ] {
        place.fails(&[&["enroll"][..], args].concat(), wanted);
    }
    std::fs::copy(place.path("anna0.wav"), place.path("copy.wav")).unwrap();
    let copy = ["enroll", "v", "anna", "anna1.wav", "copy.wav", "--add"];
    place.fails(&copy, &["copy.wav: is among the recordings of `anna` already, as anna0.wav"]);
    let spelled = ["enroll", "v", "new", "dora0.wav", "c/../dora0.wav"];
    place.fails(&spelled, &["c/../dora0.wav: is the same recording as dora0.wav"]);
    let twice = ["enroll", "v", "new", "dora0.wav", "dora0.wav"];
    place.ends(2, &twice, &["dora0.wav: is named twice"]);
    assert!(std::fs::read(place.path("v")).unwrap() == before);
    assert!(!place.path("w").exists());
    for verb in [&["identify", "v", "short.wav"][..], &["verify", "v", "anna", "short.wav"]] {
        place.fails(verb, &["short.wav: ", "0.5 s at least"]);
    }
    place.fails(&["speakers", "none"], &["none: cannot open"]);
    place.fails(&["identify", "text", "anna0.wav"], &["text: is no store of voices"]);
    place.ends(2, &["forget", "v", "anna", "bert", "--recording", "x"], &["one NAME"]);
    std::fs::write(place.path("v"), &before[..before.len() / 2]).unwrap();
    place.fails(&["speakers", "v"], &["v: is a damaged store"]);
    for wrong in [
        &["identify", "v", "anna0.wav", "--top", "0"][..],
        &["identify", "v", "anna0.wav", "--skipped", "list"],
        &["enroll", "w", " new", "dora0.wav"],
    ] {
        assert_eq!(place.run(wrong).code, 2, "{wrong:?}");
    }
}

#[test]
fn a_damaged_store_is_refused_by_each_verb_but_forget() {
    let place = enrolled();
    let mut file = std::fs::read(place.path("v")).unwrap();
    // The name of a recording.
    let name = b"anna0.wav";
    let places: Vec<usize> = (0..file.len()).filter(|&at| file[at..].starts_with(name)).collect();
    // The row, and the index of rows.
    assert_eq!(places.len(), 2);
    places.into_iter().for_each(|at| file[at + 3] ^= 1);
    std::fs::write(place.path("v"), &file).unwrap();
    for args in [
        &["speakers", "v"][..],
        &["identify", "v", "anna0.wav"],
        &["verify", "v", "bert", "anna0.wav"],
        &["enroll", "v", "new", "dora0.wav"],
        &["enroll", "v", "bert", "dora0.wav", "--add"],
    ] {
        place.fails(args, &["v: is a damaged store: recording `ann`0.wav`", "undamaged copy"]);
        assert!(std::fs::read(place.path("v")).unwrap() == file, "{args:?}");
    }
    let ran = place.run(&["forget", "v", "anna"]);
    assert!(ran.code == 0 && ran.err.contains("anna: its recordings were damaged"), "{}", ran.err);
    assert!(ran.out.contains("2 voices left"), "{}", ran.out);
    place.ok(&["enroll", "v", "new", "dora0.wav"]);
}

#[test]
fn bad_recordings_are_left_out_of_a_search() {
    let place = enrolled();
    place.wav("short.wav", 0.3, 120.0);
    place.write("text.wav", "no audio");
    let files = ["identify", "v", "text.wav", "anna0.wav", "short.wav", "carl0.wav", "none.wav"];
    // The first of them ends the work, with a hint.
    place.fails(&files, &["text.wav", "--skip-errors"]);
    let skip = [&files[..], &["--skip-errors", "--skipped", "list"]].concat();
    let report = place.json(&skip);
    let found: Vec<&str> = report["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["identified"].as_str().unwrap())
        .collect();
    assert_eq!((found, &report["skipped"]), (vec!["anna", "carl"], &3.into()));
    assert_eq!(report["left_out"][1]["file"], "short.wav");
    assert!(
        report["left_out"][1]["error"].as_str().unwrap().contains("0.5 s at least"),
        "{report}"
    );
    let list = std::fs::read_to_string(place.path("list")).unwrap();
    let names: Vec<&str> = list.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(names, ["text.wav", "short.wav", "none.wav"]);
    let ran = place.run(&skip);
    assert!(
        ran.out.contains("anna0.wav: anna") && ran.out.contains("3 files left out"),
        "{}",
        ran.out
    );
    assert!(ran.err.contains("warning: text.wav") && ran.err.contains("; left out"), "{}", ran.err);
    let none = ["identify", "v", "text.wav", "none.wav", "--skip-errors"];
    place.fails(&none, &["none of 2 files could be read"]);
    place.fails(&[&none[..], &["--skipped", "all"]].concat(), &["none of 2 files could be read"]);
    let all = std::fs::read_to_string(place.path("all")).unwrap();
    assert!(all.starts_with("text.wav ") && all.contains("\nnone.wav "), "{all}");
    place.fails(&[&skip[..8], &["--skipped", "anna0.wav"]].concat(), &["would be lost"]);
}

#[test]
fn another_file_of_the_stores_model_is_noticed() {
    let place = enrolled();
    let from = place.path("m.safetensors");
    let other = place.path("other.safetensors");
    revox::model_file::update_header(&from, &other, |header| {
        header.scoring.threshold_eer = Some(0.25);
    })
    .unwrap();
    std::fs::copy(&from, place.path("same.safetensors")).unwrap();
    let enroll =
        |name: &str, model: &str| place.run(&["enroll", "v", name, "dora0.wav", "--model", model]);
    let ran = enroll("one", "m.safetensors");
    assert!(ran.code == 0 && !ran.err.contains("store's model"), "{}", ran.err);
    let ran = enroll("two", "other.safetensors");
    assert!(ran.err.contains("other.safetensors in the place of "), "{}", ran.err);
    assert!(ran.err.contains("m.safetensors; its thresholds"), "{}", ran.err);
    let basis = |args: &[&str]| place.json(args)["files"][0]["basis"].clone();
    assert!(basis(&["identify", "v", "anna1.wav"]).as_str().unwrap().contains("0.25"));
    enroll("three", "m.safetensors");
    let ran = enroll("four", "same.safetensors");
    assert!(ran.err.contains("same.safetensors in the place of "), "{}", ran.err);
    assert!(ran.err.contains("both decide alike"), "{}", ran.err);
}

#[test]
fn a_store_is_for_its_owner_alone() {
    let place = place();
    let ran = place.run(&["enroll", "v", "anna", "anna0.wav", "--model", "m.safetensors"]);
    assert!(ran.code == 0 && !ran.err.contains("chmod"), "{}", ran.err);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let path = place.path("v");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let ran = place.run(&["enroll", "v", "bert", "bert0.wav"]);
        assert!(ran.code == 0 && ran.err.contains("chmod 600"), "{}", ran.err);
    }
}

#[test]
fn recordings_of_two_people_are_noticed() {
    let place = place();
    let model = place.path("m.safetensors");
    revox::model_file::update_header(&model, &model, |h| h.scoring.threshold_eer = Some(1.0))
        .unwrap();
    let files = ["anna0.wav", "bert0.wav"];
    let args = [&["enroll", "v", "anna"][..], &files, &["--model", "m.safetensors"]].concat();
    let warnings = place.json(&args)["warnings"].to_string();
    assert!(warnings.contains("anna0.wav and bert0.wav score"), "{warnings}");
    assert!(warnings.contains("one person?"), "{warnings}");
    let args = ["enroll", "v", "anna", "carl0.wav", "--add"];
    assert!(place.json(&args)["warnings"].to_string().contains("carl0.wav score"));
}

#[test]
fn the_model_inside_the_program_is_a_stores_model_too() {
    let place = place();
    let report = place.json(&["enroll", "v", "anna", "anna0.wav", "anna1.wav"]);
    assert!(report["default_model"]["title"].is_string(), "{report}");
    place.ok(&["enroll", "v", "bert", "bert0.wav"]);
    assert!(place.json(&["speakers", "v"])["model"]["path"].is_null());
    let found = place.json(&["identify", "v", "bert0.wav"]);
    assert_eq!(found["files"][0]["identified"], "bert", "{found}");
    place.fails(
        &["identify", "v", "bert0.wav", "--model", "m.safetensors"],
        &["v: holds voices of the model", "this one is resnet10"],
    );
}
