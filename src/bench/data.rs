//! The making of training examples: how many a second, stage by stage, and whether the steps of a
//! network wait for them.

use std::sync::Arc;
use std::time::Instant;

use burn::data::dataloader::DataLoader;
use burn::tensor::Device;
use cpu_time::ProcessTime;

use super::train::train_on;
use super::{Figure, Took, TrainBench, time};
use crate::backend::BackendKind;
use crate::error::{Error, Remedy, Result};
use crate::memory::Setting;
use crate::train::{Batch, Loader, Position, Recipe, Stage, TrainSet};

/// What to measure.
#[derive(Debug, Clone)]
pub struct DataBench {
    /// The recipe whose examples are made. No decoded utterance is kept in memory.
    pub recipe: Recipe,
    /// Examples that are made, once by one thread and once by all.
    pub examples: usize,
    /// Whether to time a training step of the recipe, too.
    pub step: bool,
    /// The backend of that step.
    pub backend: BackendKind,
    /// The name that NVIDIA's driver has for the device, if it is NVIDIA's.
    pub nvidia: Option<String>,
}

/// The stages by their names in figures.
const STAGES: [(&str, Stage); 4] = [
    ("read", Stage::Read),
    ("decode", Stage::Decode),
    ("augment", Stage::Augment),
    ("features", Stage::Features),
];
/// How often the features of a batch are made on the device.
const RUNS: usize = 3;

/// Examples a second: of each stage and of all stages by one thread, on the clock and by processor
/// time, and of the loader with the recipe's threads. Of a recipe whose features are made on the
/// device, those that are uploaded and become features there. Then those that a step of the network
/// takes, with the upload and the features of its batch where the device makes them.
///
/// # Errors
/// A recipe whose data cannot be read, or with too few examples. A device that fails.
pub fn data(
    bench: &DataBench,
    device: &Device,
    report: &mut dyn FnMut(&str),
) -> Result<Vec<Figure>> {
    let mut recipe = bench.recipe.clone();
    recipe.data.cache_mib = 0;
    let set = TrainSet::new(&recipe, Arc::new(|_: &str| ()), &|_, _| ())?;
    let order = set.order(1);
    let examples = &order[..bench.examples.min(order.len())];
    if examples.is_empty() {
        return Err(Error::invalid("at least one example must be made"));
    }
    let figure = |name: &str, value: f64, unit: &'static str, threads: usize| Figure {
        name: format!("data/{name}"),
        value,
        unit,
        backend: "cpu",
        threads,
    };
    let (rate, core) = ("examples/s", "examples/s of CPU");
    report("one thread");
    // Tables and plans are made with the first example.
    stages(&set, &examples[..1])?;
    let spent = stages(&set, examples)?;
    let of = |seconds: f64| examples.len() as f64 / seconds.max(1e-9);
    let wall: f64 = spent.iter().map(|took| took.wall).sum();
    let cpu: f64 = spent.iter().map(|took| took.cpu).sum();
    let mut figures = Vec::new();
    for ((name, _), took) in STAGES.iter().zip(spent) {
        figures.push(figure(name, of(took.wall), rate, 1));
        figures.push(figure(&format!("{name}/core"), of(took.cpu), core, 1));
        figures.push(figure(&format!("{name}/share"), took.wall / wall, "of the time", 1));
    }
    figures.push(figure("example", of(wall), rate, 1));
    figures.push(figure("example/core", of(cpu), core, 1));
    let threads = recipe.data.threads;
    report(&format!("{threads} threads"));
    let (delivered, batch) = delivered(set, &recipe, bench.examples)?;
    figures.push(figure("loader", delivered, rate, threads));
    if batch.on_device.is_some() {
        report("features on the device");
        figures.push(features(bench, &batch, device)?);
    }
    if bench.step {
        figures.push(step(bench, &recipe, &batch, device, report)?);
    }
    Ok(figures)
}

