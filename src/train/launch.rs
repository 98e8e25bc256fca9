//! The training of a prepared run.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use burn::module::Module;
use burn::optim::SgdConfig;
use burn::train::metric::LearningRateMetric;
use burn::train::{Learner, SupervisedTraining, TrainingStrategy};

use super::checkpoint::{self, Keeper};
use super::classes::HeadMatch;
use super::dev_set::DevLoader;
use super::prepare::{Begin, Data, Prepared};
use super::ranks::{Shards, is_alone, is_first};
use super::renderer::renderer;
use super::schedule::Schedules;
use super::strategy::{Loop, Progressing};
use super::unlogged::Unlogged;
use super::{DevSet, Loader, Recipe, RunOptions, TrainSet, Trainee, trial_metric};
use crate::backend::collective::agree;
use crate::backend::{failure, is_gpu, use_pages};
use crate::bytes::counted;
use crate::error::{Error, Remedy, Result};
use crate::fs;
use crate::panics::quietly;
use crate::quant::Quantizer;

/// The list of utterances that a training left out.
pub(super) const LEFT_OUT: &str = "left-out.txt";

/// A run whose training is done.
pub(super) struct Trained {
    /// The network of the last step.
    pub last: Trainee,
    /// The loop, which holds the training's state.
    pub run: Arc<Loop>,
    pub dev: Arc<DevSet>,
    /// Classes that the head took over from the model that the run began with.
    pub head: Option<HeadMatch>,
    /// Why nothing was trained, if the run had ended before.
    pub ended: Option<String>,
    /// Recordings that the run left out, one line for each; rank 0 knows them.
    pub left_out: Vec<String>,
}

/// Trains, unless the run had ended before.
///
/// # Errors
/// Everything that ends the training early. A device that fails, with [`Remedy::ResumeFrom`] if
/// there is a checkpoint.
pub(super) fn launch(recipe: &Recipe, options: &RunOptions, prepared: Prepared) -> Result<Trained> {
    launch_as(recipe, options, prepared, |_| ())
}

/// [`launch`] of a changed loop.
///
/// # Errors
/// Those of [`launch`].
pub(super) fn launch_as(
    recipe: &Recipe,
    options: &RunOptions,
    prepared: Prepared,
    change: impl FnOnce(&mut Loop),
) -> Result<Trained> {
    let Prepared { data, parts, quantizer, begin, head, header, ended } = prepared;
    let Data { set, dev, steps, .. } = data;
    let Begin { trainee, optimizer, average, state, on_disk } = begin;
    let schedules = Arc::new(schedules(recipe, steps, quantizer.as_ref()));
    let train = &recipe.train;
    let set = Arc::new(set);
    let loader = Loader::new(
        set.clone(),
        train.batch_size,
        recipe.data.threads,
        schedules.clone(),
        state.position(),
    )
    .of_rank(&*options.ranks);
    let warn = options.warn.clone();
    // Ranks that write no checkpoints remove none either.
    let keep = if is_first(&*options.ranks) { train.keep } else { usize::MAX };
    let keeper = Keeper::new(&options.out, keep, train.checkpoint_every, on_disk, warn.clone());
    let shards = Shards::of(recipe, &options.ranks, &trainee);
    let optimizer = match &shards {
        Some(shards) => agree(&*options.ranks, shards.own_states(optimizer))?,
        None => optimizer,
    };
    let progress = Progressing::new(optimizer, average, state, keeper);
    let mut run = Loop {
        recipe: recipe.clone(),
        out: options.out.clone(),
        header,
        schedules,
        steps,
        stop: options.stop.clone(),
        warn,
        quantizer,
        parts,
        devices: std::iter::once(&options.device).chain(&options.others).cloned().collect(),
        // Sums over ranks are taken on the host, which waits for the device anyway. Released
        // gradients change weights before a late outcome could forbid it.
        late: is_gpu(&options.device) && is_alone(&*options.ranks) && !train.release_gradients,
        ranks: options.ranks.clone(),
        shards,
        set: set.clone(),
        #[cfg(test)]
        spoiled: Vec::new(),
        progress: Mutex::new(Some(progress)),
        outcome: Mutex::new(Ok(())),
    };
    change(&mut run);
    if let (Some(page), None) = (options.page, &ended) {
        run.devices.iter().for_each(|device| use_pages(device, page));
    }
    let run = Arc::new(run);
    let before = match is_first(&*options.ranks) {
        true => left_out_before(options)?,
        false => Vec::new(),
    };
    let (last, left_out) = match ended {
        Some(_) => (trainee, before),
        None => {
            let fitted = fit(options, &run, loader, &dev, trainee);
            let left_out = match is_first(&*options.ranks) {
                true => tell_left_out(&set, &dev, before, options)?,
                false => Vec::new(),
            };
            (fitted?, left_out)
        }
    };
    Ok(Trained { last, run, dev, head, ended, left_out })
}

