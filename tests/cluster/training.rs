//! `mpirun -n 2 revox train`: the quickstart's recipe, reduced to a moment.

use std::collections::BTreeMap;

use safetensors::SafeTensors;
use serde_json::Value;

use crate::job::{Job, ok, run};
use crate::launch;
use crate::place::Place;

/// What makes the quickstart small. Rank 0 makes the corpus. The last epoch alone is tested, so the
/// model is that of the last epoch.
const REDUCED: [&str; 11] = [
    "data.synth={ out = 'corpus', speakers = 4, dev_speakers = 4, utterances = 4, seconds = 1.0 }",
    "data.frames=50",
    "model.width=2",
    "model.mels=24",
    "model.embedding_dim=8",
    "margin.increase_start_epoch=2",
    "margin.fix_start_epoch=3",
    "train.batch_size=4",
    "train.epochs=3",
    "train.validate_every=3",
    "train.checkpoint_every=\"5 steps\"",
];

/// A training of 3 epochs, each with four steps a pass.
pub fn train<'a>(out: &'a str, passes: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["train", "quickstart.toml", "--quiet", "--out", out];
    args.extend(REDUCED.iter().chain([&passes]).flat_map(|change| ["--set", change]));
    args.extend(more);
    args
}

/// A place with the quickstart's recipe; nothing where `mpirun` is missing.
pub fn place() -> Option<Place> {
    if !launch::is_there() {
        return None;
    }
    let place = Place::make();
    let recipe = concat!(env!("CARGO_MANIFEST_DIR"), "/recipes/quickstart.toml");
    std::fs::copy(recipe, place.path("quickstart.toml")).unwrap();
    Some(place)
}

/// The tensors of a model file or a checkpoint, its optimizer's record among them, without running
/// statistics.
pub fn weights(place: &Place, name: &str) -> BTreeMap<String, Vec<u8>> {
    let bytes = std::fs::read(place.path(name)).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let all = file.iter().filter(|(name, _)| !name.contains(".running_"));
    let all: BTreeMap<_, _> =
        all.map(|(name, view)| (name.to_owned(), view.data().to_vec())).collect();
    assert!(all.len() > 10, "{:?}", all.keys());
    all
}

/// What a run's log says of its steps.
fn log(place: &Place, out: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(place.path(out).join("metrics.jsonl")).unwrap();
    let keys = ["epoch", "step", "loss", "accuracy", "lr", "margin", "skipped_steps"];
    let of_steps = |line: &str| {
        let all: Value = serde_json::from_str(line).unwrap();
        Value::from(keys.map(|key| all[key].clone()).to_vec())
    };
    text.lines().map(of_steps).collect()
}

/// Two trainings took the same steps to the same weights and optimizer states, bit for bit. What
/// may differ: running statistics, which one process moves from turn to turn, while ranks take
/// their mean; so rates, thresholds and the DET curve; and what the recipe says of
/// `train.accumulate`.
pub fn assert_same_steps(place: &Place, ours: &str, wanted: &str) {
    for name in ["model.safetensors", "checkpoint.safetensors"] {
        let [ours, wanted] = [ours, wanted].map(|out| weights(place, &format!("{out}/{name}")));
        let names = ours.keys().chain(wanted.keys());
        let differ: Vec<_> = names.filter(|name| ours.get(*name) != wanted.get(*name)).collect();
        assert!(differ.is_empty(), "{name}: {differ:?}");
    }
    assert_eq!(log(place, ours), log(place, wanted));
    assert_eq!(log(place, ours).len(), 3);
}

/// The corpus is made first, by rank 0 alone, which alone reports.
#[test]
fn two_ranks_are_one_process_in_two_turns() {
    let Some(place) = place() else { return };
    let said = ok(&place, 2, &train("two", "data.passes=2", &[]));
    assert_eq!(said.matches("dev EER").count(), 1, "{said}");
    place.ok(&train("one", "data.passes=2", &["--accumulate", "2"]));
    assert_same_steps(&place, "two", "one");
    let files = |out: &str| -> Vec<String> {
        let all = place.list(out).into_iter();
        all.filter(|name| !name.starts_with("checkpoint-")).collect()
    };
    assert_eq!(files("two"), files("one"));
    // Ranks are no turns where BatchNorm sees the whole batch.
    let synchronised = ["--set", "train.sync_batch_norm=true"];
    ok(&place, 2, &train("whole", "data.passes=2", &synchronised));
    assert!(weights(&place, "whole/model.safetensors") != weights(&place, "two/model.safetensors"));
}

