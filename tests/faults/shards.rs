//! Trainings from tar files, with checkpoints within epochs, killed at any moment; and packing that
//! dies or fails wherever it changes the disk.

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use revox::rng::Stream;

use crate::checkpoint::position;
use crate::place::{Files, Place, has_fault_points, variable};
use crate::recipe::{data, model, rising, train};

/// Steps from one checkpoint to the next.
const EVERY: u64 = 3;
/// Steps of an epoch: batches of four, of twelve utterances, eight times each.
const STEPS: u64 = 24;
/// How often a test measures what a kill would lose.
const MEASURED: usize = 8;
const CHECKPOINT: &str = "run/checkpoint.safetensors";

/// Numbers of threads that prepare batches.
const THREADS: [&str; 4] = ["data.threads=3", "data.threads=1", "data.threads=4", "data.threads=2"];

/// A place with tar files of two utterances each, and a recipe that trains from them. No decoded
/// audio is kept, so each crop is read from its tar file.
fn place() -> Place {
    let place = Place::with_corpus();
    place.ok(&["pack", "corpus/train", "shards", "--per-shard", "2"]);
    let lines = "train = \"shards\"\ndev = \"corpus/dev\"\npasses = 8\nspeeds = [1.0, 1.1]\n\
                 shard_mix = 2\ncache_mib = 0\n";
    let masks = "[augment.spec]\n".to_owned();
    let checkpoints = format!("keep = 2\ncheckpoint_every = \"{EVERY} steps\"\n");
    let recipe = [data(lines), masks, model(16, 4), rising(1), train(2, &checkpoints)].concat();
    place.write("shards.toml", recipe.as_bytes());
    place
}

/// A run in a folder. `turn` chooses the number of threads.
fn run(place: &Place, out: &str, turn: usize) -> Vec<String> {
    let threads = THREADS[turn % THREADS.len()];
    let args = ["train", "shards.toml", "--out", out, "--set", threads];
    let resume = place.has(&format!("{out}/checkpoint.safetensors")).then_some("--resume");
    args.into_iter().chain(resume).map(str::to_owned).collect()
}

