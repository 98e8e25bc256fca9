//! The part of a run before its first step. It refuses bad settings first, then bad data.

mod beginning;
mod same;

use std::sync::Arc;

use self::beginning::first_weights;
use self::same::{same_data, same_weights};
use super::checkpoint::{Average, State};
use super::classes::{HeadMatch, class_names};
use super::folder::RunFolder;
use super::identity::{Accept, Identity};
use super::parts::Parts;
use super::past::Past;
use super::ranks::by_first;
use super::start::Start;
use super::{DevSet, Loader, Recipe, RunOptions, TrainSet, Trainee};
use crate::backend::collective::agree;
use crate::bytes::counted;
use crate::corpus::shards::SCANNING;
use crate::corpus::synth;
use crate::error::{Error, Remedy, Result};
use crate::model_file::Header;
use crate::optim::Stepper;
use crate::progress::reporting;
use crate::quant::Quantizer;

/// Speakers of a single utterance that are named in warnings.
const NAMED: usize = 10;

/// A run that is ready for its first step, or has ended already.
pub(super) struct Prepared {
    pub data: Data,
    pub parts: Parts,
    pub quantizer: Option<Quantizer>,
    pub begin: Begin,
    /// Classes that the head took over from the model that the run began with, or from a checkpoint
    /// of other classes.
    pub head: Option<HeadMatch>,
    /// The header of the run's model file.
    pub header: Header,
    /// Why nothing is left to train, if the run has ended.
    pub ended: Option<String>,
}

/// Training and test data.
pub(super) struct Data {
    pub set: TrainSet,
    pub dev: Arc<DevSet>,
    /// Names of the classes, in the order of their labels.
    pub classes: Vec<String>,
    /// Steps of an epoch.
    pub steps: usize,
}

/// Everything that changes while training, as it is before the first step.
pub(super) struct Begin {
    pub trainee: Trainee,
    pub optimizer: Stepper,
    pub average: Average,
    pub state: State,
    /// The step of the checkpoint on disk, if there is one.
    pub on_disk: Option<usize>,
}

/// Compares the run with its checkpoint, if it goes on with one; reads the data's lists; makes
/// everything that training needs; writes the recipe into the folder.
///
/// # Errors
/// Everything that is known to be wrong before the first step.
pub(super) fn prepare(
    recipe: &Recipe,
    options: &RunOptions,
    folder: &RunFolder,
    accept: &Accept,
    start: Option<Start>,
) -> Result<Prepared> {
    let ranks = &*options.ranks;
    let model = start.as_ref().map(|start| start.hash.clone());
    let (mut identity, past) = agree(ranks, settings(recipe, options, folder, accept, model))?;
    let ended = past.as_ref().and_then(|past| past.ended.clone());
    if let Some(config) = &recipe.data.synth {
        let done = reporting("synthesizing", options.quiet);
        by_first(ranks, || synth::ensure(config, &options.stop, &done))?;
    }
    let (data, parts) = agree(ranks, divided(recipe, options))?;
    // Rank 0 alone compares with the checkpoint, and reads all the audio where that is wanted.
    by_first(ranks, || {
        data.dev.check_audio(&reporting("reading the dev files", options.quiet))?;
        compare_data(&mut identity, recipe, options, &data, past.as_ref(), accept)
    })?;
    same_data(&mut identity, recipe, options, &data)?;
    let begun = first_weights(recipe, options, folder, identity, past.as_ref(), start, &data);
    let (begin, quantizer, head, header) = agree(ranks, begun)?;
    same_weights(options, &begin)?;
    Ok(Prepared { data, parts, quantizer, begin, head, header, ended })
}

/// What the run depends on besides its data, compared with the checkpoint, if there is one.
fn settings<'a>(
    recipe: &Recipe,
    options: &RunOptions,
    folder: &'a RunFolder,
    accept: &Accept,
    model: Option<String>,
) -> Result<(Identity, Option<Past<'a>>)> {
    for device in std::iter::once(&options.device).chain(&options.others) {
        recipe.train.precision.check(device)?;
    }
    let devices = 1 + options.others.len();
    let identity =
        Identity::new(recipe, model, &options.backend, devices).of_ranks(options.ranks.size());
    let past = match &folder.checkpoint {
        Some(path) => Some(Past::read(path, recipe, &identity, accept, &*options.note)?),
        None => None,
    };
    if past.as_ref().is_none_or(|past| past.ended.is_none()) {
        folder.check_outputs()?;
    }
    Ok((identity, past))
}

