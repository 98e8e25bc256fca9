//! The making of training examples: how many a second, stage by stage, and whether the steps of a
//! network wait for them.

use std::sync::Arc;
use std::time::Instant;

use burn::data::dataloader::DataLoader;
use burn::tensor::Device;
use cpu_time::ProcessTime;

use super::{Figure, TrainBench, train};
use crate::backend::BackendKind;
use crate::error::{Error, Result};
use crate::memory::Setting;
use crate::train::{Loader, Position, Recipe, Stage, TrainSet};

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

/// Examples a second: of each stage and of all stages by one thread, of the loader with the
/// recipe's threads, and those that a step of the network takes.
///
/// # Errors
/// A recipe whose data cannot be read, or with too few examples.
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
    let count = examples.len() as f64;
    let mut figures = Vec::new();
    let mut add = |name: &str, value: f64, unit: &'static str| {
        figures.push(Figure {
            name: format!("data/{name}"),
            value,
            unit,
            backend: "cpu",
            threads: 1,
        });
    };
    report("one thread");
    let (mut spent, mut last) = ([0.0; STAGES.len()], Instant::now());
    let mut one = |utterance: u32, pass: u32| -> Result<()> {
        last = Instant::now();
        set.example_marked(1, utterance as usize, pass as usize, &mut |stage| {
            let now = Instant::now();
            let place =
                STAGES.iter().position(|(_, s)| *s == stage).expect("every stage is listed");
            spent[place] += now.duration_since(last).as_secs_f64();
            last = now;
        })?;
        Ok(())
    };
    // Tables and plans are made with the first example.
    one(examples[0].0, examples[0].1)?;
    let cpu = ProcessTime::now();
    for &(utterance, pass) in examples {
        one(utterance, pass)?;
    }
    let cpu = cpu.elapsed().as_secs_f64();
    let all: f64 = spent.iter().sum();
    for ((name, _), seconds) in STAGES.iter().zip(spent) {
        add(name, count / seconds.max(1e-9), "examples/s");
        add(&format!("{name}/share"), seconds / all, "of the time");
    }
    add("example", count / all, "examples/s");
    add("example/core", count / cpu, "examples/s of CPU");
    let threads = recipe.data.threads;
    report(&format!("{threads} threads"));
    let delivered = delivered(set, &recipe, bench.examples)?;
    let name = "data/loader".to_owned();
    let unit = "examples/s";
    figures.push(Figure { name, value: delivered, unit, backend: "cpu", threads });
    if bench.step {
        figures.push(step(bench, &recipe, device, report)?);
    }
    Ok(figures)
}

/// Examples a second that the recipe's loader delivers.
fn delivered(set: TrainSet, recipe: &Recipe, examples: usize) -> Result<f64> {
    let (batch_size, threads) = (recipe.train.batch_size, recipe.data.threads);
    let steps = Loader::steps(&set, batch_size);
    if steps == 0 {
        let found = set.len();
        let message = format!("{found} training examples do not fill one batch of {batch_size}");
        return Err(Error::Invalid(message));
    }
    let wanted = examples.div_ceil(batch_size).clamp(1, steps);
    let schedules = Arc::new(recipe.schedules(steps));
    let start = Position { epoch: 1, batch: 0 };
    let loader = Loader::new(Arc::new(set), batch_size, threads, schedules, start);
    let begun = Instant::now();
    let mut batches = loader.iter();
    for _ in 0..wanted {
        match batches.next() {
            Some(Ok(_)) => {}
            Some(Err(e)) => return Err(Error::Training(e.to_string())),
            None => break,
        }
    }
    Ok((wanted * batch_size) as f64 / begun.elapsed().as_secs_f64())
}

/// Examples a second that training steps take.
fn step(
    bench: &DataBench,
    recipe: &Recipe,
    device: &Device,
    report: &mut dyn FnMut(&str),
) -> Result<Figure> {
    let steps = TrainBench {
        settings: vec![Setting::of(recipe, 1, &|_, _| ())?],
        precision: recipe.train.precision,
        steps: 1,
        backend: bench.backend,
        nvidia: bench.nvidia.clone(),
    };
    let figures = train(&steps, device, report)?;
    let rate = figures.into_iter().find(|figure| figure.name.ends_with("/rate"));
    let rate = rate.ok_or_else(|| Error::Undefined("a step was not timed".into()))?;
    Ok(Figure { name: "data/step".to_owned(), unit: "examples/s", ..rate })
}
