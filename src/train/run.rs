//! A training run from recipe to model file: prepare, launch, finish.

mod phases;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use burn::tensor::Device;

use super::Recipe;
use super::finish::{Report, finish};
use super::folder::RunFolder;
use super::identity::Accept;
use super::launch::launch;
use super::prepare::prepare;
use super::ranks::{RECIPE, alike};
use super::start::Start;
use crate::backend::collective::{Communicator, agree};
use crate::error::{Error, Remedy, Result};
use crate::nn::graph::Span;
use crate::quant::Quantizer;

/// How to run.
#[derive(Clone)]
pub struct RunOptions {
    /// Folder of the run.
    pub out: PathBuf,
    /// Go on with the checkpoint in it.
    pub resume: bool,
    /// Names of accepted differences from the checkpoint, as [`Accept`] has them.
    pub accept: Vec<String>,
    /// Read the content of all audio, and compare it with that of the beginning.
    pub verify_data: bool,
    /// Name of the backend, as [`BackendKind`](crate::backend::BackendKind) has it.
    pub backend: String,
    /// Where tensors live.
    pub device: Device,
    /// Further devices that this rank's part of a batch is divided among.
    pub others: Vec<Device>,
    /// The processes that train the same model together; `Alone` for one.
    pub ranks: Arc<dyn Communicator>,
    /// Bytes of the pages that GPUs' allocators serve activations from, if a plan says
    /// (`memory::page`).
    pub page: Option<u64>,
    /// The same for the recipe's second phase, if it has one.
    pub second_page: Option<u64>,
    /// What a checkpointed network recomputes, as a plan says (`memory::plan`).
    pub spans: Option<Arc<[Span]>>,
    /// The same for the recipe's second phase, if it has one.
    pub second_spans: Option<Arc<[Span]>>,
    /// Set from outside to stop after the current step.
    pub stop: Arc<AtomicBool>,
    /// No progress.
    pub quiet: bool,
    /// Show the dashboard (needs the feature `tui` and a terminal).
    pub dashboard: bool,
    /// Gets warnings.
    pub warn: Arc<dyn Fn(&str) + Send + Sync>,
    /// Gets remarks that are no warnings.
    pub note: Arc<dyn Fn(&str) + Send + Sync>,
}

impl RunOptions {
    /// The folder of the second phase, within that of the first.
    pub fn second_out(&self) -> PathBuf {
        self.out.join("large_margin")
    }
}

/// Trains by a recipe: a new network, or the model that the recipe begins with (`init`). A second
/// phase (`large_margin`) follows in the folder `large_margin` of the run, begins with the model of
/// the first one, and is what the report is of.
///
/// # Errors
/// Any failure of the run, with a [`Remedy`] where one is known:
/// [`Error::OutOfMemory`] has [`Remedy::ResumeFrom`] if there is a checkpoint. Everything is saved
/// before [`Error::Interrupted`] is returned. The error of one rank ends all of them, and names it.
pub fn train(recipe: &Recipe, options: &RunOptions) -> Result<Report> {
    let options = &options.of_rank();
    same_settings(recipe, options)?;
    refuse_quantize(recipe)?;
    let start = match &recipe.init {
        Some(model) => Some(agree(&*options.ranks, begun_with(model, recipe, options))?),
        None => None,
    };
    phases::run(recipe, options, start)
}

/// Trains a network further, whatever model the recipe begins with. With a quantizer, the run's
/// model is a packed one.
///
/// # Errors
/// Those of [`train`]. Stages that do not fit the epochs.
pub fn fine_tune(recipe: &Recipe, options: &RunOptions, start: Start) -> Result<Report> {
    let options = &options.of_rank();
    same_settings(recipe, options)?;
    match &start.quantizer {
        Some(_) if recipe.large_margin.is_some() => {
            let message = "the recipe has a section [large_margin]: a network that is quantized \
                           has no second phase";
            return Err(Error::invalid(message));
        }
        Some(_) if !recipe.train.weights.is_default() => {
            let message = "train.weights: a network that is quantized trains with f32 weights, of \
                           which its codebooks are made";
            return Err(Error::invalid(message));
        }
        Some(quantizer) => check_stages(recipe, quantizer)?,
        None => refuse_quantize(recipe)?,
    }
    phases::run(&Recipe { init: None, ..recipe.clone() }, options, Some(start))
}

/// Refuses ranks of different programs or recipes.
fn same_settings(recipe: &Recipe, options: &RunOptions) -> Result<()> {
    let ours = [
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("backend", options.backend.clone()),
        (RECIPE, recipe.decisive()),
        // It does not change the result, but what ranks send each other.
        ("train.shard_states", recipe.train.shard_states.to_string()),
        // It follows from `train.memory`, which changes no result, and from the backend.
        (
            "what is recomputed (train.memory)",
            format!("{:?}", [&options.spans, &options.second_spans]),
        ),
    ];
    alike(&*options.ranks, &ours)
}

/// The model that a recipe begins with.
fn begun_with(model: &Path, recipe: &Recipe, options: &RunOptions) -> Result<Start> {
    let (start, header) = Start::load(model, &options.device)?;
    recipe.check_model(Path::new("the recipe"), &header)?;
    Ok(start)
}

/// Refuses a section that training without a quantizer would not use.
fn refuse_quantize(recipe: &Recipe) -> Result<()> {
    match recipe.quantize {
        Some(_) => {
            let message = "the recipe has a section [quantize], which training does not use";
            Err(Error::invalid(message).with(Remedy::Quantize))
        }
        None => Ok(()),
    }
}

/// Refuses more stages than epochs, and a mean over epochs before the last stage.
fn check_stages(recipe: &Recipe, quantizer: &Quantizer) -> Result<()> {
    let (stages, train) = (quantizer.stages(), &recipe.train);
    if stages > train.epochs {
        return Err(Error::Invalid(format!(
            "{stages} stages need as many epochs; train.epochs = {}",
            train.epochs
        )));
    }
    let is_last = |epoch: usize| quantizer.stage(epoch, train.epochs) + 1 == stages;
    let last = (1..=train.epochs).filter(|&epoch| is_last(epoch)).count();
    if train.average_last > last {
        return Err(Error::Invalid(format!(
            "train.average_last = {}: more than the epochs of the last stage ({last})",
            train.average_last
        )));
    }
    Ok(())
}

fn run(recipe: &Recipe, options: &RunOptions, start: Option<Start>) -> Result<Report> {
    let begun = Instant::now();
    let accept = Accept::parse(&options.accept)?;
    // No other process but these ranks writes into the folder until the end.
    let folder = RunFolder::of_ranks(options)?;
    folder.notes.iter().for_each(|text| (options.note)(text));
    let prepared = prepare(recipe, options, &folder, &accept, start)?;
    let trained = launch(recipe, options, prepared)?;
    finish(recipe, options, trained, begun).map_err(|e| {
        e.and(&format!("every epoch is in {}", options.out.display())).with(Remedy::Resume)
    })
}
