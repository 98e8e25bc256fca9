//! Trainings whose features the device makes (`data.features = "device"`): those of the processor
//! up to rounding, whatever the number of threads and of parts of a batch.

use std::path::Path;
use std::sync::Arc;

use burn::data::dataloader::DataLoader;
use burn::tensor::Device;
use revox::train::{Batch, Loader, Position, Recipe, TrainSet};

use crate::Place;
use crate::training::recipe_of_corpus;

/// Mel filters of the recipe.
const MELS: usize = 24;
/// The largest difference of the logarithms that are features, in the quietest filters.
const FEATURE: f32 = 0.02;
/// Their mean difference.
const MEAN: f32 = 1e-4;
/// The largest difference of an epoch's mean loss.
const LOSS: f64 = 1e-4;
/// The distance of all weights, in proportion to their size.
const WEIGHTS: f64 = 1e-4;

/// A place with a corpus, and a recipe with dither, masks and two speeds.
fn place() -> Place {
    let place = Place::make();
    let sizes = ["--speakers", "4", "--dev-speakers", "4", "--utterances", "4", "--seconds", "1.0"];
    place.ok(&[&["synth", "corpus", "--quiet"][..], &sizes].concat());
    place.write("r.toml", &recipe_of_corpus());
    place
}

/// The batches of the first epoch.
fn batches(place: &Place, changes: &[&str]) -> Vec<Batch> {
    let corpus = |part: &str| format!("data.{part}={}", place.path("corpus").join(part).display());
    let mut all = vec![corpus("train"), corpus("dev")];
    all.extend(changes.iter().map(|&change| change.to_owned()));
    let recipe = Recipe::parse(&recipe_of_corpus(), Path::new("r.toml"), &all).unwrap();
    let set = TrainSet::new(&recipe, Arc::new(|_: &str| ()), &|_, _| ()).unwrap();
    let size = recipe.train.batch_size;
    let schedules = Arc::new(recipe.schedules(Loader::steps(&set, size)));
    let start = Position { epoch: 1, batch: 0 };
    let loader = Loader::new(Arc::new(set), size, recipe.data.threads, schedules, start);
    loader.iter().map(|batch| batch.unwrap()).collect()
}

/// Features `[batch, frames, mels]` as a step gets them.
fn features(batch: Batch) -> Vec<f32> {
    let (features, _) = batch.into_tensors(&Device::default());
    assert_eq!(features.dims()[2], MELS);
    features.into_data().iter::<f32>().collect()
}

/// The largest difference, and the mean one.
fn differences(a: &[f32], b: &[f32]) -> (f32, f32) {
    assert_eq!(a.len(), b.len());
    let all: Vec<f32> = a.iter().zip(b).map(|(x, y)| (x - y).abs()).collect();
    (all.iter().fold(0.0, |m, &x| m.max(x)), all.iter().sum::<f32>() / all.len() as f32)
}

#[test]
fn batches_are_those_of_the_processor_up_to_rounding() {
    let place = place();
    let host = batches(&place, &[]);
    let device = batches(&place, &["data.features=device"]);
    let plain = batches(&place, &["frontend.dither=0"]);
    assert_eq!((host.len(), device.len(), plain.len()), (4, 4, 4));
    let mut masked = 0;
    for ((host, device), plain) in host.into_iter().zip(device).zip(plain) {
        assert!(host.on_device.is_none() && device.on_device.is_some());
        assert_eq!(
            (&host.labels, &host.ids, host.iteration, host.margin),
            (&device.labels, &device.ids, device.iteration, device.margin)
        );
        let (wanted, found) = (features(host), features(device.clone()));
        let (largest, mean) = differences(&found, &wanted);
        assert!(largest < FEATURE && mean < MEAN, "largest {largest}, mean {mean}");
        // Without the dither they would be others. Masks of other places would leave values.
        let (_, without) = differences(&features(plain), &wanted);
        assert!(mean * 100.0 < without, "{mean}, without dither {without}");
        for (x, y) in found.iter().zip(&wanted) {
            assert_eq!(*x == 0.0, *y == 0.0, "{x} and {y}");
            masked += usize::from(*x == 0.0);
        }
        // Parts of a batch have the features of the whole.
        let each = found.len() / 4;
        for range in [0..2, 2..4, 1..4, 3..4] {
            let part = device.part(range.clone());
            assert_eq!(part.ids, device.ids[range.clone()]);
            let wanted = &found[range.start * each..range.end * each];
            let (largest, _) = differences(&features(part), wanted);
            assert!(largest < FEATURE, "{range:?}: {largest}");
        }
    }
    assert!(masked > 0, "nothing was masked");
}

