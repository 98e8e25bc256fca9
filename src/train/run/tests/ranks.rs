//! Runs of several ranks, which are threads here.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use super::*;
use crate::backend::collective::{Communicator, threads};
use crate::tensor_file;

/// The same run by several ranks. `change` makes the recipe and the options of each its own.
pub(super) fn by_ranks(
    place: &Place,
    ranks: usize,
    way: Way,
    change: impl Fn(usize, &mut Recipe, &mut RunOptions) + Sync,
) -> Vec<Result<Report>> {
    thread::scope(|scope| {
        let begin = |end: Arc<dyn Communicator>| {
            let change = &change;
            scope.spawn(move || {
                let mut recipe = place.recipe(way.changes);
                let mut options = place.options(way, &Arc::default());
                let rank = end.rank();
                options.ranks = end;
                change(rank, &mut recipe, &mut options);
                train(&recipe, &options)
            })
        };
        let begun: Vec<_> = threads::all(ranks).into_iter().map(begin).collect();
        begun.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// The errors of ranks that all fail.
pub(super) fn errors(results: Vec<Result<Report>>) -> Vec<String> {
    results.into_iter().map(|result| result.unwrap_err().to_string()).collect()
}

/// The weights in a run's checkpoint, without running statistics.
pub(super) fn weights(place: &Place, out: &str) -> BTreeMap<String, Vec<u8>> {
    let file = tensor_file::read(&place.path(out).join(NEWEST), "checkpoint").unwrap();
    let tensors = file.tensors();
    let is_weight = |name: &str| name.starts_with("model.") && !name.contains(".running_");
    let all = tensors.iter().filter(|(name, _)| is_weight(name));
    let all: BTreeMap<_, _> =
        all.map(|(name, view)| (name.to_owned(), view.data().to_vec())).collect();
    assert!(all.len() > 10);
    all
}

/// What a run's log says of its steps.
pub(super) fn log(place: &Place, out: &str) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(place.path(out).join("metrics.jsonl")).unwrap();
    let keys = ["epoch", "loss", "accuracy", "lr", "skipped_steps"];
    let of_steps = |line: &str| {
        let all: serde_json::Value = serde_json::from_str(line).unwrap();
        serde_json::Value::from(keys.map(|key| all[key].clone()).to_vec())
    };
    text.lines().map(of_steps).collect()
}

/// The training files of a list, in its order.
pub(super) fn audio(place: &Place) -> Vec<PathBuf> {
    let folder = place.path("corpus/train");
    let list = std::fs::read_to_string(folder.join("wav.scp")).unwrap();
    list.lines().map(|line| folder.join(line.split_once(' ').unwrap().1)).collect()
}

/// Two ranks are one process that divides its batches into two turns. Parts are of 2 and 3.
fn compare(network: &str, optimizer: &[&str]) {
    let place = Place::new();
    let name = format!("model.name={network}");
    let width = if network.starts_with("rev") { "model.width=8" } else { "model.width=2" };
    let ours =
        [&[name.as_str(), width, "train.batch_size=5", "train.epochs=1"][..], optimizer].concat();
    place.ok("one", &[&ours[..], &["train.accumulate=2"]].concat());
    let way = Way { out: "two", changes: &ours, ..Way::default() };
    let reports = by_ranks(&place, 2, way, |_, _, _| ());
    let [first, second] = <[Result<Report>; 2]>::try_from(reports).unwrap().map(Result::unwrap);
    assert!(weights(&place, "two") == weights(&place, "one"), "{network}, {optimizer:?}");
    assert_eq!(log(&place, "two"), log(&place, "one"));
    let numbers = |r: &Report| (r.eer, r.min_dcf, r.best_epoch, r.epochs, r.model.clone());
    assert_eq!(numbers(&first), numbers(&second));
    assert_eq!((first.epochs, first.eer.is_finite()), (1, true));
}

#[test]
fn two_ranks_are_two_turns_with_sgd() {
    compare("resnet10", &["optimizer=sgd"]);
}

#[test]
fn two_ranks_are_two_turns_with_adam() {
    compare("rev2-resnet10", &["optimizer=adam"]);
}

#[test]
fn two_ranks_are_two_turns_with_8_bits_of_momentum() {
    compare("rev2-resnet10", &["optimizer=sgd8bit", "optimizer.states.min_size=16"]);
}

#[test]
fn two_ranks_are_two_turns_with_8_bits_of_moments() {
    compare("resnet10", &["optimizer=adam8bit", "optimizer.states.min_size=16"]);
}

#[test]
fn ranks_do_not_release_gradients() {
    let place = Place::new();
    let way = Way { out: "two", changes: &["train.release_gradients=true"], ..Way::default() };
    for report in by_ranks(&place, 2, way, |_, _, _| ()) {
        let error = report.unwrap_err().to_string();
        let wanted = "train.release_gradients: not with 2 ranks, whose gradients are summed";
        assert!(error.contains(wanted), "{error}");
    }
}

/// With synchronised BatchNorm, two ranks are one process with whole batches, but for rounding.
#[test]
fn synchronised_ranks_train_as_one_process() {
    let place = Place::new();
    place.ok("one", &["train.epochs=1"]);
    let changes = &["train.epochs=1", "train.sync_batch_norm=true"][..];
    let way = Way { out: "two", changes, ..Way::default() };
    let reports = by_ranks(&place, 2, way, |_, _, _| ());
    assert!(reports.iter().all(Result::is_ok), "{reports:?}");
    let loss = |out: &str| log(&place, out)[0][1].as_f64().unwrap();
    let [ours, wanted] = ["two", "one"].map(loss);
    assert!((ours - wanted).abs() < 1e-3 * wanted, "{ours} and {wanted}");
    let [ours, wanted] = ["two", "one"].map(|out| place.tensors(out));
    for (name, wanted) in wanted.iter().filter(|(name, _)| name.ends_with(".running_mean")) {
        let off = ours[name]
            .iter()
            .zip(wanted)
            .map(|(&a, &b)| (f32::from_bits(a) - f32::from_bits(b)).abs());
        assert!(off.fold(0.0, f32::max) < 1e-3, "{name}");
    }
}

/// Each rank has the same parts of batches as each turn of one process.
#[test]
fn the_number_of_ranks_may_change() {
    let place = Place::new();
    place.ok("one", &["train.accumulate=2", "train.epochs=3"]);
    let way = |resume: bool, changes: &'static [&'static str]| Way {
        out: "many",
        resume,
        changes,
        ..Way::default()
    };
    let two = |resume: bool, changes: &'static [&'static str]| {
        let notes: Arc<Mutex<Vec<String>>> = Arc::default();
        let results = by_ranks(&place, 2, way(resume, changes), |_, _, options| {
            let heard = notes.clone();
            options.note = Arc::new(move |text: &str| heard.lock().unwrap().push(text.to_owned()));
            if resume {
                options.accept = vec!["train.accumulate".to_owned()];
            }
        });
        results.into_iter().for_each(|result| drop(result.unwrap()));
        let notes = notes.lock().unwrap().clone();
        notes.into_iter().filter(|note| note.contains("ranks = ")).collect::<Vec<_>>()
    };
    assert!(two(false, &["train.epochs=1"]).is_empty());
    let accept = &["train.accumulate"][..];
    let one = way(true, &["train.accumulate=2", "train.epochs=2"]);
    let (_, notes) = place.train(Way { accept, ..one }).unwrap();
    let told = |notes: &[String], wanted: &str| notes.iter().any(|note| note.contains(wanted));
    assert!(told(&notes, "ranks = 1, in the checkpoint 2"), "{notes:?}");
    let notes = two(true, &["train.epochs=3"]);
    assert!(notes.len() == 1 && told(&notes, "ranks = 2, in the checkpoint 1"), "{notes:?}");
    assert!(weights(&place, "many") == weights(&place, "one"));
    assert_eq!(log(&place, "many"), log(&place, "one"));
}

