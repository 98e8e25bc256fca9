//! The part of a run before its first step. It refuses bad settings first, then bad data.

use std::sync::Arc;

use super::checkpoint::{self, Average, Loaded, State};
use super::classes::{HeadMatch, class_names};
use super::folder::{RunFolder, check_position};
use super::identity::{Accept, EPOCHS, Identity};
use super::parts::Parts;
use super::past::{Past, way_out};
use super::start::Start;
use super::strategy::summed_before;
use super::{DevSet, Loader, Recipe, RunOptions, TrainSet, Trainee};
use crate::bytes::counted;
use crate::corpus::shards::SCANNING;
use crate::corpus::synth;
use crate::error::{Error, Remedy, Result};
use crate::model_file::{Header, Training};
use crate::optim::Stepper;
use crate::progress::reporting;
use crate::quant::Quantizer;
use crate::rng::{fnv1a64, mix64};

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
    let devices: Vec<_> =
        std::iter::once(&options.device).chain(&options.others).cloned().collect();
    for device in &devices {
        recipe.train.precision.check(device)?;
    }
    let model = start.as_ref().map(|start| start.hash.clone());
    let mut identity = Identity::new(recipe, model, &options.backend, devices.len());
    let past = match &folder.checkpoint {
        Some(path) => Some(Past::read(path, recipe, &identity, accept, &*options.note)?),
        None => None,
    };
    let ended = past.as_ref().and_then(|past| past.ended.clone());
    if ended.is_none() {
        folder.check_outputs()?;
    }
    let data = Data::read(recipe, options)?;
    let parts = Parts::new(devices, recipe.train.accumulate, recipe.train.batch_size)?;
    compare_data(&mut identity, recipe, options, &data, past.as_ref(), accept)?;
    let data_hash = identity.data_hash();
    let Weights { trainee, quantizer, head } =
        Weights::new(recipe, options, &data, start, past.is_some())?;
    let (mut begin, moved) = match &past {
        Some(past) => resumed(recipe, options, trainee, identity, past, &data)?,
        None => (begun(recipe, trainee, identity)?, None),
    };
    begin.state.classes.clone_from(&data.classes);
    begin.trainee = begin.trainee.frozen(&recipe.train.freeze);
    let factors = begin.trainee.factors(&recipe.schedule.factors);
    begin.optimizer = begin.optimizer.with_factors(factors);
    if ended.is_none() {
        folder.begin(recipe, begin.state.epoch)?;
    }
    let header = header(recipe, &data, data_hash, quantizer.is_some());
    Ok(Prepared { data, parts, quantizer, begin, head: moved.or(head), header, ended })
}

