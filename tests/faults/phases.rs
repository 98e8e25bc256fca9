//! Trainings of two phases that are killed within each and between them.

use crate::place::{Place, Running};

/// A second phase with longer crops.
const PHASES: &str = "[large_margin]\nepochs = 2\nframes = 60\ninitial_lr = 0.01\n\
                      final_lr = 0.001\nbatch_size = 2\n";
/// The model of the second phase.
const MODEL: &str = "large_margin/model.safetensors";

fn place() -> Place {
    let place = Place::with_corpus();
    let recipe = String::from_utf8(place.read("r.toml")).unwrap();
    place.write("both.toml", (recipe + PHASES).as_bytes());
    place
}

fn train<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["train", "both.toml", "--out", out][..], more].concat()
}

/// Kills a run as soon as a file is there, unless it is over by then.
fn killed_at(place: &Place, mut running: Running, file: &str) {
    while !place.has(file) && !running.is_over() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    running.kill();
    running.end().unwrap();
}

#[test]
fn a_kill_in_either_phase_or_between_them_changes_nothing() {
    let place = place();
    place.ok(&train("whole", &[]));
    let wanted = place.read(&format!("whole/{MODEL}"));
    // The last file of the first phase, and the first ones of the second.
    let moments = [
        "run/checkpoint.safetensors",
        "run/metrics.jsonl",
        "run/det.svg",
        "run/large_margin/recipe.lock.toml",
        "run/large_margin/checkpoint.safetensors",
        "run/large_margin/metrics.jsonl",
    ];
    for moment in moments {
        killed_at(&place, place.start(&train("run", &[])), moment);
        let before = place.has("run/metrics.jsonl").then(|| place.read("run/metrics.jsonl"));
        place.ok(&train("run", &["--resume"]));
        assert!(place.read(&format!("run/{MODEL}")) == wanted, "another model after {moment}");
        if moment.contains("large_margin") {
            // The first phase is not repeated.
            assert!(before == Some(place.read("run/metrics.jsonl")), "{moment}");
        }
        std::fs::remove_dir_all(place.path("run")).unwrap();
    }
    assert_eq!(place.temporaries(), [""; 0]);
}

/// A first phase that was trained without the section gets its second one.
#[test]
fn a_second_phase_can_follow_later() {
    let place = place();
    place.ok(&train("whole", &[]));
    place.ok(&["train", "r.toml", "--out", "run"]);
    let ran = place.ok(&train("run", &["--resume"]));
    assert!(ran.err.contains("second phase: 2 epochs with crops of 60 frames"), "{ran}");
    let models = ["run", "whole"].map(|run| place.read(&format!("{run}/{MODEL}")));
    assert!(models[0] == models[1]);
    let ran = place.run(&train("run", &["--resume", "--set", "train.epochs=9"]));
    assert!(ran.code() == Some(1) && ran.err.contains("has begun with the model"), "{ran}");
}
