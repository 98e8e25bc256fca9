//! Ranks of a training that die or hang in the middle, and trainings that go on with another number
//! of ranks.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::checkpoint::position;
use crate::job::{Job, is_running, ok, wait_for};
use crate::place::{Place, Ran};
use crate::training::{assert_same_steps, place, train};

/// Epochs of 80 steps, so that there is a middle.
const LONGER: &str = "data.passes=20";
/// A training that is over before it was struck begins anew, so often.
const TRIES: usize = 8;
/// What an end may take that the default of `--timeout`, 5 minutes, has no part in.
const SOON: Duration = Duration::from_secs(120);

/// A rank that was struck, and what came of it.
struct Struck {
    ran: Ran,
    /// From the signal to the end of all ranks.
    took: Duration,
}

/// Epoch and batch of a run's checkpoint; (1, 0) without one.
fn reached(place: &Place, out: &str) -> (u64, u64) {
    let file = std::fs::read(place.path(out).join("checkpoint.safetensors"));
    file.map_or((1, 0), |bytes| position(&bytes))
}

/// Two ranks begin a training in the folder `out`. When it has a checkpoint with steps, one of them
/// gets a signal. It is gone in the end.
fn strike(place: &Place, out: &str, options: &[&str], (rank, name): (usize, &str)) -> Struck {
    let args = train(out, LONGER, &["--timeout", "0.1"]);
    for _ in 0..TRIES {
        let mut job = Job::start(place, options, &[(2, &args)]);
        wait_for("a checkpoint", || (job.is_over() || reached(place, out) > (1, 0)).then_some(()));
        let begun = Instant::now();
        let process = job.signal(rank, name);
        let (ran, took) = (job.end(), begun.elapsed());
        let is_whole = place.path(out).join("model.safetensors").exists();
        if let (Some(process), false) = (process, is_whole) {
            wait_for("the end of the rank", || (!is_running(process)).then_some(()));
            return Struck { ran, took };
        }
        // The signal came too late.
        std::fs::remove_dir_all(place.path(out)).unwrap();
    }
    panic!("no signal came in time");
}

/// The run goes on behind the first step, and its model is that of an uninterrupted one, byte for
/// byte.
fn goes_on(place: &Place, out: &str) {
    assert!(reached(place, out) > (1, 0));
    ok(place, 2, &train(out, LONGER, &["--resume"]));
    let whole = train("whole", LONGER, &[]);
    ok(place, 2, &whole);
    let model = |out: &str| std::fs::read(place.path(out).join("model.safetensors")).unwrap();
    assert!(model(out) == model("whole"), "interrupted and resumed = uninterrupted");
}

/// The launcher ends the others, and says which rank was killed. Then one process goes on, in two
/// turns for the two ranks, is killed too, and two ranks make the end.
#[test]
fn a_rank_that_is_killed_ends_all_and_any_number_of_ranks_goes_on() {
    let Some(place) = place() else { return };
    let Struck { ran, took } = strike(&place, "many", &[], (1, "KILL"));
    assert!(ran.code != 0 && took < SOON, "{} after {took:?}: {}", ran.code, ran.err);
    assert!(ran.err.contains("rank 1 ") && ran.err.contains("signal 9"), "{}", ran.err);
    let before = reached(&place, "many");
    let accept = ["--resume", "--accept", "train.accumulate"];
    let turns = [&accept[..], &["--accumulate", "2"]].concat();
    let mut one = place.command(&train("many", LONGER, &turns));
    let mut one = one.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("a later checkpoint", || {
        (one.try_wait().unwrap().is_some() || reached(&place, "many") > before).then_some(())
    });
    one.kill().unwrap();
    one.wait().unwrap();
    assert!(reached(&place, "many") > before, "{before:?}");
    ok(&place, 2, &train("many", LONGER, &accept));
    place.ok(&train("one", LONGER, &["--accumulate", "2"]));
    assert_same_steps(&place, "many", "one");
}

/// The other rank waits no longer than it may. The launcher removes the one that hangs.
#[test]
fn a_rank_that_hangs_is_named_and_removed() {
    let Some(place) = place() else { return };
    let Struck { ran, took } = strike(&place, "run", &[], (1, "STOP"));
    assert!(ran.code != 0 && took < SOON, "{} after {took:?}: {}", ran.code, ran.err);
    let is_told = |line: &str| {
        line.starts_with("revox: rank 1 (host ")
            && line.contains(" did not come to ")
            && line.contains(" within 6 s")
    };
    assert!(ran.err.lines().any(is_told), "{}", ran.err);
    goes_on(&place, "run");
}

/// As under launchers that let the others live, such as `srun`. Rank 0 is the one that writes.
#[test]
fn a_dead_rank_is_named_where_the_launcher_does_nothing() {
    let Some(place) = place() else { return };
    let options = ["--enable-recovery"];
    // `mpirun` ends well then, whatever the others do.
    let Struck { ran, took } = strike(&place, "run", &options, (0, "KILL"));
    assert!(took < SOON, "{took:?}: {}", ran.err);
    let is_told = |line: &str| {
        line.starts_with("revox (rank 1 of 2): rank 0 (host ") && line.contains(" did not come to ")
    };
    assert!(ran.err.lines().any(is_told), "{}", ran.err);
    goes_on(&place, "run");
}