/// The recordings that a run left out before it was resumed.
fn left_out_before(options: &RunOptions) -> Result<Vec<String>> {
    let path = options.out.join(LEFT_OUT);
    match options.resume && path.exists() {
        true => Ok(fs::read_to_string(&path)?.lines().map(str::to_owned).collect()),
        false => Ok(Vec::new()),
    }
}

/// Names the recordings that could not be read, all of them in a file of the run's folder, with
/// those that were left out before. Returns all.
fn tell_left_out(
    set: &TrainSet,
    dev: &DevSet,
    before: Vec<String>,
    options: &RunOptions,
) -> Result<Vec<String>> {
    let faults = [set.left_out(), dev.left_out()].concat();
    let Some(first) = faults.first() else { return Ok(before) };
    let path = options.out.join(LEFT_OUT);
    let all: BTreeSet<String> = before.into_iter().chain(faults.iter().cloned()).collect();
    let text: String = all.iter().map(|fault| format!("{fault}\n")).collect();
    fs::write_bytes(&path, text.as_bytes())?;
    (options.warn)(&format!(
        "left out, because the audio cannot be read: {}, named in {}; the first: {first}",
        counted(faults.len(), "recording"),
        path.display()
    ));
    Ok(all.into_iter().collect())
}

/// Learning rate and margin of the run. A quantizer's stages may restart the learning rate.
fn schedules(recipe: &Recipe, steps: usize, quantizer: Option<&Quantizer>) -> Schedules {
    let (schedules, epochs) = (recipe.schedules(steps), recipe.train.epochs);
    match quantizer.filter(|q| q.config().restart_rate) {
        Some(q) => {
            let length = |stage| (1..=epochs).filter(|&e| q.stage(e, epochs) == stage).count();
            let lengths: Vec<usize> = (0..q.stages()).map(|stage| steps * length(stage)).collect();
            schedules.restarted(&lengths)
        }
        None => schedules,
    }
}

/// Runs the loop within burn-train. Returns the network of the last step.
fn fit(
    options: &RunOptions,
    run: &Arc<Loop>,
    loader: Loader,
    dev: &Arc<DevSet>,
    trainee: Trainee,
) -> Result<Trainee> {
    let (epoch, renderer) = {
        let progress = run.progress.lock().expect("no holder panics");
        let state = &progress.as_ref().expect("the loop has not run").state;
        (state.epoch, renderer(options, &run.recipe, state))
    };
    let valid = DevLoader(dev.clone());
    let training = SupervisedTraining::new(&options.out, Arc::new(loader), Arc::new(valid))
        .renderer(renderer)
        .with_application_logger(None)
        .with_metric_logger(Unlogged)
        .metric_train_numeric(trial_metric::loss())
        .metric_train_numeric(trial_metric::accuracy())
        .metric_train_numeric(trial_metric::margin())
        .metric_train_numeric(LearningRateMetric::new())
        .metric_valid_numeric(trial_metric::eer())
        .metric_valid_numeric(trial_metric::min_dcf())
        .num_epochs(run.recipe.train.epochs)
        .checkpoint(epoch - 1)
        .with_training_strategy(TrainingStrategy::Custom(run.clone()));
    // The learner only hands over the model. The loop has an optimizer of its own, and takes each
    // iteration's rate from the schedules.
    let unused = SgdConfig::new().init();
    let learner = Learner::new(trainee.lasting().train(), unused, run.schedules.at(0).rate);
    let launched = quietly(|| training.launch(learner));
    // Errors are printed on the terminal as it was.
    crate::terminal::release();
    // An error of the loop causes the panics after it.
    let outcome = std::mem::replace(&mut *run.outcome.lock().expect("no holder panics"), Ok(()));
    outcome.map_err(|error| match is_of_device(&error) {
        true => of_device(error, &options.out),
        false => error,
    })?;
    Ok(launched.map_err(|panic| of_device(failure(&panic), &options.out))?.model)
}

fn is_of_device(error: &Error) -> bool {
    matches!(error.bare(), Error::OutOfMemory { .. } | Error::DeviceLost { .. } | Error::Backend(_))
}

/// The error of a device, with the checkpoint to go on from.
fn of_device(error: Error, out: &Path) -> Error {
    match checkpoint::newest(out) {
        Some(checkpoint) => error.with(Remedy::ResumeFrom { checkpoint }),
        None => error,
    }
}
