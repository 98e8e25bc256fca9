//! Runs that go on for longer, with more speakers, and of which parts stay what they are.

mod beginnings;
mod ranks;
mod released;
mod shards;

use std::collections::BTreeMap;
use std::sync::Mutex;

use tempfile::TempDir;

use super::*;
use crate::backend::collective::Alone;
use crate::corpus::synth::{SynthConfig, make};
use crate::model_file::{Model, read_safetensors};
use crate::train::checkpoint::{NEWEST, read_state};

/// A corpus of five speakers, and the runs on it.
struct Place(TempDir);

/// How a run differs from another one.
#[derive(Clone, Copy, Default)]
struct Way<'a> {
    out: &'a str,
    resume: bool,
    accept: &'a [&'a str],
    changes: &'a [&'a str],
}

type Tensors = BTreeMap<String, Vec<u32>>;

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let config = SynthConfig {
            speakers: 5,
            dev_speakers: 4,
            utterances: 4,
            seconds: 1.0,
            ..SynthConfig::new(place.path("corpus"))
        };
        make(&config, &AtomicBool::new(false), &|_, _| ()).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The training lists without the speakers that `is_left_out` names.
    fn without(&self, folder: &str, is_left_out: impl Fn(&str) -> bool) {
        let from = self.path("corpus/train");
        let read = |list: &str| std::fs::read_to_string(from.join(list)).unwrap();
        let (scp, map) = (read("wav.scp"), read("utt2spk"));
        let kept = |line: &&str| !is_left_out(line.split_once(' ').unwrap().1);
        let map: Vec<&str> = map.lines().filter(kept).collect();
        let is_kept = |id: &str| map.iter().any(|line| line.split_once(' ').unwrap().0 == id);
        let scp = scp.lines().map(|line| line.split_once(' ').unwrap());
        let scp: String = scp
            .filter(|(id, _)| is_kept(id))
            .map(|(id, file)| format!("{id} {}\n", from.join(file).display()))
            .collect();
        std::fs::create_dir(self.path(folder)).unwrap();
        std::fs::write(self.path(folder).join("wav.scp"), scp).unwrap();
        std::fs::write(self.path(folder).join("utt2spk"), map.join("\n") + "\n").unwrap();
    }

    /// A rate that does not depend on the number of epochs.
    fn recipe(&self, changes: &[&str]) -> Recipe {
        let corpus = self.path("corpus");
        let text = format!(
            "seed = 3\n[data]\ntrain = '{0}/train'\ndev = '{0}/dev'\nframes = 50\nthreads = 1\n\
             [model]\nname = \"resnet10\"\nwidth = 2\nmels = 24\nembedding_dim = 8\n\
             [schedule]\ninitial_lr = 0.02\nfinal_lr = 0.02\nwarm_up_epochs = 0\n\
             scale_ratio = 1.0\n\
             [train]\nepochs = 2\nbatch_size = 4\n",
            corpus.display()
        );
        let changes: Vec<String> = changes.iter().map(|&change| change.to_owned()).collect();
        Recipe::parse(&text, Path::new("r.toml"), &changes).unwrap()
    }

    fn options(&self, way: Way, notes: &Arc<Mutex<Vec<String>>>) -> RunOptions {
        let heard = notes.clone();
        RunOptions {
            out: self.path(way.out),
            resume: way.resume,
            accept: way.accept.iter().map(|&name| name.to_owned()).collect(),
            verify_data: false,
            backend: "any".to_owned(),
            device: Device::default(),
            others: Vec::new(),
            ranks: Arc::new(Alone),
            page: None,
            second_page: None,
            stop: Arc::new(AtomicBool::new(false)),
            quiet: true,
            dashboard: false,
            warn: Arc::new(|_: &str| ()),
            note: Arc::new(move |text: &str| heard.lock().unwrap().push(text.to_owned())),
        }
    }

    /// The report, and the notes on the way.
    fn train(&self, way: Way) -> Result<(Report, Vec<String>)> {
        let notes = Arc::default();
        let options = self.options(way, &notes);
        let report = train(&self.recipe(way.changes), &options)?;
        let notes = notes.lock().unwrap().clone();
        Ok((report, notes))
    }

    fn ok(&self, out: &str, changes: &[&str]) -> Report {
        self.train(Way { out, changes, ..Way::default() }).unwrap().0
    }

    fn fails(&self, way: Way, wanted: &str) {
        let error = self.train(way).unwrap_err().to_string();
        assert!(error.contains(wanted), "no `{wanted}` in: {error}");
    }

    /// The tensors of a run's model.
    fn tensors(&self, out: &str) -> Tensors {
        let (tensors, _) = read_safetensors(&self.path(out).join("model.safetensors")).unwrap();
        let bits = |data: &burn::tensor::TensorData| data.iter::<f32>().map(f32::to_bits).collect();
        tensors.0.iter().map(|(name, data)| (name.clone(), bits(data))).collect()
    }

    /// The rows of the head of a run's model, by the names of its classes.
    fn rows(&self, out: &str) -> BTreeMap<String, Vec<f32>> {
        let path = self.path(out).join("model.safetensors");
        let speakers = Model::load(&path, &Device::default()).unwrap().header.speakers;
        let weight = self.tensors(out).remove("projection.weight").unwrap();
        let values: Vec<f32> = weight.into_iter().map(f32::from_bits).collect();
        speakers.into_iter().zip(values.chunks(8).map(<[f32]>::to_vec)).collect()
    }
}

