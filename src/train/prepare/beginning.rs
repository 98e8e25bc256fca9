//! What a run begins with: weights, states and the place in the data, new or from a checkpoint.

use super::{Begin, Data};
use crate::backend::reversible::Execution;
use crate::error::{Error, Remedy, Result};
use crate::model_file::{Header, Training};
use crate::quant::Quantizer;
use crate::rng::{fnv1a64, mix64};
use crate::train::checkpoint::{self, Average, Loaded, State};
use crate::train::classes::HeadMatch;
use crate::train::folder::{RunFolder, check_position};
use crate::train::identity::EPOCHS;
use crate::train::past::{Past, way_out};
use crate::train::strategy::summed_before;
use crate::train::{Identity, Recipe, RunOptions, Start, Trainee};

/// What a run begins with: everything that changes, the quantizer, the head's classes, and the
/// header of the model file.
pub(super) type Beginning = (Begin, Option<Quantizer>, Option<HeadMatch>, Header);

/// Makes what a run begins with, and writes the recipe into the folder.
pub(super) fn first_weights(
    recipe: &Recipe,
    options: &RunOptions,
    folder: &RunFolder,
    identity: Identity,
    past: Option<&Past>,
    start: Option<Start>,
    data: &Data,
) -> Result<Beginning> {
    let data_hash = identity.data_hash();
    let Weights { trainee, quantizer, head } =
        Weights::new(recipe, options, data, start, past.is_some())?;
    let (mut begin, moved) = match past {
        Some(past) => resumed(recipe, options, trainee, identity, past, data)?,
        None => (begun(recipe, trainee, identity)?, None),
    };
    begin.state.classes.clone_from(&data.classes);
    begin.trainee = begin.trainee.frozen(&recipe.train.freeze);
    let factors = begin.trainee.factors(&recipe.schedule.factors);
    begin.optimizer = begin.optimizer.with_factors(factors);
    if past.is_none_or(|past| past.ended.is_none()) {
        folder.begin(recipe, begin.state.epoch)?;
    }
    let header = header(recipe, data, data_hash, quantizer.is_some());
    Ok((begin, quantizer, moved.or(head), header))
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
        let trainee = match recipe.train.execution {
            Some(Execution::Checkpointed) => {
                let lacks = || Error::invalid("train.execution: no plan says what to recompute");
                trainee.checkpointed(options.spans.clone().ok_or_else(lacks)?)?
            }
            execution => trainee.with_execution(execution)?,
        };
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
