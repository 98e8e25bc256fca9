//! Recipes with impossible numbers, runs that had ended, heads of other speakers.

use std::collections::HashMap;

use revox::model_file::{Model, read_head};

use crate::place::Place;
use crate::recipe::{data, lists, model, train};
use crate::shared_or_skip;

/// Nothing is learned at this rate: the dev EER soon stops improving, and rows of the head stay as
/// they begin.
const SLOW: &str = "[margin]\ninitial = 0.0\nlast = 0.0\n[schedule]\ninitial_lr = 1e-9\n\
                    final_lr = 1e-9\nwarm_up_epochs = 0\nscale_ratio = 1.0\n";

fn recipe() -> String {
    [data(&lists("syn")), model(24, 8), SLOW.to_owned(), train(30, "patience = 2\n")].concat()
}

/// A place with the recipe and its corpus of four speakers.
fn place() -> Place {
    let place = Place::make();
    place.write("r.toml", &recipe());
    let speakers = ["--speakers", "4", "--dev-speakers", "4"];
    place.ok(&[
        &["synth", "syn", "--utterances", "4", "--seconds", "1.0", "--quiet"][..],
        &speakers,
    ]
    .concat());
    place
}

fn bytes(place: &Place, file: &str) -> Vec<u8> {
    std::fs::read(place.path(file)).unwrap()
}

/// Every file of a run with its content.
fn files(place: &Place, run: &str) -> Vec<(String, Vec<u8>)> {
    place
        .list(run)
        .into_iter()
        .map(|name| (name.clone(), bytes(place, &format!("{run}/{name}"))))
        .collect()
}

fn load(place: &Place, file: &str) -> Model {
    Model::load(place.path(file), &Default::default()).unwrap()
}

#[test]
fn a_run_that_had_ended_says_so_and_stays_as_it_is() {
    let place = place();
    let first = place.json(&["train", "r.toml", "--quiet"]);
    let (epochs, best) = (first["epochs"].as_u64().unwrap(), first["best_epoch"].as_u64().unwrap());
    assert!(epochs < 30 && epochs == best + 2, "{first}");
    assert!(first["ended"].is_null() && first["head"].is_null(), "{first}");
    let before = files(&place, "runs/r");
    let again = place.run(&["train", "r.toml", "--resume"]);
    assert_eq!(again.code, 0, "{}", again.err);
    let wanted = format!("no better dev EER for 2 epochs since epoch {best} (train.patience = 2)");
    for text in [&again.out, &again.err] {
        assert!(text.contains("the run had ended") && text.contains(&wanted), "{text}");
    }
    assert!(files(&place, "runs/r") == before, "the run has changed");
    let again = place.json(&["train", "r.toml", "--resume", "--quiet"]);
    assert_eq!(again["ended"], wanted);
    for key in ["epochs", "best_epoch", "eer", "min_dcf", "model"] {
        assert_eq!(again[key], first[key], "{key}");
    }
    // A threshold that was stored in the model stays.
    let path = place.path("runs/r/model.safetensors");
    let mut model = load(&place, "runs/r/model.safetensors");
    model.header.scoring.threshold_eer = Some(0.25);
    model.save(&path, read_head(&path).unwrap()).unwrap();
    let before = files(&place, "runs/r");
    place.ok(&["train", "r.toml", "--resume", "--quiet"]);
    assert!(files(&place, "runs/r") == before, "the run has changed");
}

#[test]
fn the_recipe_of_a_run_that_stopped_early() {
    let recipe = std::fs::read_to_string(shared_or_skip!("cases/train/r.toml")).unwrap();
    let place = place();
    place.write("early.toml", &recipe);
    let sets = [
        "schedule.initial_lr=1e-9",
        "schedule.final_lr=1e-9",
        "train.epochs=20",
        "train.patience=1",
    ];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let train = [&["train", "early.toml"][..], &sets].concat();
    let first = place.json(&[&train[..], &["--quiet"]].concat());
    assert!(first["epochs"].as_u64() < Some(20), "{first}");
    let before = files(&place, "runs/early");
    let again = place.run(&[&train[..], &["--resume"]].concat());
    assert_eq!(again.code, 0, "{}", again.err);
    assert!(again.out.contains("the run had ended"), "{}", again.out);
    assert!(files(&place, "runs/early") == before, "the run has changed");
}