/// What a training comes to.
struct Trained {
    /// The mean loss of each epoch.
    losses: Vec<f64>,
    /// All weights, in the order of their names.
    weights: Vec<f32>,
}

impl Trained {
    fn bits(&self) -> Vec<u32> {
        self.weights.iter().map(|x| x.to_bits()).collect()
    }

    /// The distance of the weights, in proportion to their size.
    fn distance(&self, other: &Self) -> f64 {
        assert_eq!(self.weights.len(), other.weights.len());
        let square = |x: f32| f64::from(x) * f64::from(x);
        let apart = self.weights.iter().zip(&other.weights).map(|(x, y)| square(x - y));
        (apart.sum::<f64>() / self.weights.iter().map(|&x| square(x)).sum::<f64>()).sqrt()
    }
}

/// Trains for an epoch of four steps.
fn trained(place: &Place, out: &str, more: &[&str]) -> Trained {
    let train = ["train", "r.toml", "--quiet", "--out", out, "--set", "train.epochs=1"];
    place.ok(&[&train[..], more].concat());
    let log = std::fs::read_to_string(place.path(out).join("metrics.jsonl")).unwrap();
    let loss = |line: &str| {
        let epoch: serde_json::Value = serde_json::from_str(line).unwrap();
        epoch["loss"].as_f64().unwrap()
    };
    let path = place.path(out).join("model.safetensors");
    let mut tensors = revox::model_file::read_safetensors(&path).unwrap().0.0;
    tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
    let values = tensors.iter().flat_map(|(_, data)| data.iter::<f32>().collect::<Vec<_>>());
    Trained { losses: log.lines().map(loss).collect(), weights: values.collect() }
}

#[test]
fn trainings_are_those_with_the_processor_s_features_up_to_rounding() {
    let place = place();
    let device = ["--set", "data.features=device"];
    for (name, parts) in [("whole", &[][..]), ("parts", &["--accumulate", "2"][..])] {
        let train = |out: &str, more: &[&str]| {
            trained(&place, &format!("{name}-{out}"), &[parts, more].concat())
        };
        let (host, ours) = (train("host", &[]), train("device", &device));
        let near = host.distance(&ours);
        assert!(near < WEIGHTS, "{name}: weights are {near} apart");
        assert!(ours.bits() != host.bits(), "{name}: the processor made the features");
        assert_eq!((host.losses.len(), ours.losses.len()), (1, 1));
        let apart = (host.losses[0] - ours.losses[0]).abs();
        assert!(apart < LOSS, "{name}: {:?} and {:?}", host.losses, ours.losses);
        // What the device leaves out or does elsewhere would weigh more than rounding.
        for change in ["frontend.dither=0", "augment.spec.mel_width=9"] {
            let far = host.distance(&train(change, &["--set", change]));
            assert!(near * 1000.0 < far, "{name}: {near}, with {change} {far}");
        }
    }
}

#[test]
fn threads_do_not_change_a_model() {
    let place = place();
    let device = ["--set", "data.features=device"];
    let with = |out: &str, threads: &str, more: &[&str]| {
        let threads = format!("data.threads={threads}");
        trained(&place, out, &[&device[..], &["--set", &threads], more].concat()).bits()
    };
    for (name, more) in [("whole", &[][..]), ("parts", &["--accumulate", "2"][..])] {
        let wanted = with(&format!("{name}-1"), "1", more);
        assert!(with(&format!("{name}-3"), "3", more) == wanted, "{name}");
    }
}