/// Rank 1 has a folder of its own here, in which nothing appears.
#[test]
fn only_the_first_rank_writes_and_speaks() {
    let place = Place::new();
    let own = place.path("own");
    std::fs::create_dir(&own).unwrap();
    let way = Way { out: "first", changes: &["train.epochs=1"], ..Way::default() };
    let spoken: Arc<Mutex<Vec<usize>>> = Arc::default();
    let results = by_ranks(&place, 2, way, |rank, _, options| {
        let heard = spoken.clone();
        options.note = Arc::new(move |_: &str| heard.lock().unwrap().push(rank));
        if rank == 1 {
            options.out.clone_from(&own);
        }
    });
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(std::fs::read_dir(&own).unwrap().count(), 0);
    let spoken = spoken.lock().unwrap().clone();
    assert!(!spoken.is_empty() && !spoken.contains(&1));
    for name in ["model.safetensors", "metrics.jsonl", "det.svg", "recipe.lock.toml", NEWEST] {
        assert!(place.path("first").join(name).exists(), "{name}");
    }
}

#[test]
fn ranks_of_other_recipes_and_too_many_ranks_are_refused() {
    let place = Place::new();
    let way = Way { out: "run", ..Way::default() };
    let told = errors(by_ranks(&place, 2, way, |rank, recipe, _| recipe.seed += rank as u64));
    let wanted = "rank 1 differs from rank 0: recipe (seed = 4, on rank 0 3)";
    assert_eq!(told, [wanted, wanted]);
    let told = errors(by_ranks(&place, 3, way, |_, _, _| ()));
    let wanted = "train.batch_size = 4 cannot be divided among 3 ranks of 1 device and 1 turn";
    assert!(told.iter().all(|text| text.contains(wanted)), "{told:?}");
    assert!(!place.path("run").exists(), "it was made for nothing");
}

