//! Trainings that are interrupted in the middle of an epoch and resumed. Their results are those of
//! uninterrupted ones.
#![cfg(unix)]

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::checkpoint::position;
use crate::training::{made, place};
use crate::{Place, finish};

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Epochs long enough to be interrupted: 48 steps.
const LONGER: [&str; 3] = ["--set", "data.passes=12", "--quiet"];

#[test]
fn a_training_loses_nothing() {
    interrupted_is_uninterrupted(&[]);
}

#[test]
fn no_feature_of_the_device_is_lost() {
    interrupted_is_uninterrupted(&["--set", "data.features=device"]);
}

/// With states in 8 bits, small as the tensors are.
#[test]
fn no_8_bit_state_is_lost() {
    for optimizer in ["sgd8bit", "adamw8bit"] {
        let kind = format!("optimizer.kind={optimizer}");
        interrupted_is_uninterrupted(&["--set", &kind, "--set", "optimizer.states.min_size=8"]);
    }
}

/// Through a quantizer, stage by stage.
#[test]
fn no_stage_of_a_quantization_is_lost() {
    let place = place();
    place.ok(&["train", "r.toml", "--out", "first", "--quiet", "--set", "train.epochs=1"]);
    let verb = ["quantize", "first/model.safetensors", "--recipe", "r.toml", "--bits", "2"];
    let changes = [
        "quantize.small_layers=fewer-bits",
        "quantize.stages=3",
        "quantize.order=front",
        "quantize.refresh_every=2",
    ];
    for update in ["lloyd", "frozen-mean", "frozen-gradient"] {
        let update = format!("quantize.update={update}");
        let sets: Vec<&str> =
            changes.iter().chain([&update.as_str()]).flat_map(|c| ["--set", c]).collect();
        let quantize =
            |out: &'static str| -> Vec<&str> { [&verb[..], &["-o", out], &LONGER, &sets].concat() };
        place.ok(&quantize("whole.q"));
        let parts = quantize("parts.q");
        // The folder of the training has a default name. It stays until the model is written.
        interrupt(&place, &parts, "parts.run");
        assert!(!place.path("parts.q").exists());
        place.fails(&parts, &["parts.run", "--resume"]);
        place.ok(&[&parts[..], &["--resume"]].concat());
        let read = |name: &str| std::fs::read(place.path(name)).unwrap();
        assert!(read("whole.q") == read("parts.q"), "interrupted and resumed = uninterrupted");
        for gone in ["whole.run", "parts.run"] {
            assert!(!place.path(gone).exists());
        }
        for output in ["whole.q", "parts.q"] {
            std::fs::remove_file(place.path(output)).unwrap();
        }
    }
}

fn interrupted_is_uninterrupted(changes: &[&str]) {
    let place = place();
    let args = |extra: &[&'static str]| -> Vec<&str> {
        [&["train", "r.toml"][..], extra, &LONGER, changes].concat()
    };
    place.ok(&args(&["--out", "whole"]));
    interrupt(&place, &args(&["--out", "parts"]), "parts");
    place.ok(&args(&["--out", "parts", "--resume"]));
    assert!(
        made(&place, "whole") == made(&place, "parts"),
        "interrupted and resumed = uninterrupted"
    );
    let lines = |run: &str| {
        std::fs::read_to_string(place.path(run).join("metrics.jsonl")).unwrap().lines().count()
    };
    assert_eq!((lines("whole"), lines("parts")), (3, 3));
}

/// Runs a training of three epochs, interrupts it after the first, and checks that it has stopped
/// with a checkpoint inside a later epoch.
///
/// On a busy machine the signal can come before the second epoch's first step. Then the training
/// begins anew, and the signal comes later.
fn interrupt(place: &Place, command: &[&str], run: &str) {
    for quarters in [1, 2, 4, 6] {
        let mut child = place.command(command);
        let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let epoch = first_epoch(&mut child, place, run);
        std::thread::sleep(epoch * quarters / 4);
        signal(&child);
        let ran = finish(child.wait_with_output().unwrap());
        assert_eq!(ran.code, 130, "{}", ran.err);
        assert!(
            ran.err.contains("--resume") && ran.err.contains("checkpoint.safetensors"),
            "{}",
            ran.err
        );
        assert!(ran.out.is_empty(), "{}", ran.out);
        let checkpoint = std::fs::read(place.path(run).join("checkpoint.safetensors")).unwrap();
        // Between epochs the batch is 0.
        let (_, batch) = position(&checkpoint);
        if batch > 0 {
            return;
        }
        std::fs::remove_dir_all(place.path(run)).unwrap();
    }
    panic!("{run} never stopped inside an epoch");
}

/// Waits for the end of the first epoch. Returns the time that it took.
fn first_epoch(child: &mut Child, place: &Place, run: &str) -> Duration {
    let (log, begun) = (place.path(run).join("metrics.jsonl"), Instant::now());
    loop {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        if let Some((line, _)) = text.split_once('\n') {
            let epoch: serde_json::Value = serde_json::from_str(line).unwrap();
            return Duration::from_secs_f64(epoch["seconds"].as_f64().unwrap());
        }
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none() && begun.elapsed() < PATIENCE, "no first epoch: {ended:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Presses Ctrl-C.
fn signal(child: &Child) {
    let mut kill = Command::new("kill");
    assert!(kill.args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn an_interrupted_synthesis_leaves_nothing() {
    let place = place();
    let many = ["synth", "big", "--speakers", "500", "--utterances", "20"];
    let mut child = place.command(&many).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while place.list(".").len() < 2 {
        assert!(begun.elapsed() < PATIENCE, "nothing was begun");
        std::thread::sleep(Duration::from_millis(5));
    }
    signal(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(place.list("."), ["r.toml"]);
}