/// Of AdamW, which has two moments to divide. One process goes on with either.
#[test]
fn ranks_that_divide_the_states_write_the_same_tensors() {
    let Some(place) = place() else { return };
    let ways = [("whole", "train.shard_states=false"), ("divided", "train.shard_states=true")];
    let adamw = ["--set", "optimizer=adamw", "--set", "train.epochs=2"];
    for (out, way) in ways {
        ok(&place, 2, &train(out, "data.passes=2", &[&adamw[..], &["--set", way]].concat()));
    }
    for name in ["model.safetensors", "checkpoint.safetensors"] {
        let read = |out: &str| weights(&place, &format!("{out}/{name}"));
        assert!(read("divided") == read("whole"), "{name}");
    }
    let turns = ["--accumulate", "2", "--resume", "--accept", "train.accumulate"];
    for (out, way) in ways {
        let more = [&adamw[..2], &["--set", way], &turns].concat();
        place.ok(&train(out, "data.passes=2", &more));
    }
    assert_same_steps(&place, "divided", "whole");
}

/// All ranks fail with these words, each group of words on one line, and nothing is made.
fn refused(place: &Place, shares: &[(usize, &[&str])], wanted: &[&[&str]]) {
    let before = place.list(".");
    let ran = Job::start(place, &[], shares).end();
    assert!(ran.code != 0 && !ran.err.contains("panicked"), "{}: {}", ran.code, ran.err);
    for group in wanted {
        let is_told = |line: &str| group.iter().all(|words| line.contains(words));
        assert!(ran.err.lines().any(is_told), "{group:?} is not in: {}", ran.err);
    }
    assert_eq!(place.list("."), before);
}

#[test]
fn ranks_of_other_recipes_are_refused() {
    let Some(place) = place() else { return };
    let ours = train("run", "data.passes=2", &[]);
    let other = train("run", "data.passes=2", &["--seed", "4"]);
    let words = "rank 1 differs from rank 0: recipe (seed = 4, on rank 0 1)";
    let all = [&["revox: ", words][..], &["revox (rank 1 of 2): ", words]];
    refused(&place, &[(1, &ours), (1, &other)], &all);
    let wanted = "cannot be divided among 3 ranks of 1 device and 1 turn: each part needs 2";
    let json = [&ours[..], &["--json"]].concat();
    // The corpus is made before that, and stays.
    let ran = run(&place, 3, &json);
    assert!(ran.code != 0 && ran.err.matches(wanted).count() == 3, "{}", ran.err);
    let said: Value = serde_json::from_str(&ran.out).unwrap();
    assert!(said["error"].as_str().unwrap().contains(wanted), "{said}");
    assert_eq!(place.list("."), ["corpus", "quickstart.toml"]);
}

/// A file is in the way: no rank can make a folder in it, whoever runs the test.
#[test]
fn folders_that_a_rank_cannot_have_are_refused() {
    let Some(place) = place() else { return };
    let inside = train("quickstart.toml/run", "data.passes=2", &[]);
    let words = "quickstart.toml/run: cannot create: ";
    let all =
        [&["revox: ", words][..], &["revox (rank 1 of 2): rank 0 (host ", ") failed: ", words]];
    refused(&place, &[(2, &inside)], &all);
    // As on a machine that does not share the folder.
    let ours = train("run", "data.passes=2", &[]);
    let other = train("elsewhere", "data.passes=2", &[]);
    let words = "elsewhere: is not there: every rank has to see the folder of the run";
    let all =
        [&["revox (rank 1 of 2): ", words][..], &["revox: rank 1 (host ", ") failed: ", words]];
    refused(&place, &[(1, &ours), (1, &other)], &all);
}
