//! Trainings whose features the device makes, killed at any moment.

use std::os::unix::process::ExitStatusExt;
use std::time::Instant;

use revox::rng::Stream;

use crate::place::Place;

/// Kills.
const KILLS: usize = 6;

/// A run in a folder, which goes on if there is a checkpoint. Batches have two parts.
fn run<'a>(place: &Place, out: &'a str) -> Vec<&'a str> {
    let sets = ["data.features=device", "data.passes=6", "train.accumulate=2"];
    let sets = sets.into_iter().flat_map(|set| ["--set", set]);
    let resume = place.has(&format!("{out}/checkpoint.safetensors")).then_some("--resume");
    ["train", "masked.toml", "--out", out].into_iter().chain(sets).chain(resume).collect()
}

#[test]
fn kills_change_no_model() {
    let place = Place::with_corpus();
    let recipe = String::from_utf8(place.read("r.toml")).unwrap();
    place.write("masked.toml", (recipe + "[augment.spec]\n").as_bytes());
    let begun = Instant::now();
    place.ok(&run(&place, "whole"));
    let (longest, wanted) = (begun.elapsed(), place.read("whole/model.safetensors"));
    let (mut stream, mut landed) = (Stream::new(4, "kills", &[]), 0);
    for number in 0.. {
        let out = format!("run{number}");
        loop {
            let mut running = place.start(&run(&place, &out));
            if landed < KILLS {
                std::thread::sleep(longest.mul_f64(0.8 * stream.uniform()));
                running.kill();
            }
            let ran = running.end().unwrap();
            if ran.code() == Some(0) {
                break;
            }
            assert!(landed < KILLS && ran.status.signal() == Some(9), "kill {landed}: {ran}");
            landed += 1;
        }
        let model = place.read(&format!("{out}/model.safetensors"));
        assert!(model == wanted, "another model after {landed} kills");
        if landed == KILLS {
            break;
        }
        assert!(number < 10 * KILLS, "{landed} of {KILLS} kills came in time");
    }
    assert_eq!(place.temporaries(), [""; 0]);
}
