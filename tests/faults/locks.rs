//! One process at a time uses a run's folder. The lock is free when that process has gone.

use crate::place::{Place, variable};

const LOCK: &str = "run/.revox-lock";

/// A run in `run` that takes longer than another process waits for it.
fn train(more: &[&'static str]) -> Vec<&'static str> {
    [&["train", "r.toml", "--out", "run", "--set", "data.passes=96"][..], more].concat()
}

#[test]
fn of_two_trainings_in_one_folder_one_runs() {
    let base = Place::with_corpus();
    base.ok(&train(&[]));
    let wanted = base.read("run/model.safetensors");
    std::fs::remove_dir_all(base.path("run")).unwrap();
    for race in 0..variable("REVOX_RACES", 5) {
        let place = base.copy();
        let both = [place.start(&train(&[])), place.start(&train(&[]))];
        let numbers = [both[0].id(), both[1].id()];
        let ended = both.map(|running| running.end().unwrap());
        let told = || format!("race {race}: {}\nand {}", ended[0], ended[1]);
        let winner = ended
            .iter()
            .position(|ran| ran.code() == Some(0))
            .unwrap_or_else(|| panic!("{}", told()));
        let other = &ended[1 - winner];
        assert_eq!(other.code(), Some(1), "{}", told());
        // The other is refused whenever it comes: before the winner has written its name into the
        // lock, with that name, or, on a machine that starts it late, with a run that has ended.
        let holder = format!("is in use by process {} ", numbers[winner]);
        let refusals = [holder.as_str(), "is in use by another process", "holds a run already"];
        let refused =
            refusals.iter().any(|text| other.err.contains(&format!("revox: run: {text}")));
        assert!(refused, "none of {refusals:?} in {}", told());
        assert!(place.read("run/model.safetensors") == wanted, "{}", told());
        assert_eq!(place.temporaries(), [""; 0], "{}", told());
    }
}

/// As a second run of the same command, and as another verb's.
#[test]
fn a_folder_in_use_is_refused_until_its_process_ends() {
    let place = Place::with_model();
    let mut running = place.start(&train(&["--set", "train.epochs=200"]));
    place.wait_for(&mut running, "run/checkpoint.safetensors");
    let number = running.id();
    let holder = format!("revox: run: is in use by process {number} ");
    let small = ["--bits", "2", "--set", "quantize.small_layers=fewer-bits"];
    let quantize =
        ["quantize", "m.safetensors", "-o", "q.safetensors", "--recipe", "r.toml", "--run", "run"];
    let others = [
        train(&[]),
        train(&["--set", "train.epochs=200", "--resume"]),
        [&quantize[..], &small].concat(),
    ];
    for other in others {
        let ran = place.run(&other);
        assert_eq!(ran.code(), Some(1), "{other:?}: {ran}");
        assert!(ran.err.contains(&holder), "{other:?}: no `{holder}` in {ran}");
    }
    assert!(!running.is_over());
    running.kill();
    running.end().unwrap();
    // The lock is free, although its file names the dead process.
    assert!(place.has(LOCK));
    let ran = place.run(&train(&["--set", "train.epochs=200", "--set", "seed=4", "--resume"]));
    let note = format!("note: run: takes over the lock of process {number} ");
    assert!(ran.err.contains(&note), "no `{note}` in {ran}");
    // The lock was taken to compare recipes, then released.
    assert!(ran.code() == Some(1) && ran.err.contains("another recipe"), "{ran}");
    assert_eq!(place.temporaries(), [""; 0]);
}

/// The folder of a process that died before its first checkpoint.
#[test]
fn a_folder_with_nothing_to_lose_begins_anew() {
    let place = Place::with_corpus();
    place.ok(&["train", "r.toml", "--out", "whole"]);
    for resume in [None, Some("--resume")] {
        std::fs::create_dir(place.path("run")).unwrap();
        place.write("run/recipe.lock.toml", b"seed = 1\n");
        place.write("run/.revox-file-a1B2c3", b"half of a checkpoi");
        place.write(LOCK, b"what no process has written");
        let mut args = vec!["train", "r.toml", "--out", "run"];
        args.extend(resume);
        place.ok(&args);
        for name in ["model.safetensors", "recipe.lock.toml"] {
            assert!(
                place.read(&format!("run/{name}")) == place.read(&format!("whole/{name}")),
                "{name}"
            );
        }
        assert_eq!(place.temporaries(), [""; 0]);
        std::fs::remove_dir_all(place.path("run")).unwrap();
    }
}
