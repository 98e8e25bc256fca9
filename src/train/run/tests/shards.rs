//! Runs of ranks that divide the optimizer's states, against runs of ranks that do not.

use super::ranks::{audio, by_ranks, errors, log, weights};
use super::*;

const SHARDS: &str = "train.shard_states=true";

/// The checkpoints of a run by their names.
fn checkpoints(place: &Place, out: &str) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(place.path(out)).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let all = entries.map(|path| (name(&path), path));
    let all = all.filter(|(name, _)| name.starts_with("checkpoint"));
    all.map(|(name, path)| (name, std::fs::read(path).unwrap())).collect()
}

fn ok(results: Vec<Result<Report>>) {
    results.into_iter().for_each(|result| drop(result.unwrap()));
}

/// All checkpoints of a run are those of a run with undivided states, byte for byte.
fn compare(ranks: usize, optimizer: &[&str]) {
    let place = Place::new();
    let ours = ["train.epochs=1", "train.checkpoint_every=2 steps", "train.keep=3"];
    let ours = [&ours[..], &["train.batch_size=6"], optimizer].concat();
    let divided = [&ours[..], &[SHARDS]].concat();
    for (out, changes) in [("whole", &ours), ("divided", &divided)] {
        ok(by_ranks(&place, ranks, Way { out, changes, ..Way::default() }, |_, _, _| ()));
    }
    let [ours, wanted] = ["divided", "whole"].map(|out| checkpoints(&place, out));
    assert_eq!(wanted.keys().collect::<Vec<_>>(), ours.keys().collect::<Vec<_>>());
    assert!(wanted.len() > 1 && ours == wanted, "{optimizer:?}");
    assert!(place.tensors("divided") == place.tensors("whole"), "{optimizer:?}");
    assert_eq!(log(&place, "divided"), log(&place, "whole"));
}

#[test]
fn two_ranks_divide_the_states_of_sgd() {
    compare(2, &["optimizer=sgd"]);
}

#[test]
fn three_ranks_divide_the_states_of_adamw() {
    compare(3, &["optimizer=adamw", "schedule.factors.projection=0.5"]);
}

#[test]
fn three_ranks_divide_8_bits_of_momentum() {
    compare(3, &["optimizer=sgd8bit", "optimizer.states.min_size=16"]);
}

#[test]
fn two_ranks_divide_8_bits_of_moments() {
    let frozen = "train.freeze=[\"projection\"]";
    compare(2, &["optimizer=adamw8bit", "optimizer.states.min_size=16", frozen]);
}

#[test]
fn one_rank_is_not_changed() {
    let place = Place::new();
    place.ok("whole", &["train.epochs=1"]);
    place.ok("divided", &["train.epochs=1", SHARDS]);
    assert!(checkpoints(&place, "divided") == checkpoints(&place, "whole"));
}

/// Two ranks that divide states, one process in two turns, two ranks that divide states, and two
/// that do not: together the run of one process.
#[test]
fn divided_states_go_on_undivided_and_back() {
    let place = Place::new();
    let optimizer = ["optimizer=adamw8bit", "optimizer.states.min_size=16"];
    let with = |more: &[&'static str]| [&optimizer[..], more].concat();
    place.ok("one", &with(&["train.accumulate=2", "train.epochs=4"]));
    let two = |resume: bool, more: &[&'static str]| {
        let changes = with(more);
        let way = Way { out: "many", resume, changes: &changes, ..Way::default() };
        ok(by_ranks(&place, 2, way, |_, _, options| {
            if resume {
                options.accept = vec!["train.accumulate".to_owned()];
            }
        }));
    };
    two(false, &["train.epochs=1", SHARDS]);
    let accept = &["train.accumulate"][..];
    let changes = with(&["train.accumulate=2", "train.epochs=2"]);
    place.train(Way { out: "many", resume: true, accept, changes: &changes }).unwrap();
    two(true, &["train.epochs=3", SHARDS]);
    two(true, &["train.epochs=4"]);
    assert!(weights(&place, "many") == weights(&place, "one"));
    assert_eq!(log(&place, "many"), log(&place, "one"));
}

/// A fault of the data on one rank leaves a checkpoint with the states of all. A run that goes on
/// with it is the one that was not disturbed.
#[test]
fn a_fault_of_one_rank_leaves_the_states_of_all() {
    let place = Place::new();
    let changes = &["train.epochs=1", "optimizer=adam", SHARDS][..];
    let way = Way { out: "whole", changes, ..Way::default() };
    ok(by_ranks(&place, 2, way, |_, _, _| ()));
    let file = &audio(&place)[3];
    let sound = std::fs::read(file).unwrap();
    std::fs::write(file, "no audio").unwrap();
    let way = Way { out: "run", ..way };
    let told = errors(by_ranks(&place, 2, way, |_, _, _| ()));
    assert!(told.iter().all(|text| text.contains("wav.scp:4: ")), "{told:?}");
    assert!(told[0].contains("the checkpoint of step "), "{told:?}");
    std::fs::write(file, sound).unwrap();
    let way = Way { resume: true, ..way };
    ok(by_ranks(&place, 2, way, |_, _, options| options.accept = vec!["data.train".to_owned()]));
    assert!(weights(&place, "run") == weights(&place, "whole"));
    assert_eq!(log(&place, "run"), log(&place, "whole"));
}

#[test]
fn ranks_of_which_one_divides_are_refused() {
    let place = Place::new();
    let way = Way { out: "run", ..Way::default() };
    let divides = |rank: usize, recipe: &mut Recipe, _: &mut RunOptions| {
        recipe.train.shard_states = rank == 1;
    };
    let told = errors(by_ranks(&place, 2, way, divides));
    let wanted = "rank 1 differs from rank 0: train.shard_states true, on rank 0 false";
    assert_eq!(told, [wanted, wanted]);
}
