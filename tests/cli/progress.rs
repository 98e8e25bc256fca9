//! What a training prints while it runs, where there is no terminal.

use crate::Place;
use crate::training::recipe;

#[test]
fn each_epoch_is_a_line_with_units_and_time_left() {
    let place = Place::make();
    place.write("r.toml", &recipe());
    let ran = place.run(&["train", "r.toml", "--out", "run"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let lines: Vec<&str> = ran.err.lines().filter(|l| l.starts_with("epoch ")).collect();
    assert_eq!(lines.len(), 3, "{}", ran.err);
    for (n, line) in (1..).zip(lines) {
        let parts: Vec<&str> = line.split("  ").collect();
        let (last, metrics) = parts[1..].split_last().unwrap();
        assert_eq!(parts[0], format!("epoch {n}/3"), "{line}");
        let names: Vec<&str> = metrics.iter().map(|m| m.split(' ').next().unwrap()).collect();
        assert_eq!(names, ["loss", "accuracy", "margin", "lr", "EER", "minDCF(0.01)"], "{line}");
        let percent: Vec<bool> = metrics.iter().map(|m| m.ends_with(" %")).collect();
        assert_eq!(percent, [false, true, false, false, true, false], "{line}");
        assert!(metrics[3].contains("e-"), "{line}");
        assert_eq!(last.ends_with(" left"), n < 3, "{line}");
    }
}

/// A training goes on when the reader of its output has gone.
#[test]
#[cfg(unix)]
fn a_closed_pipe_ends_the_output_and_not_the_training() {
    let place = Place::make();
    place.write("r.toml", &recipe());
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = place.command(&["train", "r.toml", "--out", "run"]);
    let status = command.stdout(writer.try_clone().unwrap()).stderr(writer).status().unwrap();
    assert_eq!(status.code(), Some(0), "{status}");
    let metrics = std::fs::read_to_string(place.path("run/metrics.jsonl")).unwrap();
    assert_eq!(metrics.lines().count(), 3, "{metrics}");
    assert!(place.path("run/model.safetensors").exists());
}

#[test]
fn quiet_is_quiet() {
    let place = Place::make();
    place.write("r.toml", &recipe());
    let ran = place.run(&["train", "r.toml", "--out", "run", "--quiet"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
}
