//! `mpirun -n 2 revox embed`: the file of one process.

use std::process::Command;

use serde_json::Value;

use crate::job::{Job, is_running, ok, run, wait_for};
use crate::launch;
use crate::place::Place;

/// The recording with this number. Those with odd ones are rank 1's, of two.
fn record(place: &Place, i: u32) {
    place.wav(&format!("{i}.wav"), 0.4 + 0.1 * f64::from(i % 3), 90.0 + 17.0 * f64::from(i));
}

/// A model and a corpus of seven recordings; nothing where `mpirun` is missing.
fn place() -> Option<Place> {
    if !launch::is_there() {
        return None;
    }
    let place = Place::make();
    place.model("m.safetensors");
    let (mut files, mut speakers) = (String::new(), String::new());
    for i in 0..7 {
        record(&place, i);
        files += &format!("u{i} {i}.wav\n");
        speakers += &format!("u{i} s{}\n", i % 2);
    }
    place.write("wav.scp", &files);
    place.write("utt2spk", &speakers);
    Some(place)
}

/// The command that embeds the corpus.
fn embed<'a>(output: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["embed", "m.safetensors", "--data", ".", "-o", output][..], more].concat()
}

fn bytes(place: &Place, name: &str) -> Vec<u8> {
    std::fs::read(place.path(name)).unwrap()
}

/// Nothing is left beside the output.
fn is_tidy(place: &Place) -> bool {
    !place.list(".").iter().any(|name| name.contains("-of-") || name.ends_with(".part"))
}

#[test]
fn ranks_write_the_file_of_one_process() {
    let Some(place) = place() else { return };
    let wanted = place.json(&embed("whole", &[]));
    for (ranks, out) in [(1, "one"), (2, "two"), (3, "three")] {
        let said = ok(&place, ranks, &embed(out, &["--json"]));
        let mut said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(said["output"], out);
        said["output"] = wanted["output"].clone();
        assert_eq!(said, wanted);
        assert!(bytes(&place, out) == bytes(&place, "whole"), "{ranks} ranks");
    }
    assert!(is_tidy(&place), "{:?}", place.list("."));
}

/// What a killed run of three ranks has left, two ranks and one name, and leave where it is.
#[test]
fn shares_of_another_number_of_ranks_are_named() {
    let Some(place) = place() else { return };
    place.write("two.3-of-3.part", "");
    for ranks in [1, 2] {
        let ran = run(&place, ranks, &embed("two", &[]));
        assert_eq!(ran.code, 0, "{}", ran.err);
        let warned = ran.err.matches("processes has left two.3-of-3.part; unless").count();
        assert_eq!(warned, 1, "{}", ran.err);
        assert!(place.path("two.3-of-3.part").exists());
    }
}

#[test]
fn what_ranks_leave_out_is_what_one_process_leaves_out() {
    let Some(place) = place() else { return };
    for damaged in ["0.wav", "3.wav", "4.wav"] {
        place.write(damaged, "no audio");
    }
    let skip = |list: &'static str| ["--skip-errors", "--skipped", list];
    let said = place.ok(&embed("whole", &skip("whole.txt")));
    assert!(said.contains("4 embeddings of 16 values in whole; 3 files left out"), "{said}");
    let ours = ok(&place, 2, &embed("two", &skip("two.txt")));
    assert_eq!(ours, said.replace("whole", "two"));
    for (ours, wanted) in [("two", "whole"), ("two.txt", "whole.txt")] {
        assert!(bytes(&place, ours) == bytes(&place, wanted), "{ours}");
    }
}

#[test]
fn one_rank_s_fault_ends_all_and_the_same_command_goes_on() {
    let Some(place) = place() else { return };
    place.ok(&embed("whole", &[]));
    place.write("3.wav", "no audio");
    let ran = run(&place, 2, &embed("two", &[]));
    assert!(ran.code != 0 && !ran.err.contains("panicked"), "{}: {}", ran.code, ran.err);
    assert!(ran.err.contains("rank 1 ") && ran.err.contains("wav.scp:4: "), "{}", ran.err);
    assert!(!place.path("two").exists());
    record(&place, 3);
    ok(&place, 2, &embed("two", &[]));
    assert!(bytes(&place, "two") == bytes(&place, "whole"));
    assert!(is_tidy(&place), "{:?}", place.list("."));
}

/// Rank 1 waits for a recording that never comes, and is stopped. Rank 0, which is done, waits no
/// longer than it may.
#[test]
fn a_rank_that_hangs_is_named_and_removed() {
    let Some(place) = place() else { return };
    place.ok(&embed("whole", &[]));
    std::fs::remove_file(place.path("3.wav")).unwrap();
    let pipe = Command::new("mkfifo").arg(place.path("3.wav")).status().unwrap();
    assert!(pipe.success());
    let args = embed("two", &["--timeout", "0.1"]);
    let job = Job::start(&place, &[], &[(2, &args)]);
    wait_for("the share of rank 0", || place.path("two.1-of-2").exists().then_some(()));
    let process = job.signal(1, "STOP").unwrap();
    let ran = job.end();
    assert!(ran.code != 0, "{}", ran.err);
    let is_told = |line: &str| {
        line.starts_with("revox: rank 1 (host ")
            && line.contains(" did not come to ")
            && line.contains(" within 6 s")
    };
    assert!(ran.err.lines().any(is_told), "{}", ran.err);
    wait_for("the end of the rank that hangs", || (!is_running(process)).then_some(()));
    assert!(!place.path("two").exists());
    std::fs::remove_file(place.path("3.wav")).unwrap();
    record(&place, 3);
    ok(&place, 2, &args);
    assert!(bytes(&place, "two") == bytes(&place, "whole"));
    assert!(is_tidy(&place), "{:?}", place.list("."));
}

#[test]
fn what_ranks_cannot_do_together_is_refused() {
    let Some(place) = place() else { return };
    let before = place.list(".");
    let refused = |shares: &[(usize, &[&str])], wanted: &str| {
        let ran = Job::start(&place, &[], shares).end();
        assert!(ran.code != 0 && ran.out.is_empty(), "{}: {}", ran.code, ran.out);
        assert!(ran.err.contains(wanted) && !ran.err.contains("panicked"), "{}", ran.err);
        assert_eq!(place.list("."), before);
    };
    let shard = embed("e", &["--shard", "1/2"]);
    refused(&[(2, &shard)], "--shard is for one process: these 2 divide a list among them");
    let file = "e.npz: several processes write one safetensors file, and nothing else";
    refused(&[(2, &embed("e.npz", &[]))], file);
    let two = ["embed", "m.safetensors", "0.wav", "1.wav", "-o", "e"];
    refused(&[(3, &two)], "shard 3/3 is empty: the list has 2 utterances");
    let (ours, other) = (embed("e", &[]), embed("e", &["--window", "10"]));
    refused(&[(1, &ours), (1, &other)], "rank 1 differs from rank 0: window");
}