fn words(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

/// The weights of a run's model, bit for bit. Its file also has the recipe, with the number of
/// threads.
fn weights(place: &Place, out: &str) -> Vec<(String, Vec<u32>)> {
    let path = place.path(out).join("model.safetensors");
    let (tensors, _) = revox::model_file::read_safetensors(&path).unwrap();
    let bits = |(name, data): (String, burn::tensor::TensorData)| {
        let bits: Vec<u32> = data.iter::<f32>().map(f32::to_bits).collect();
        (name, bits)
    };
    tensors.0.into_iter().map(bits).collect()
}

/// How long a run without kills takes, and its weights.
fn whole(place: &Place) -> (Duration, Vec<(String, Vec<u32>)>) {
    let begun = Instant::now();
    place.ok(&words(&run(place, "whole", 1)));
    let took = begun.elapsed();
    (took, weights(place, "whole"))
}

#[test]
fn kills_at_any_moment_lead_to_the_same_model() {
    let kills = variable("REVOX_KILLS", 20);
    let place = place();
    let (longest, wanted) = whole(&place);
    let (mut stream, mut landed, mut turn) = (Stream::new(2, "kills", &[]), 0, 0);
    for number in 0.. {
        let out = format!("run{number}");
        let checkpoint = format!("{out}/checkpoint.safetensors");
        let mut reached = (1, 0);
        loop {
            let mut running = place.start(&words(&run(&place, &out, turn)));
            turn += 1;
            if landed < kills {
                std::thread::sleep(longest.mul_f64(0.8 * stream.uniform()));
                running.kill();
            }
            let ran = running.end().unwrap();
            if ran.code() == Some(0) {
                break;
            }
            assert!(landed < kills && ran.status.signal() == Some(9), "kill {landed}: {ran}");
            landed += 1;
            if place.has(&checkpoint) {
                let now = position(&place.read(&checkpoint));
                assert!(now >= reached, "from {reached:?} back to {now:?}");
                reached = now;
            }
        }
        assert!(weights(&place, &out) == wanted, "another model after {landed} kills");
        if landed == kills {
            break;
        }
        assert!(number < 10 * kills, "{landed} of {kills} kills came in time");
    }
    assert_eq!(place.temporaries(), [""; 0]);
}

/// Steps up to the newest checkpoint, if there is one.
fn saved(place: &Place) -> Option<u64> {
    let bytes = place.has(CHECKPOINT).then(|| place.read(CHECKPOINT))?;
    let (epoch, batch) = position(&bytes);
    Some((epoch - 1) * STEPS + batch)
}

/// What is on disk while a process stands still is what a kill would leave of it. Asked to end, the
/// process goes on to the end of its step and saves everything, which tells how far it was.
#[test]
fn a_kill_loses_few_steps() {
    let place = place();
    let (longest, wanted) = whole(&place);
    let (mut stream, mut measured) = (Stream::new(3, "moments", &[]), 0);
    for turn in 0.. {
        if measured == MEASURED {
            break;
        }
        assert!(turn < 20 * MEASURED, "{measured} of {MEASURED} moments came in time");
        let mut running = place.start(&words(&run(&place, "run", turn)));
        std::thread::sleep(longest.mul_f64(0.5 * stream.uniform()));
        running.signal("STOP");
        let before = saved(&place);
        running.signal("TERM");
        running.signal("CONT");
        let ran = running.end().unwrap();
        match (ran.code(), before.zip(saved(&place))) {
            (Some(0), _) => {
                assert!(weights(&place, "run") == wanted, "another model");
                std::fs::remove_dir_all(place.path("run")).unwrap();
            }
            (Some(143), Some((before, after))) => {
                // A checkpoint counts when it is whole. Meanwhile some steps of the next are made.
                let lost = after.checked_sub(before);
                assert!(
                    lost.is_some_and(|lost| lost <= EVERY + 1),
                    "step {after} was lost up to {before}: {ran}"
                );
                measured += 1;
            }
            // It had not begun.
            (Some(143), None) => {}
            _ => assert_eq!(ran.status.signal(), Some(15), "{ran}"),
        }
    }
    place.ok(&words(&run(&place, "run", 0)));
    assert!(weights(&place, "run") == wanted, "another model");
}

/// The files that packing makes. The list has the place's own path.
fn packed(place: &Place) -> Files {
    let is_ours = |name: &str| {
        name.starts_with("shards/") && !name.contains("/.revox-") && name != "shards/shard.list"
    };
    place.files().into_iter().filter(|(name, _)| is_ours(name)).collect()
}

#[test]
fn packing_makes_everything_or_nothing() {
    if !has_fault_points() {
        return;
    }
    let args = ["pack", "corpus/train", "shards", "--per-shard", "5"];
    let base = Place::with_corpus();
    let (whole, log) = (base.copy(), Place::empty());
    let ran =
        whole.run_with(&args, "REVOX_FAULT_LOG", log.path("points").to_str().unwrap()).unwrap();
    assert_eq!(ran.code(), Some(0), "{ran}");
    let wanted = packed(&whole);
    assert_eq!(wanted.len(), 3 + 3, "{:?}", wanted.keys());
    let text = String::from_utf8(log.read("points")).unwrap();
    assert!(text.lines().count() > 20, "{text}");
    for (point, mode) in text.lines().zip(["kill", "once"].into_iter().cycle()) {
        let fault = format!("{mode}@{point}");
        let place = base.copy();
        let ran = place.run_with(&args, "REVOX_FAULT", &fault).unwrap();
        assert!(ran.err.contains("fault injected") && !ran.err.contains("panicked"), "{ran}");
        // Folders that cannot be synced or removed do no harm.
        let possible = if mode == "kill" { [99, 99] } else { [0, 1] };
        assert!(ran.code().is_some_and(|code| possible.contains(&code)), "{fault}: {ran}");
        if !place.has("shards") {
            place.ok(&args);
        }
        assert!(packed(&place) == wanted && place.has("shards/shard.list"), "{fault}: {ran}");
        // The lock of a killed process stays until another one comes.
        let mut left = place.temporaries();
        left.retain(|path| !path.ends_with("/shards/.revox-lock"));
        assert_eq!(left, [""; 0], "{fault}");
    }
}
