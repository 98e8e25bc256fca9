//! Disks that are full for a moment, and read-only files.

use crate::place::{Place, has_fault_points};

const TRAIN: [&str; 4] = ["train", "r.toml", "--out", "run"];

/// Writing the first checkpoint in the background fails.
#[test]
fn a_checkpoint_that_fails_is_tried_again() {
    if !has_fault_points() {
        return;
    }
    let place = Place::with_corpus();
    place.ok(&["train", "r.toml", "--out", "whole"]);
    let wanted = place.read("whole/model.safetensors");
    // A run first tests whether it can write, then waits for an initial checkpoint.
    for point in ["create checkpoint.safetensors 3", "sync checkpoint.safetensors 2"] {
        let ran = place.run_with(&TRAIN, "REVOX_FAULT", &format!("once@{point}")).unwrap();
        assert_eq!(ran.code(), Some(0), "{point}: {ran}");
        let warning = ran.err.lines().find(|line| line.starts_with("warning: "));
        assert!(
            warning.is_some_and(|w| w.contains("run/checkpoint.safetensors: cannot ")),
            "{point}: {ran}"
        );
        assert!(place.read("run/model.safetensors") == wanted, "{point}");
        assert_eq!(place.temporaries(), [""; 0]);
        std::fs::remove_dir_all(place.path("run")).unwrap();
    }
}

/// A run that was cut off in its second epoch resumes only when its model is writable again.
#[test]
fn a_model_that_is_read_only_is_kept() {
    if !has_fault_points() {
        return;
    }
    let place = Place::with_corpus();
    place.ok(&["train", "r.toml", "--out", "whole"]);
    let ran = place.run_with(&TRAIN, "REVOX_FAULT", "kill@append metrics.jsonl 2").unwrap();
    assert_eq!(ran.code(), Some(99), "{ran}");
    let (path, before) = (place.path("run/model.safetensors"), place.files());
    let writable = std::fs::metadata(&path).unwrap().permissions();
    let mut protected = writable.clone();
    protected.set_readonly(true);
    std::fs::set_permissions(&path, protected).unwrap();
    let resume = [&TRAIN[..], &["--resume"]].concat();
    let ran = place.run(&resume);
    assert_eq!(ran.code(), Some(1), "{ran}");
    assert!(ran.err.contains("revox: run/model.safetensors: is read-only"), "{ran}");
    let after = place.files();
    let same = |name: &str| before.get(name) == after.get(name);
    assert!(
        same("run/model.safetensors")
            && same("run/checkpoint.safetensors")
            && same("run/metrics.jsonl")
    );
    std::fs::set_permissions(&path, writable).unwrap();
    place.ok(&resume);
    assert!(place.read("run/model.safetensors") == place.read("whole/model.safetensors"));
}
