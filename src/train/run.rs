//! A training run from recipe to model file.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;
use burn::train::metric::LearningRateMetric;
use burn::train::{Learner, SupervisedTraining, TrainingStrategy};

use super::checkpoint::{self, Average, Keeper, State};
use super::classes::{HeadMatch, class_names};
use super::dev_set::{DevLoader, DevSet};
use super::finish::{Done, Report, finish};
use super::folder::{RECIPE, RunFolder, check_position, trim_metrics};
use super::identity::{Accept, Identity};
use super::parts::Parts;
use super::past::{Past, way_out};
use super::renderer::renderer;
use super::start::Start;
use super::strategy::{Loop, METRICS, Progressing};
use super::unlogged::Unlogged;
use super::{Loader, Recipe, TrainSet, Trainee, trial_metric};
use crate::backend::quietly;
use crate::corpus::synth;
use crate::error::{Error, Result};
use crate::fs;
use crate::memory::{Setting, failure};
use crate::model_file::{Header, Training};
use crate::quant::Quantizer;
use crate::terminal::note;

/// How to run.
pub struct RunOptions {
    /// Folder of the run.
    pub out: PathBuf,
    /// Go on with the checkpoint in it.
    pub resume: bool,
    /// Differences from the checkpoint that are wanted.
    pub accept: Vec<String>,
    /// Compare the content of all audio with that of the beginning.
    pub verify_data: bool,
    /// Name of the backend.
    pub backend: String,
    /// Where tensors live.
    pub device: Device,
    /// Further devices that a batch is divided among.
    pub others: Vec<Device>,
    /// Bytes that were free on the device when the run began, where its driver tells.
    pub free: Option<u64>,
    /// Set from outside to stop after the current step.
    pub stop: Arc<AtomicBool>,
    /// No progress.
    pub quiet: bool,
    /// Show the dashboard (needs the feature `tui` and a terminal).
    pub dashboard: bool,
    /// Where warnings go.
    pub warn: Arc<dyn Fn(&str) + Send + Sync>,
}

/// A section that this way of training would not use.
fn without_quantizer(recipe: &Recipe) -> Result<()> {
    match recipe.quantize {
        Some(_) => Err(Error::invalid(
            "the recipe has a section [quantize], which `revox quantize MODEL --recipe` uses",
        )),
        None => Ok(()),
    }
}

/// Trains a new network.
pub fn train(recipe: &Recipe, options: &RunOptions) -> Result<Report> {
    without_quantizer(recipe)?;
    run(recipe, options, None)
}

/// Trains a network further, perhaps through a quantizer: then the run's model is a packed one.
pub fn fine_tune(recipe: &Recipe, options: &RunOptions, start: Start) -> Result<Report> {
    if start.quantizer.is_none() {
        without_quantizer(recipe)?;
    }
    let stages = start.quantizer.as_ref().map_or(1, Quantizer::stages);
    if stages > recipe.train.epochs {
        return Err(Error::Invalid(format!(
            "{stages} stages need as many epochs; train.epochs = {}",
            recipe.train.epochs
        )));
    }
    let last = (1..=recipe.train.epochs)
        .filter(|&e| {
            start.quantizer.as_ref().is_none_or(|q| q.stage(e, recipe.train.epochs) + 1 == stages)
        })
        .count();
    if recipe.train.average_last > last {
        return Err(Error::Invalid(format!(
            "train.average_last = {}: the last stage has {last} epochs",
            recipe.train.average_last
        )));
    }
    run(recipe, options, Some(start))
}