/// With a rate that does not depend on the number of epochs, a run that goes on for longer is one
/// that was as long from the start: weights, and the mean of the last epochs.
#[test]
fn more_epochs_make_a_longer_run() {
    let place = Place::new();
    for last in ["train.average_last=1", "train.average_last=2"] {
        let out = |name: &str| format!("{name}-{last}");
        let (long, short) = (out("long"), out("short"));
        place.ok(&long, &[last, "train.epochs=4"]);
        place.ok(&short, &[last]);
        let way = Way { out: &short, resume: true, changes: &[last], ..Way::default() };
        let (report, _) = place.train(way).unwrap();
        assert!(report.ended.is_some());
        let way = Way { changes: &[last, "train.epochs=4"], ..way };
        let (report, notes) = place.train(way).unwrap();
        assert_eq!((report.epochs, &report.ended), (4, &None));
        let wanted = "accepted: train.epochs = 4, in the checkpoint 2: from here on";
        assert!(notes.iter().any(|note| note.starts_with(wanted)), "{notes:?}");
        assert!(place.tensors(&short) == place.tensors(&long), "{last}");
        let log = std::fs::read_to_string(place.path(&short).join("metrics.jsonl")).unwrap();
        assert_eq!(log.lines().count(), 4);
        place.fails(Way { changes: &[last, "train.epochs=3"], ..way }, "train.epochs = 3");
        let accept = &["train.epochs"][..];
        place.fails(
            Way { changes: &[last, "train.epochs=2"], accept, ..way },
            "was written after 4 epochs; train.epochs of this run is 2",
        );
    }
}