#[test]
fn a_folder_that_the_first_rank_cannot_have_ends_all() {
    let place = Place::new();
    std::fs::write(place.path("taken"), "").unwrap();
    let way = Way { out: "taken", ..Way::default() };
    let told = errors(by_ranks(&place, 2, way, |_, _, _| ()));
    assert!(told.iter().all(|text| text.contains("is a file, not a folder")), "{told:?}");
    assert!(told[1].starts_with("rank 0 failed: "), "{told:?}");
}

/// The first epoch meets every file, each on one of the ranks.
#[test]
fn audio_that_one_rank_cannot_read_ends_all() {
    let place = Place::new();
    std::fs::write(&audio(&place)[3], "no audio").unwrap();
    let way = Way { out: "run", ..Way::default() };
    let told = errors(by_ranks(&place, 2, way, |_, _, _| ()));
    assert!(told.iter().all(|text| text.contains("wav.scp:4: ")), "{told:?}");
    let elsewhere = told.iter().filter(|text| text.contains(" failed: ")).count();
    assert_eq!(elsewhere, 1, "{told:?}");
    let state = read_state(&place.path("run").join(NEWEST)).unwrap();
    assert_eq!(state.epoch, 1);
}

/// Whoever meets them: all are counted, and named in the list of the first rank.
#[test]
fn what_is_left_out_counts_together() {
    let place = Place::new();
    audio(&place)[2..8].iter().for_each(|path| std::fs::write(path, "no audio").unwrap());
    let run = |out: &str, tolerate: &str| {
        let way = Way { out, changes: &["train.epochs=1", tolerate], ..Way::default() };
        by_ranks(&place, 2, way, |_, _, _| ())
    };
    assert!(run("some", "data.tolerate=0.3").iter().all(Result::is_ok));
    let list = std::fs::read_to_string(place.path("some").join("left-out.txt")).unwrap();
    assert!((3..=8).all(|line| list.contains(&format!("wav.scp:{line}: "))), "{list}");
    let told = errors(run("many", "data.tolerate=0.25"));
    let wanted = "of 20 utterances cannot be read; data.tolerate allows 5";
    assert!(told.iter().all(|text| text.contains(wanted)), "{told:?}");
}

/// A stop of one rank stops all at the same step, and the run goes on from there.
#[test]
fn one_rank_stops_all() {
    let place = Place::new();
    let changes = &["train.epochs=1000", "train.validate_every=1000"][..];
    let way = Way { out: "run", changes, ..Way::default() };
    let stop = Arc::new(AtomicBool::new(false));
    let told = thread::scope(|scope| {
        // Not before the first step: a stop ends the reading of the data too.
        scope.spawn(|| {
            let newest = place.path("run").join(NEWEST);
            let is_under_way = || read_state(&newest).is_ok_and(|state| state.epoch > 1);
            for _ in 0..2000 {
                if is_under_way() {
                    break;
                }
                thread::sleep(Duration::from_millis(5));
            }
            stop.store(true, Ordering::Relaxed);
        });
        by_ranks(&place, 2, way, |rank, _, options| {
            if rank == 1 {
                options.stop = stop.clone();
            }
        })
    });
    assert!(told.iter().all(|r| matches!(r.as_ref().unwrap_err().bare(), Error::Interrupted(_))));
    let told = errors(told);
    assert_eq!(told[0], told[1]);
    let state = read_state(&place.path("run").join(NEWEST)).unwrap();
    assert!(told[0].contains("interrupted: stopped in epoch "), "{told:?}");
    assert!(state.epoch > 1, "{state:?}");
}