fn run(recipe: &Recipe, options: &RunOptions, start: Option<Start>) -> Result<Report> {
    let begun = Instant::now();
    let out = &options.out;
    let accept = Accept::parse(&options.accept)?;
    // Nobody else writes into the folder until the end.
    let folder = RunFolder::open(options)?;
    folder.notes.iter().for_each(|text| note!("{text}"));
    let model = start.as_ref().map(|start| start.hash.clone());
    let mut identity = Identity::new(recipe, model, &options.backend, 1 + options.others.len());
    let past = folder
        .checkpoint
        .as_deref()
        .map(|path| Past::read(path, recipe, &identity, &accept))
        .transpose()?;
    if past.as_ref().is_none_or(|past| past.ended.is_none()) {
        folder.check_outputs()?;
    }
    if let Some(config) = &recipe.data.synth {
        synth::ensure(config, options.quiet, &options.stop)?;
    }
    let set = TrainSet::new(recipe, options.warn.clone())?;
    let dev = Arc::new(DevSet::new(recipe)?.stopped_by(options.stop.clone()));
    for speaker in set.corpus().lone_speakers().into_iter().take(10) {
        (options.warn)(&format!(
            "speaker `{speaker}` has a single utterance: the network can only learn its recording"
        ));
    }
    let batch_size = recipe.train.batch_size;
    let steps = Loader::steps(&set, batch_size);
    if steps == 0 {
        let message =
            format!("{} training examples do not fill one batch of {batch_size}", set.len());
        return Err(Error::file(&recipe.data.train, message));
    }
    let devices = std::iter::once(&options.device).chain(&options.others).cloned().collect();
    let parts = Parts::new(devices, recipe.train.accumulate, batch_size)?;
    identity.add_data(
        recipe,
        set.corpus(),
        dev.corpus(),
        options.verify_data,
        options.quiet,
        &options.stop,
    )?;
    if let Some(past) = &past {
        for text in identity.check_data(&past.state.identity, past.path, &accept)? {
            note!("{text}");
        }
    }
    for name in accept.unused() {
        note!("--accept {name}: there was nothing to accept");
    }
    let data_hash = identity.data_hash();
    let mut trainee =
        Trainee::new(&recipe.model, &recipe.loss, set.classes(), &options.device, recipe.seed)?;
    let classes = class_names(&set.corpus().speakers, &recipe.data.speeds);
    let (mut quantizer, mut head) = (None, None);
    let precision = recipe.train.precision;
    if let Some(start) = start {
        let (with_weights, found) =
            trainee.starting_with(start.network, start.head, &start.speakers, &classes)?;
        trainee = with_weights;
        tell_head(&found, past.is_some(), options);
        head = Some(found);
        if let Some(q) = &start.quantizer {
            if !precision.is_default() {
                return Err(Error::invalid(
                    "train.precision: quantized weights are trained in f32",
                ));
            }
            trainee.network = q.attach(trainee.network)?;
        }
        quantizer = start.quantizer;
    }
    trainee.network = precision.apply(trainee.network, &options.device)?;
    let trainee = trainee.with_execution(recipe.train.execution)?;
    let mut on_disk = None;
    let (trainee, optimizer, average, state) = match &past {
        Some(past) => {
            let (trainee, optimizer, average, mut state) =
                checkpoint::load(past.path, trainee, &recipe.optimizer)
                    .map_err(|e| way_out(past.path, e))?;
            check_position(past.path, &state, recipe.train.epochs, steps)?;
            on_disk = Some(state.step(steps));
            (state.identity, state.best) = (identity, past.state.best);
            (trainee, optimizer, average, state)
        }
        None => (trainee, recipe.optimizer.init()?, Average::new(), State::start(identity)),
    };
    let over = past.as_ref().and_then(|past| past.ended.clone());
    if over.is_none() {
        fs::write_bytes(out.join(RECIPE), recipe.to_toml().as_bytes())?;
        trim_metrics(&out.join(METRICS), state.epoch)?;
    }

    let mut header = Header::new(recipe.model.clone(), recipe.frontend());
    // A packed model has no head.
    if quantizer.is_none() {
        header.speakers = classes;
    }
    header.training = Some(Training {
        recipe: recipe.to_toml(),
        seed: recipe.seed,
        data_hash,
        steps: 0, // known at the end
        epoch: 0, // known when it is written
        version: env!("CARGO_PKG_VERSION").to_owned(),
    });
    let setting = Setting {
        arch: recipe.model.clone(),
        execution: recipe.train.execution,
        batch: batch_size.div_ceil(parts.count()),
        frames: recipe.data.frames,
        speakers: set.classes(),
        optimizer: recipe.optimizer.clone(),
    };
    let (begin, renderer) = (state.position(), renderer(options, recipe, &state));
    let keeper = Keeper::new(
        out,
        recipe.train.keep,
        recipe.train.checkpoint_every,
        on_disk,
        options.warn.clone(),
    );
    let strategy = Arc::new(Loop {
        recipe: recipe.clone(),
        out: out.clone(),
        header,
        rate: recipe.learning_rate(steps),
        steps,
        stop: options.stop.clone(),
        warn: options.warn.clone(),
        quantizer,
        parts,
        progress: Mutex::new(Some(Progressing {
            optimizer: optimizer.clone(),
            average,
            state,
            keeper,
        })),
        outcome: Mutex::new(Ok(())),
    });
    let last = match over {
        Some(_) => trainee,
        None => {
            let threads = recipe.data.threads;
            let loader =
                Loader::new(Arc::new(set), batch_size, threads, recipe.margin(steps), begin);
            let training =
                SupervisedTraining::new(out, Arc::new(loader), Arc::new(DevLoader(dev.clone())))
                    .renderer(renderer)
                    .with_application_logger(None)
                    .with_metric_logger(Unlogged)
                    .metric_train_numeric(trial_metric::loss())
                    .metric_train_numeric(trial_metric::accuracy())
                    .metric_train_numeric(trial_metric::margin())
                    .metric_train_numeric(LearningRateMetric::new())
                    .metric_valid_numeric(trial_metric::eer())
                    .metric_valid_numeric(trial_metric::min_dcf())
                    .num_epochs(recipe.train.epochs)
                    .checkpoint(begin.epoch - 1)
                    .with_training_strategy(TrainingStrategy::Custom(strategy.clone()));
            // The loop takes each iteration's rate from the schedule. The learner only hands over
            // the model.
            let learner = Learner::new(trainee.train(), optimizer, strategy.rate.at(0));
            let launched = quietly(|| training.launch(learner));
            // Errors are printed on the terminal as it was.
            crate::terminal::release();
            // What the loop tells is the cause; a panic of what closes behind it is not.
            std::mem::replace(&mut *strategy.outcome.lock().expect("no holder panics"), Ok(()))?;
            let result = launched.map_err(|panic| {
                let failed = failure(&panic, &setting, options.free);
                match checkpoint::newest(out) {
                    Some(path) => Error::Backend(format!(
                        "{failed}. Go on from {} with --resume",
                        path.display()
                    )),
                    None => failed,
                }
            })?;
            result.model
        }
    };
    let done = Done { last, ended: over, head, begun };
    finish(recipe, options, &strategy, &dev, done)
        .map_err(|e| e.and(&format!("every epoch is in {}; go on with --resume", out.display())))
}

/// Says what a model to begin with gives to the head.
fn tell_head(found: &HeadMatch, resumed: bool, options: &RunOptions) {
    // A run that goes on has its head in the checkpoint.
    if resumed {
        return;
    }
    if let Some(caution) = &found.caution {
        (options.warn)(caution);
    }
    note!("head: {found}");
}
