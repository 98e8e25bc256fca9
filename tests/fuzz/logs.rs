//! The log of a run that is resumed. Whatever it contains, the run goes on or says why not.

use std::path::Path;
use std::process::{Command, Stdio};

use revox::rng::Stream;

use crate::recipe::{data, lists, model, train};
use crate::runner::{Outcome, Target, Verdict, run};
use crate::text::text;

fn recipe() -> String {
    let checkpoints = "checkpoint_every = \"1 steps\"\n";
    [data(&lists("corpus")), model(16, 4), train(2, checkpoints)].concat()
}

/// Runs the program in a folder: its exit code, and what it says.
fn program(folder: &Path, args: &[&str], fault: Option<&str>) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_revox"));
    command.args(args).current_dir(folder).stdin(Stdio::null()).env("RAYON_NUM_THREADS", "1");
    command.envs(fault.map(|fault| ("REVOX_FAULT", fault)));
    let output = command.output().expect("the program");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Resumes the run with another log in the place of its own.
fn resume(folder: &Path, log: &[u8]) -> Outcome {
    let again = folder.join("again");
    let _ = std::fs::remove_dir_all(&again);
    std::fs::create_dir(&again).map_err(|e| e.to_string())?;
    for entry in std::fs::read_dir(folder.join("run")).map_err(|e| e.to_string())? {
        let entry = entry.map_err(|e| e.to_string())?;
        std::fs::copy(entry.path(), again.join(entry.file_name())).map_err(|e| e.to_string())?;
    }
    let path = again.join("metrics.jsonl");
    std::fs::write(&path, log).map_err(|e| e.to_string())?;
    match program(folder, &["train", "r.toml", "--out", "again", "--resume", "--quiet"], None) {
        (Some(0), _) => {
            let text = std::fs::read_to_string(&path).map_err(|e| e.to_string())?;
            let epoch = |line: &str| {
                serde_json::from_str::<serde_json::Value>(line).ok()?["epoch"].as_u64()
            };
            let epochs: Option<Vec<u64>> = text.lines().map(epoch).collect();
            match epochs.as_deref() {
                Some([before @ .., 2]) if before.iter().all(|&epoch| epoch < 2) => {
                    Ok(Verdict::Read)
                }
                _ => Err(format!("a log that is none: {text:.1000}")),
            }
        }
        (Some(1), error)
            if error.contains("again/metrics.jsonl") && !error.contains("panicked") =>
        {
            Ok(Verdict::Refused)
        }
        (code, error) => Err(format!("exit code {code:?}: {error:.1000}")),
    }
}

#[test]
fn metrics_logs() {
    if !cfg!(debug_assertions) {
        eprintln!("skipped: builds without debug assertions have no fault that cuts a run off");
        return;
    }
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path();
    let sizes = ["--speakers", "3", "--dev-speakers", "3", "--utterances", "4", "--seconds", "0.7"];
    let (code, error) = program(folder, &[&["synth", "corpus"][..], &sizes].concat(), None);
    assert_eq!(code, Some(0), "{error}");
    std::fs::write(folder.join("r.toml"), recipe()).expect("a recipe");
    // The run is cut off at the end of its second epoch, so that resuming takes only a moment.
    let fault = Some("kill@append metrics.jsonl 2");
    let (code, error) = program(folder, &["train", "r.toml", "--out", "run"], fault);
    assert_eq!(code, Some(99), "{error}");
    let log = std::fs::read(folder.join("run/metrics.jsonl")).expect("a log");
    let good = vec![
        log,
        Vec::new(),
        b"{\"epoch\":1}\n".to_vec(),
        b"{\"epoch\":1,\"loss\":2.5,\"ee".to_vec(),
    ];
    let words = [
        "epoch",
        "loss",
        "accuracy",
        "lr",
        "margin",
        "eer",
        "min_dcf",
        "0.01",
        "skipped_steps",
        "seconds",
    ];
    run(&Target {
        name: "metrics_logs",
        file: "metrics.jsonl",
        good: &good,
        make: &|stream: &mut Stream| text(stream, &good, &words),
        read: &|_, bytes| resume(folder, bytes),
    });
}
