//! Trainings that are killed, asked to stop, and left without a terminal, at any moment.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use revox::rng::Stream;

use crate::checkpoint::position;
use crate::place::{Place, Ran, Running, variable};

/// Signals sent in turn. Half of them cannot be handled. SIGHUP is not among them, since `nohup`
/// has it ignored.
const SIGNALS: [(&str, i32); 4] = [("KILL", 9), ("TERM", 15), ("KILL", 9), ("INT", 2)];
const CHECKPOINT: &str = "run/checkpoint.safetensors";

/// A longer run, in a folder.
fn train(out: &str) -> Vec<&str> {
    vec!["train", "r.toml", "--set", "data.passes=8", "--out", out]
}

/// Whether a signal has ended a run: directly, if the program did not handle it, or with the exit
/// code that shells use for it.
fn is_ended_by(ran: &Ran, number: i32) -> bool {
    ran.status.signal() == Some(number) || number != 9 && ran.code() == Some(128 + number)
}

#[test]
fn any_number_of_signals_leads_to_the_same_model() {
    let signals = variable("REVOX_KILLS", 12);
    let place = Place::with_corpus();
    let begun = Instant::now();
    place.ok(&train("whole"));
    let (longest, wanted) = (begun.elapsed(), place.read("whole/model.safetensors"));
    let (mut stream, mut landed, mut stories) = (Stream::new(1, "signals", &[]), 0, Vec::new());
    for run in 0.. {
        let out = format!("run{run}");
        let (checkpoint, model) =
            (format!("{out}/checkpoint.safetensors"), format!("{out}/model.safetensors"));
        loop {
            let mut args = train(&out);
            args.extend(place.has(&checkpoint).then_some("--resume"));
            let mut running = place.start(&args);
            let (name, number) = SIGNALS[landed % SIGNALS.len()];
            if landed < signals {
                std::thread::sleep(longest.mul_f64(0.8 * stream.uniform()));
                running.signal(name);
            }
            let ran = running.end().unwrap();
            if ran.code() == Some(0) {
                break;
            }
            assert!(
                landed < signals && is_ended_by(&ran, number),
                "SIG{name} after {stories:?}: {ran}"
            );
            landed += 1;
            stories.push(format!("{name} in {out}"));
        }
        assert!(place.read(&model) == wanted, "another model than without {stories:?}");
        if landed == signals {
            break;
        }
        assert!(run < 10 * signals, "{landed} of {signals} signals came in time");
    }
    assert_eq!(place.temporaries(), [""; 0]);
}

/// A run under way in its second epoch, half an epoch after its last checkpoint.
fn under_way(place: &Place, args: &[&str]) -> Running {
    let mut running = place.start(args);
    place.wait_for(&mut running, CHECKPOINT);
    let begun = Instant::now();
    place.wait_for(&mut running, "run/metrics.jsonl");
    std::thread::sleep(begun.elapsed() / 2);
    running
}

#[test]
fn a_signal_in_mid_epoch_loses_nothing() {
    let place = Place::with_corpus();
    // Two epochs more than the one that is interrupted.
    let sets = ["train.checkpoint_every=15min", "data.passes=24", "train.epochs=4"];
    let more: Vec<&'static str> = sets.iter().flat_map(|&set| ["--set", set]).collect();
    let args = |out: &'static str, last: &[&'static str]| -> Vec<&'static str> {
        [&["train", "r.toml", "--out", out][..], &more, last].concat()
    };
    place.ok(&args("whole", &[]));
    let wanted = place.read("whole/model.safetensors");
    for (name, number) in [("TERM", 15), ("INT", 2), ("HUP", 1)] {
        let mut running = under_way(&place, &args("run", &[]));
        let at = || position(&place.read(CHECKPOINT));
        let before = at();
        running.signal(name);
        let ran = running.end().unwrap();
        assert_eq!(ran.code(), Some(128 + number), "SIG{name}: {ran}");
        assert!(ran.err.contains("--resume") && ran.err.contains(CHECKPOINT), "{ran}");
        // Without a checkpoint for the signal the one at the end of the epoch would be there.
        let after = at();
        assert!(
            after >= before && after > (2, 0),
            "SIG{name}: from {before:?} to {after:?}: {ran}"
        );
        place.ok(&args("run", &["--resume"]));
        assert!(place.read("run/model.safetensors") == wanted, "another model after SIG{name}");
        std::fs::remove_dir_all(place.path("run")).unwrap();
    }
}

/// Steps take seconds, and the first signal waits for the end of one. Systems send SIGTERM twice,
/// so a second one counts only after a while.
#[test]
fn a_second_signal_does_not_wait() {
    let place = Place::with_corpus();
    let sets = [
        "train.checkpoint_every=15min",
        "data.passes=128",
        "train.batch_size=512",
        "train.accumulate=8",
    ];
    let slower = ["data.frames=400", "model.width=4"];
    let sets: Vec<&str> = sets.iter().chain(&slower).flat_map(|&set| ["--set", set]).collect();
    for (name, number, pause) in [("INT", 2, 200), ("TERM", 15, 1200)] {
        let mut running = place.start(&[&["train", "r.toml", "--out", "run"][..], &sets].concat());
        place.wait_for(&mut running, CHECKPOINT);
        std::thread::sleep(Duration::from_millis(100));
        running.signal(name);
        std::thread::sleep(Duration::from_millis(pause));
        let second = Instant::now();
        running.signal(name);
        let ran = running.end().unwrap();
        assert!(second.elapsed() < Duration::from_secs(2), "{:?}: {ran}", second.elapsed());
        assert_eq!(ran.code(), Some(128 + number), "{ran}");
        // The checkpoint from before is intact.
        assert!(crate::sign::is_signed(&place.read(CHECKPOINT)));
        std::fs::remove_dir_all(place.path("run")).unwrap();
    }
}

/// A training goes on when the reader of its output has gone.
#[test]
fn a_training_needs_nobody_who_reads() {
    let place = Place::with_corpus();
    place.ok(&train("whole"));
    let mut child =
        place.command(&train("run")).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(place.read("run/model.safetensors") == place.read("whole/model.safetensors"));
    assert_eq!(place.temporaries(), [""; 0]);
}
