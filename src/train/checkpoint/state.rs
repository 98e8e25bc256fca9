//! The part of a checkpoint that is not tensors: the place in the training.

use std::fmt::Display;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::train::{Identity, LossScale, Position};

/// The format that is written.
pub(super) const FORMAT: u32 = 3;
/// The first format that is read.
pub(super) const OLDEST: u32 = 1;
/// More epochs, or batches of an epoch, than any training has.
const MOST: usize = u32::MAX as usize;
/// Up to format 2, the text between the recipe and the hash of the model that a run began with.
const BEGINS: &str = "\n# begins with ";

/// Why a state is not read.
#[derive(Debug)]
pub(super) enum Unread {
    /// A later version wrote it.
    Newer(String),
    /// It is not a state.
    Damaged(String),
}

/// The place in a training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Version of the format.
    pub format: u32,
    /// Version of revox that wrote it.
    #[serde(default)]
    pub version: String,
    /// What the run depends on.
    pub identity: Identity,
    /// Epoch to go on with, from 1.
    pub epoch: usize,
    /// Batch to go on with, from 0; with all batches done, the epoch's test is next.
    pub batch: usize,
    /// Sum of the losses of this epoch's batches so far.
    pub loss_sum: f64,
    /// Sum of their accuracies.
    pub accuracy_sum: f64,
    /// Steps of this epoch so far whose gradients were not finite.
    #[serde(default)]
    pub skipped: usize,
    /// Such steps since the last step that was made.
    #[serde(default)]
    pub skipped_in_a_row: usize,
    /// What the loss is multiplied by, in trainings whose precision wants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<LossScale>,
    /// Best dev EER so far with its epoch.
    pub best: Option<(f64, usize)>,
    /// Epochs in the running average.
    pub averaged: usize,
    /// Names of the head's classes, in the order of their labels. Old checkpoints have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
}