/// Makes examples of the first epoch by one thread. What each stage took, in the order of
/// [`STAGES`].
fn stages(set: &TrainSet, examples: &[(u32, u32)]) -> Result<[Took; STAGES.len()]> {
    let mut spent = [Took { wall: 0.0, cpu: 0.0 }; STAGES.len()];
    for &(utterance, pass) in examples {
        let mut last = (Instant::now(), ProcessTime::now());
        set.example_marked(1, utterance as usize, pass as usize, &mut |stage| {
            let now = (Instant::now(), ProcessTime::now());
            let place =
                STAGES.iter().position(|(_, s)| *s == stage).expect("every stage is listed");
            spent[place].wall += now.0.duration_since(last.0).as_secs_f64();
            spent[place].cpu += now.1.duration_since(last.1).as_secs_f64();
            last = now;
        })?;
    }
    Ok(spent)
}

/// Examples a second that the recipe's loader delivers, and its first batch.
fn delivered(set: TrainSet, recipe: &Recipe, examples: usize) -> Result<(f64, Batch)> {
    let (batch_size, threads) = (recipe.train.batch_size, recipe.data.threads);
    let steps = Loader::steps(&set, batch_size);
    if steps == 0 {
        let found = set.len();
        let message = format!("{found} training examples do not fill one batch of {batch_size}");
        let most = found.max(1);
        return Err(Error::Invalid(message).with(Remedy::Lower { key: "train.batch_size", most }));
    }
    let wanted = examples.div_ceil(batch_size).clamp(1, steps);
    let schedules = Arc::new(recipe.schedules(steps));
    let start = Position { epoch: 1, batch: 0 };
    let loader = Loader::new(Arc::new(set), batch_size, threads, schedules, start);
    let begun = Instant::now();
    let (mut batches, mut first) = (loader.iter(), None);
    for _ in 0..wanted {
        match batches.next() {
            Some(Ok(batch)) => first = first.or(Some(batch)),
            Some(Err(e)) => return Err(Error::Training(e.to_string())),
            None => break,
        }
    }
    let rate = (wanted * batch_size) as f64 / begun.elapsed().as_secs_f64();
    let first = first.ok_or_else(|| Error::Undefined("the loader has no batch".into()))?;
    Ok((rate, first))
}

/// Examples a second that reach the device as samples and become features there.
fn features(bench: &DataBench, batch: &Batch, device: &Device) -> Result<Figure> {
    let mut sum = 0.0;
    let took = time(device, RUNS, || {
        let (features, _) = batch.clone().into_tensors(device);
        // Devices may put off what nobody reads.
        sum = features.sum().into_scalar::<f64>();
    })?;
    if !sum.is_finite() {
        return Err(Error::Undefined("features that the device makes are not finite".into()));
    }
    Ok(Figure {
        name: "data/device-features".to_owned(),
        value: batch.labels.len() as f64 / took.wall.max(1e-9),
        unit: "examples/s",
        backend: bench.backend.name(),
        threads: rayon::current_num_threads(),
    })
}

/// Examples a second that training steps take, on as much of a batch as a device works on at a
/// time.
fn step(
    bench: &DataBench,
    recipe: &Recipe,
    batch: &Batch,
    device: &Device,
    report: &mut dyn FnMut(&str),
) -> Result<Figure> {
    let setting = Setting::of(recipe, 1, 1, &|_, _| ())?;
    let batch = batch.part(0..setting.batch);
    let steps = TrainBench {
        settings: vec![setting],
        precision: recipe.train.precision,
        steps: 1,
        backend: bench.backend,
        nvidia: bench.nvidia.clone(),
    };
    let figures = train_on(&steps, Some(&batch), device, report)?;
    let rate = figures.into_iter().find(|figure| figure.name.ends_with("/rate"));
    let rate = rate.ok_or_else(|| Error::Undefined("a step was not timed".into()))?;
    Ok(Figure { name: "data/step".to_owned(), unit: "examples/s", ..rate })
}