/// At a rate of nearly 0, the rows of the speakers who stay are what they were.
#[test]
fn rows_go_by_name_when_speakers_come_and_go() {
    let place = Place::new();
    place.without("first", |speaker| speaker == "s00000");
    place.without("second", |speaker| speaker == "s00004");
    let still = ["schedule.initial_lr=1e-9", "schedule.final_lr=1e-9"];
    for optimizer in ["sgd", "adamw8bit"] {
        let optimizer = format!("optimizer={optimizer}");
        let with = |folder: &str, more: &[&str]| -> Vec<String> {
            let data = format!("data.train={}", place.path(folder).display());
            let ours = [optimizer.as_str(), "train.average_last=2", &data];
            [&ours[..], &still, more].concat().into_iter().map(str::to_owned).collect()
        };
        let train = |resume: bool, changes: Vec<String>, accept: &[&str]| {
            let changes: Vec<&str> = changes.iter().map(String::as_str).collect();
            place.train(Way { out: &optimizer, resume, accept, changes: &changes })
        };
        train(false, with("first", &[]), &[]).unwrap();
        let before = place.rows(&optimizer);
        let more = || with("second", &["train.epochs=3"]);
        let error = train(true, more(), &[]).unwrap_err().to_string();
        assert!(error.contains("data.train"), "{error}");
        let (report, notes) = train(true, more(), &["data.train"]).unwrap();
        let head = report.head.unwrap();
        assert_eq!((head.kept, head.added, head.dropped), (3, 1, 1));
        assert!(
            notes.iter().any(|n| n == "head: 3 speakers kept, 1 added, 1 dropped"),
            "{notes:?}"
        );
        let after = place.rows(&optimizer);
        let names: Vec<&str> = after.keys().map(String::as_str).collect();
        assert_eq!(names, ["s00000", "s00001", "s00002", "s00003"]);
        let distance = |a: &[f32], b: &[f32]| {
            a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0f32, f32::max)
        };
        for &name in &names[1..] {
            assert!(distance(&after[name], &before[name]) < 1e-5, "{optimizer}: {name}");
        }
        let strange = |row: &Vec<f32>| distance(row, &after["s00000"]) > 1e-3;
        assert!(before.values().all(strange), "a stranger has inherited a row");
        let state = read_state(&place.path(&optimizer).join(NEWEST)).unwrap();
        assert_eq!(state.classes, names);
        // It goes on with these.
        train(true, with("second", &["train.epochs=4"]), &[]).unwrap();
    }
}

/// Weights and running statistics of a frozen part stay as they are; everything else learns.
#[test]
fn frozen_parts_stay_what_they_are() {
    let place = Place::new();
    for name in ["resnet10", "rev1-resnet10", "rev2-resnet10"] {
        let width = if name == "resnet10" { "model.width=2" } else { "model.width=8" };
        let named = format!("model.name={name}");
        let network = [named.as_str(), width, "train.epochs=1"];
        let first = format!("{name}-first");
        place.ok(&first, &network);
        let before = place.tensors(&first);
        // What is around a BatchNorm, and the head.
        let norm = before.keys().find_map(|tensor| tensor.strip_suffix(".running_mean")).unwrap();
        let around = norm.rsplit_once('.').map_or(norm, |(around, _)| around);
        let init = format!("init={}/model.safetensors", place.path(&first).display());
        let freeze = format!("train.freeze=[\"{around}\", \"projection\"]");
        let changes = [&network[..], &[init.as_str(), freeze.as_str()]].concat();
        let report = place.ok(name, &changes);
        assert_eq!(report.head.unwrap().kept, 5);
        let after = place.tensors(name);
        let is_frozen = |tensor: &str| {
            [around, "projection"]
                .iter()
                .any(|part| tensor.strip_prefix(part).is_some_and(|rest| rest.starts_with('.')))
        };
        let (mut frozen, mut moved) = (0, 0);
        for (tensor, values) in &after {
            match is_frozen(tensor) {
                true => {
                    assert!(*values == before[tensor], "{name}: {tensor}");
                    frozen += 1;
                }
                false => moved += usize::from(*values != before[tensor]),
            }
        }
        assert!(frozen >= 5 && 2 * moved > after.len() - frozen, "{frozen} and {moved} of {name}");
    }
}

/// A factor of 1 changes nothing. With a factor of 0 the head is frozen.
#[test]
fn factors_of_one_and_of_nothing() {
    let place = Place::new();
    for optimizer in ["sgd", "adamw8bit"] {
        let kind = format!("optimizer={optimizer}");
        let small = "optimizer.states.min_size=16";
        let trained = |out: &str, more: &str| {
            let mut changes = vec![kind.as_str(), more];
            changes.extend((optimizer == "adamw8bit").then_some(small));
            let out = format!("{optimizer}-{out}");
            place.ok(&out, &changes);
            place.tensors(&out)
        };
        let plain = trained("plain", "train.patience=0");
        assert!(trained("one", "schedule.factors.projection=1") == plain, "{optimizer}");
        let nothing = trained("nothing", "schedule.factors.projection=0");
        assert!(nothing == trained("frozen", "train.freeze=[\"projection\"]"), "{optimizer}");
        assert!(nothing != plain);
        let ten = trained("ten", "schedule.factors.projection=10");
        assert!(ten["projection.weight"] != plain["projection.weight"]);
    }
}