impl State {
    /// A training that has not begun.
    pub fn start(identity: Identity) -> Self {
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            identity,
            epoch: 1,
            batch: 0,
            loss_sum: 0.0,
            accuracy_sum: 0.0,
            skipped: 0,
            skipped_in_a_row: 0,
            loss_scale: None,
            best: None,
            averaged: 0,
            classes: Vec::new(),
        }
    }

    /// Reads the state of any format so far. Returns the number of the format too.
    pub(super) fn parse(text: &str) -> Result<(Self, u32), Unread> {
        let damaged = |what: &dyn Display| Unread::Damaged(what.to_string());
        let mut all: Value = serde_json::from_str(text).map_err(|e| damaged(&e))?;
        let format = all["format"].as_u64().ok_or_else(|| damaged(&"no number of its format"))?;
        if format > u64::from(FORMAT) {
            let version = all["version"].as_str().unwrap_or_default();
            return Err(Unread::Newer(format!(
                "is a checkpoint of format {format}, of a newer revox {version}; this version \
                 reads {OLDEST} to {FORMAT}: go on with the newer one"
            )));
        }
        if format < u64::from(OLDEST) {
            return Err(damaged(&format!(
                "format {format}; this version reads {OLDEST} to {FORMAT}"
            )));
        }
        if format < u64::from(FORMAT) {
            let recipe = all["recipe"].as_str().ok_or_else(|| damaged(&"no recipe"))?;
            let (recipe, init) = match recipe.split_once(BEGINS) {
                Some((recipe, model)) => (recipe.to_owned(), Some(model.trim().to_owned())),
                None => (recipe.to_owned(), None),
            };
            all["identity"] = json!({"recipe": recipe, "init": init});
            all["format"] = json!(FORMAT);
        }
        let state: Self = serde_json::from_value(all).map_err(|e| damaged(&e))?;
        state.check().map(|()| (state, format as u32)).map_err(Unread::Damaged)
    }

    /// Refuses a place that no training can be at.
    fn check(&self) -> Result<(), String> {
        let tested =
            |(rate, epoch): (f64, usize)| rate.is_finite() && (1..self.epoch).contains(&epoch);
        let fine = (1..=MOST).contains(&self.epoch)
            && self.batch <= MOST
            && self.averaged < self.epoch
            && self.best.is_none_or(tested)
            && self.loss_sum.is_finite()
            && self.accuracy_sum.is_finite();
        let Self { epoch, batch, best, averaged, loss_sum, accuracy_sum, .. } = self;
        match fine {
            true => Ok(()),
            false => Err(format!(
                "its training state contradicts itself: epoch {epoch}, batch {batch}, \
                 best {best:?}, {averaged} epochs averaged, sums {loss_sum} and {accuracy_sum}"
            )),
        }
    }

    /// The same at the beginning of its epoch.
    #[must_use]
    pub(in crate::train) fn rewound(self) -> Self {
        Self { batch: 0, loss_sum: 0.0, accuracy_sum: 0.0, skipped: 0, ..self }
    }

    /// Where the data goes on.
    pub fn position(&self) -> Position {
        Position { epoch: self.epoch, batch: self.batch }
    }

    /// Steps done, of so many an epoch.
    pub fn step(&self, steps: usize) -> usize {
        (self.epoch - 1).saturating_mul(steps).saturating_add(self.batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_formats_have_a_recipe_and_perhaps_a_model() {
        let old = |recipe: &str| {
            json!({
                "format": 2, "recipe": recipe, "data_hash": "d", "epoch": 2, "batch": 3,
                "loss_sum": 0.5, "accuracy_sum": 1.0, "best": [0.1, 1], "averaged": 0,
            })
        };
        let (state, format) = State::parse(&old("seed = 1\n").to_string()).unwrap();
        assert_eq!(format, 2);
        assert_eq!((state.format, state.identity.recipe.as_str()), (FORMAT, "seed = 1\n"));
        assert_eq!((state.identity.init, state.best, state.batch), (None, Some((0.1, 1)), 3));
        let (state, _) =
            State::parse(&old("seed = 1\n\n# begins with ab12\n").to_string()).unwrap();
        assert_eq!(
            (state.identity.recipe.trim(), state.identity.init.as_deref()),
            ("seed = 1", Some("ab12"))
        );
    }

    #[test]
    fn a_newer_format_says_who_wrote_it() {
        let error =
            State::parse("{\"format\": 4, \"version\": \"9.9.9\", \"new\": 1}").unwrap_err();
        let Unread::Newer(error) = error else { panic!("{error:?}") };
        assert!(
            error.contains("format 4, of a newer revox 9.9.9; this version reads 1 to 3"),
            "{error}"
        );
        for text in ["", "[]", "{}", "{\"format\": 0}", "{\"format\": 3}", "{\"format\": 2}"] {
            assert!(matches!(State::parse(text), Err(Unread::Damaged(_))), "{text}");
        }
    }

    /// Checkpoints of other precisions have no such field, as those of older versions.
    #[test]
    fn a_loss_scale_is_kept_where_there_is_one() {
        let mut state = State::start(Identity::default());
        let text = serde_json::to_string(&state).unwrap();
        assert!(!text.contains("loss_scale"), "{text}");
        assert_eq!(State::parse(&text).unwrap().0, state);
        let mut scale = LossScale::new();
        scale.after(false);
        state.loss_scale = Some(scale);
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(State::parse(&text).unwrap().0, state);
        let factor = state.loss_scale.as_ref().unwrap().factor();
        let damaged = text.replace(&format!("{factor:?}"), "3.0");
        assert!(matches!(State::parse(&damaged), Err(Unread::Damaged(_))), "{damaged}");
    }

    #[test]
    fn steps_are_counted_over_epochs() {
        let state = State { epoch: 3, batch: 4, ..State::start(Identity::default()) };
        assert_eq!(state.step(10), 24);
    }
}