impl Data {
    /// Reads lists, after making synthetic corpora that are not there yet.
    fn read(recipe: &Recipe, options: &RunOptions) -> Result<Self> {
        if let Some(config) = &recipe.data.synth {
            let done = reporting("synthesizing", options.quiet);
            synth::ensure(config, &options.stop, &done)?;
        }
        let set = TrainSet::new(recipe, options.warn.clone(), &reporting(SCANNING, options.quiet))?;
        let (corpus, folder) = (set.corpus(), recipe.data.train.display());
        (options.note)(&format!(
            "{folder}: {} of {}",
            counted(corpus.utterances.len(), "utterance"),
            counted(corpus.speakers.len(), "speaker")
        ));
        let dev = DevSet::new(recipe, options.warn.clone())?.stopped_by(options.stop.clone());
        let dev = Arc::new(dev);
        dev.check_audio(&reporting("reading the dev files", options.quiet))?;
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

/// The network and its head at the beginning of training.
struct Weights {
    trainee: Trainee,
    quantizer: Option<Quantizer>,
    head: Option<HeadMatch>,
}

impl Weights {
    /// Random weights, or those of a model to begin with.
    fn new(
        recipe: &Recipe,
        options: &RunOptions,
        data: &Data,
        start: Option<Start>,
        resumed: bool,
    ) -> Result<Self> {
        let classes = data.set.classes();
        // A checkpoint replaces all weights but the rows of new classes. These must not be what
        // other classes began with.
        let seed = match resumed {
            true => mix64(recipe.seed ^ fnv1a64(data.classes.join("\n").as_bytes())),
            false => recipe.seed,
        };
        let mut trainee =
            Trainee::new(&recipe.model, &recipe.loss, classes, &options.device, seed)?;
        let precision = recipe.train.precision;
        let (mut quantizer, mut head) = (None, None);
        if let Some(start) = start {
            let (with_weights, found) =
                trainee.starting_with(start.network, start.head, &start.speakers, &data.classes)?;
            trainee = with_weights;
            // A resumed run has its head in the checkpoint.
            if !resumed {
                tell_head(&found, options);
            }
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
        Ok(Self { trainee, quantizer, head })
    }
}

/// Reports the classes that the head takes over from the model that the run begins with.
fn tell_head(found: &HeadMatch, options: &RunOptions) {
    if let Some(caution) = &found.caution {
        (options.warn)(caution);
    }
    (options.note)(&format!("head: {found}"));
}

/// A training that has not begun.
fn begun(recipe: &Recipe, trainee: Trainee, identity: Identity) -> Result<Begin> {
    let (optimizer, average) = (recipe.optimizer.init()?, Average::new());
    let state = with_loss_scale(recipe, State::start(identity));
    Ok(Begin { trainee, optimizer, average, state, on_disk: None })
}

/// The state of the checkpoint. With it, how the classes were found, if they have changed.
fn resumed(
    recipe: &Recipe,
    options: &RunOptions,
    trainee: Trainee,
    identity: Identity,
    past: &Past,
    data: &Data,
) -> Result<(Begin, Option<HeadMatch>)> {
    let Loaded { trainee, optimizer, mut average, mut state, head } =
        checkpoint::load_for(past.path, trainee, &recipe.optimizer, &data.classes)
            .map_err(|e| way_out(past.path, e))?;
    if let (Some(why), Some(found)) = (&past.ended, &head) {
        let all = past.state.epoch > recipe.train.epochs;
        let (key, more) =
            if all { (EPOCHS, "more epochs") } else { ("train.patience", "more patience") };
        let message = format!(
            "the run is complete ({why}): new speakers need {more}; nothing would be trained \
             (head: {found})"
        );
        return Err(Error::file(past.path, message).with(Remedy::Raise { key }));
    }
    check_position(past.path, &state, recipe.train.epochs, data.steps)?;
    if let Some(found) = &head {
        (options.note)(&format!("head: {found}"));
        if past.state.batch > 0 {
            let epoch = state.epoch;
            (options.note)(&format!("epoch {epoch} begins anew, with the steps of the new lists"));
        }
    }
    let wanted = summed_before(&recipe.train, state.epoch);
    if past.ended.is_none() && state.averaged > wanted {
        // A sum of other epochs than the last ones cannot be undone.
        (average, state.averaged) = (Average::new(), 0);
        if recipe.train.average_last > 1 {
            let first = state.epoch.max(recipe.train.epochs + 1 - recipe.train.average_last);
            (options.note)(&format!("the mean of weights begins anew, with epoch {first}"));
        }
    }
    let on_disk = Some(state.step(data.steps));
    (state.identity, state.best) = (identity, past.state.best);
    let state = with_loss_scale(recipe, state);
    Ok((Begin { trainee, optimizer, average, state, on_disk }, head))
}

/// The state with a loss scale if the recipe's precision wants one: the checkpoint's, or the first.
fn with_loss_scale(recipe: &Recipe, state: State) -> State {
    let wanted = recipe.train.precision.scales_loss();
    State { loss_scale: wanted.then(|| state.loss_scale.unwrap_or_default()), ..state }
}

/// The header of the run's model file. Steps and epoch are known when the file is written.
fn header(recipe: &Recipe, data: &Data, data_hash: String, is_packed: bool) -> Header {
    let mut header = Header::new(recipe.model.clone(), recipe.frontend());
    // A packed model has no head.
    if !is_packed {
        header.speakers = data.classes.clone();
    }
    header.training = Some(Training {
        recipe: recipe.to_toml(),
        seed: recipe.seed,
        data_hash,
        steps: 0,
        epoch: 0,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    });
    header
}