/// The data, and how its batches are divided.
fn divided(recipe: &Recipe, options: &RunOptions) -> Result<(Data, Parts)> {
    let data = Data::read(recipe, options)?;
    let devices = std::iter::once(&options.device).chain(&options.others).cloned().collect();
    let train = &recipe.train;
    if train.sync_batch_norm && !options.others.is_empty() {
        return Err(Error::invalid(
            "train.sync_batch_norm: the devices of one process cannot be synchronised; start a \
             process for each device (mpirun -n N)",
        ));
    }
    if train.release_gradients {
        released_alone(options.others.len() + 1, options.ranks.size())?;
    }
    let parts = Parts::new(devices, train.accumulate, train.batch_size, &*options.ranks)?;
    Ok((data, parts))
}

/// Refuses to release gradients that are parts of a sum.
fn released_alone(devices: usize, ranks: usize) -> Result<()> {
    let divided = match (devices, ranks) {
        (1, 1) => return Ok(()),
        (_, 1) => counted(devices, "device"),
        (_, several) => counted(several, "rank"),
    };
    Err(Error::Invalid(format!(
        "train.release_gradients: not with {divided}, whose gradients are summed before the step, \
         while released gradients are gone during the backward pass; train on one device of one \
         process, or set train.release_gradients = false"
    )))
}

impl Data {
    /// Reads lists.
    fn read(recipe: &Recipe, options: &RunOptions) -> Result<Self> {
        let set = TrainSet::new(recipe, options.warn.clone(), &reporting(SCANNING, options.quiet))?;
        let (corpus, folder) = (set.corpus(), recipe.data.train.display());
        (options.note)(&format!(
            "{folder}: {} of {}",
            counted(corpus.utterances.len(), "utterance"),
            counted(corpus.speakers.len(), "speaker")
        ));
        let dev = DevSet::new(recipe, options.warn.clone())?.stopped_by(options.stop.clone());
        let dev = Arc::new(dev);
        for speaker in set.corpus().lone_speakers().into_iter().take(NAMED) {
            (options.warn)(&format!(
                "speaker `{speaker}` has a single utterance: the network can only learn its \
                 recording"
            ));
        }
        let trained = &set.corpus().speakers;
        let in_both = |name: &&String| trained.binary_search(name).is_ok();
        let shared = dev.corpus().speakers.iter().filter(in_both).count();
        if shared > 0 {
            let are = if shared == 1 { "is" } else { "are" };
            (options.warn)(&format!(
                "{} of data.dev {are} in data.train, so the dev EER is too good",
                counted(shared, "speaker")
            ));
        }
        let batch_size = recipe.train.batch_size;
        let steps = Loader::steps(&set, batch_size);
        if steps == 0 {
            let message =
                format!("{} training examples do not fill one batch of {batch_size}", set.len());
            let most = set.len().max(1);
            return Err(Error::file(&recipe.data.train, message)
                .with(Remedy::Lower { key: "train.batch_size", most }));
        }
        let classes = class_names(&set.corpus().speakers, &recipe.data.speeds);
        Ok(Self { set, dev, classes, steps })
    }
}

/// Adds the data to the run's identity, and compares it with the checkpoint's.
fn compare_data(
    identity: &mut Identity,
    recipe: &Recipe,
    options: &RunOptions,
    data: &Data,
    past: Option<&Past>,
    accept: &Accept,
) -> Result<()> {
    let (train, dev) = (data.set.corpus(), data.dev.corpus());
    identity.add_data(recipe, train, dev, options.verify_data, options.quiet, &options.stop)?;
    if let Some(past) = past {
        let notes = identity.check_data(&past.state.identity, past.path, accept)?;
        notes.iter().for_each(|text| (options.note)(text));
    }
    for name in accept.unused() {
        (options.note)(&format!("{name} is accepted, but does not differ"));
    }
    Ok(())
}