/// As if the run had been cut off between its last checkpoint and its model.
#[test]
fn a_run_that_had_ended_gets_the_model_that_it_lacks() {
    let place = place();
    let sets =
        ["--set", "train.patience=0", "--set", "train.epochs=2", "--set", "train.average_last=2"];
    let train = [&["train", "r.toml", "--quiet"][..], &sets].concat();
    place.ok(&train);
    let before = files(&place, "runs/r");
    for gone in ["model.safetensors", "det.svg"] {
        std::fs::remove_file(place.path("runs/r").join(gone)).unwrap();
    }
    let again = place.ok(&[&train[..], &["--resume"]].concat());
    assert!(again.contains("all 2 epochs are done"), "{again}");
    assert!(files(&place, "runs/r") == before, "another model was made");
}

#[test]
fn numbers_that_cannot_be_are_refused_when_the_recipe_is_read() {
    // There is no corpus: the numbers are refused before it is read.
    let place = Place::make();
    place.write("r.toml", &recipe());
    for (line, key, value) in [
        (1, "seed", "-1"),
        (5, "data.frames", "1e12"),
        (9, "model.width", "0"),
        (14, "margin.last", "nan"),
        (16, "schedule.initial_lr", "inf"),
        (19, "schedule.scale_ratio", "-1"),
        (19, "schedule.scale_ratio", "nan"),
        (21, "train.epochs", "-3"),
        (23, "train.patience", "99999999999999999999"),
    ] {
        let name = key.rsplit('.').next().unwrap();
        let changed = |(i, text): (usize, &str)| match i + 1 == line {
            true => format!("{name} = {value}\n"),
            false => format!("{text}\n"),
        };
        let text: String = recipe().lines().enumerate().map(changed).collect();
        place.write("bad.toml", &text);
        let wanted = format!("bad.toml:{line}: {key} = {value}: must be ");
        place.fails(&["train", "bad.toml"], &[wanted.as_str()]);
        let set = format!("{key}={value}");
        let wanted = format!("{key} = {value}: must be ");
        place
            .fails(&["train", "r.toml", "--set", &set], &["r.toml: with --set: ", wanted.as_str()]);
        let ran = place.run(&["train", "bad.toml", "--json"]);
        let error: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!((ran.code, error["line"].as_u64()), (1, Some(line as u64)), "{error}");
    }
    assert_eq!(place.list("."), ["bad.toml", "r.toml"]);
}

#[test]
fn a_setting_of_the_optimizer_is_enough() {
    let place = place();
    let sets = ["--set", "optimizer.weight_decay=0.01", "--set", "train.epochs=1"];
    place.ok(&[&["train", "r.toml", "--quiet"][..], &sets].concat());
    let lock = std::fs::read_to_string(place.path("runs/r/recipe.lock.toml")).unwrap();
    assert!(lock.contains("kind = \"sgd\"") && lock.contains("weight_decay = 0.01"), "{lock}");
}

#[test]
fn a_recipe_without_a_network_says_what_it_is_for() {
    let place = place();
    let text = std::fs::read_to_string(place.path("r.toml")).unwrap();
    let (before, behind) = text.split_once("[model]").unwrap();
    let behind = behind.find("\n[").map_or("", |next| &behind[next..]);
    place.write("t.toml", &format!("{before}{behind}"));
    place.fails(&["train", "t.toml"], &["t.toml", "missing field `model`", "--init MODEL"]);
    // A recipe of another network than the model's names what differs, and nothing else.
    place.ok(&["train", "r.toml", "--quiet", "--set", "train.epochs=1", "--out", "small"]);
    let init = [
        "train",
        "r.toml",
        "--init",
        "small/model.safetensors",
        "--out",
        "y",
        "--set",
        "model.width=4",
    ];
    place.fails(&init, &["[model] is not that of the model to start with: width = 4, there 2\n"]);
}

/// The head's rows by the names of their speakers.
fn rows(place: &Place, run: &str) -> HashMap<String, Vec<f32>> {
    let file = format!("{run}/model.safetensors");
    let head = read_head(&place.path(&file)).unwrap();
    let (_, weight) = head.0.iter().find(|(name, _)| name == "projection.weight").unwrap();
    let values: Vec<f32> = weight.iter::<f32>().collect();
    load(place, &file)
        .header
        .speakers
        .into_iter()
        .zip(values.chunks(8).map(<[f32]>::to_vec))
        .collect()
}

/// The training corpus under other names of speakers, in another folder.
fn renamed(place: &Place, folder: &str, name: impl Fn(&str) -> String) {
    let read = |file: &str| std::fs::read_to_string(place.path("syn/train").join(file)).unwrap();
    let pairs = |text: String| -> Vec<(String, String)> {
        text.lines()
            .map(|l| l.split_once(' ').unwrap())
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .collect()
    };
    let scp: String = pairs(read("wav.scp"))
        .into_iter()
        .map(|(id, file)| format!("{id} {}\n", place.path("syn/train").join(file).display()))
        .collect();
    let utt2spk: String = pairs(read("utt2spk"))
        .into_iter()
        .map(|(id, speaker)| format!("{id} {}\n", name(&speaker)))
        .collect();
    place.write(&format!("{folder}/wav.scp"), &scp);
    place.write(&format!("{folder}/utt2spk"), &utt2spk);
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max)
}

#[test]
fn rows_of_the_head_go_by_the_names_of_speakers() {
    let place = place();
    let train = |more: &[&str]| {
        let ran = place
            .run(&[&["train", "r.toml", "--set", "train.epochs=1", "--json"][..], more].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
        (serde_json::from_str::<serde_json::Value>(&ran.out).unwrap(), ran.err)
    };
    train(&["--out", "a"]);
    let old = rows(&place, "a");
    assert_eq!(old.len(), 4);
    // Three of the four, and a stranger who comes first in the alphabet.
    renamed(&place, "some", |s| s.replace("s00003", "a-stranger"));
    let init = ["--init", "a/model.safetensors", "--seed", "4"];
    let (report, err) = train(&[&init[..], &["--set", "data.train=some", "--out", "b"]].concat());
    assert_eq!(report["head"], serde_json::json!({"kept": 3, "added": 1, "dropped": 1}));
    assert!(err.contains("note: head: 3 speakers kept, 1 added, 1 dropped"), "{err}");
    let new = rows(&place, "b");
    for name in ["s00000", "s00001", "s00002"] {
        assert!(distance(&new[name], &old[name]) < 1e-5, "{name}");
    }
    assert!(
        old.values().all(|row| distance(row, &new["a-stranger"]) > 1e-3),
        "a stranger has inherited a row"
    );
    // As many strangers as there were speakers.
    renamed(&place, "strangers", |s| s.replace('s', "x"));
    let (report, _) =
        train(&[&init[..], &["--set", "data.train=strangers", "--out", "c"]].concat());
    assert_eq!(report["head"], serde_json::json!({"kept": 0, "added": 4, "dropped": 4}));
    let strangers = rows(&place, "c");
    assert!(strangers.values().all(|row| old.values().all(|other| distance(row, other) > 1e-3)));
    // Rows of a file without names are taken in order, with a warning.
    let path = place.path("nameless.safetensors");
    let mut model = load(&place, "a/model.safetensors");
    model.header.speakers.clear();
    model.save(&path, read_head(&place.path("a/model.safetensors")).unwrap()).unwrap();
    let nameless = [
        "--init",
        "nameless.safetensors",
        "--set",
        "data.train=strangers",
        "--out",
        "d",
        "--seed",
        "4",
    ];
    let (report, err) = train(&nameless);
    assert_eq!(report["head"]["kept"], 4);
    assert!(err.contains("warning: the model does not name the speakers"), "{err}");
}

#[test]
fn a_packed_model_has_no_head_to_name() {
    let place = place();
    place.ok(&["train", "r.toml", "--set", "train.epochs=1", "--quiet", "--out", "a"]);
    assert_eq!(load(&place, "a/model.safetensors").header.speakers.len(), 4);
    let keep = ["--set", "quantize.small_layers=keep"];
    let packed =
        ["quantize", "a/model.safetensors", "--bits", "2", "-o", "q.safetensors", "--quiet"];
    place.ok(&[&packed[..], &keep].concat());
    assert!(load(&place, "q.safetensors").header.speakers.is_empty());
}

#[test]
#[cfg(unix)]
fn the_line_to_try_can_be_pasted() {
    let place = place();
    let out = place.ok(&[
        "train",
        "r.toml",
        "--set",
        "train.epochs=1",
        "--quiet",
        "--out",
        "it's my run",
    ]);
    let line = out.lines().find_map(|l| l.strip_prefix("try")).unwrap().trim_start();
    let arguments = line.strip_prefix("revox ").unwrap();
    let script = format!("'{}' {arguments}", env!("CARGO_BIN_EXE_revox"));
    let tried = std::process::Command::new("sh")
        .args(["-c", &script])
        .current_dir(place.dir.path())
        .output()
        .unwrap();
    assert!(tried.status.success(), "{line}: {}", String::from_utf8_lossy(&tried.stderr));
}
