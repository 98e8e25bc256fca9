//! What a run depends on: recipe, model to begin with, data, backend, devices.
//!
//! A checkpoint holds the identity of its run, and a run that goes on with the checkpoint must have
//! the same one. An error names every difference. Differences that make sense within a run can be
//! accepted by their names.

mod accept;
mod data;
mod findings;
#[cfg(test)]
mod tests;

pub use accept::Accept;
pub use data::Fingerprint;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use self::findings::Findings;
use super::Recipe;
use super::recipe::{Difference, Role, differing, role_of};
use crate::error::{Error, Remedy, Result};

/// The list of training data.
const LIST: &str = "data.train";
/// The name of the model to begin with, in messages.
const INIT: &str = "init";
/// The name of the backend.
const BACKEND: &str = "backend";
/// The name of the number of devices.
const DEVICES: &str = "devices";
/// The name of the number of ranks.
const RANKS: &str = "ranks";
/// The key of the number of epochs.
pub(super) const EPOCHS: &str = "train.epochs";

/// What a run depends on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// The recipe as TOML, without values that do not change the result (threads, cache, execution,
    /// checkpoints), the path of the model to begin with, and the second phase.
    pub recipe: String,
    /// SHA-256 of the model file that the run began with.
    #[serde(default)]
    pub init: Option<String>,
    /// Data by name: `data.train`, `data.dev`, `data.trials`, `augment.noise`, `augment.reverb`.
    #[serde(default)]
    pub data: BTreeMap<String, Fingerprint>,
    /// Name of the backend. None in old checkpoints, which did not record it.
    #[serde(default)]
    pub backend: Option<String>,
    /// Devices that a batch is divided among. None in old checkpoints, which did not record them.
    #[serde(default)]
    pub devices: Option<usize>,
    /// Ranks that a batch is divided among before that, if there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranks: Option<usize>,
}

/// Whether the difference is that a run goes on for more epochs. A quantizer's stages divide all
/// epochs among themselves, so with one that is a change of what was done already.
fn is_longer(difference: &Difference, ours: &Recipe, theirs: &Recipe) -> bool {
    difference.key == EPOCHS
        && ours.train.epochs > theirs.train.epochs
        && ours.quantize.is_none()
        && theirs.quantize.is_none()
}

impl Identity {
    /// The settings. [`Identity::add_data`] adds the data.
    pub fn new(recipe: &Recipe, init: Option<String>, backend: &str, devices: usize) -> Self {
        Self {
            recipe: recipe.decisive(),
            init,
            data: BTreeMap::new(),
            backend: Some(backend.to_owned()),
            devices: Some(devices),
            ranks: None,
        }
    }

    /// The same run by so many ranks.
    #[must_use]
    pub fn of_ranks(self, ranks: usize) -> Self {
        Self { ranks: (ranks > 1).then_some(ranks), ..self }
    }

    /// Compares the settings with those of a checkpoint at `path`, without reading data. Returns
    /// remarks for people: accepted differences, and settings that an old checkpoint lacks. More
    /// epochs need no acceptance.
    ///
    /// # Errors
    /// All differences that are not accepted, with [`Remedy::Accept`] if they can be, with
    /// [`Remedy::Keep`] where one is the list of training data, or with [`Remedy::Set`] where there
    /// are fewer epochs than before. A checkpoint whose recipe this version cannot read.
    pub fn check_settings(&self, old: &Self, path: &Path, accept: &Accept) -> Result<Vec<String>> {
        let mut findings = Findings::new(accept);
        if self.recipe != old.recipe {
            let ours = Recipe::parse_decisive(&self.recipe, Path::new("the run's recipe"))?;
            let theirs = Recipe::parse_decisive(&old.recipe, Path::new("recipe")).map_err(|e| {
                let message = format!("this version cannot read the recipe in it: {e}");
                Error::file(path, message).with(Remedy::OtherFolder)
            })?;
            for difference in differing(&ours, &theirs) {
                let text = difference.shown("in the checkpoint");
                match role_of(&difference.key) {
                    Some(Role::Neutral) => {}
                    Some(Role::Changeable) if is_longer(&difference, &ours, &theirs) => {
                        let epochs = ours.train.epochs;
                        let more = format!("the rates are those of a run of {epochs} epochs");
                        findings.grant(EPOCHS, format!("{text}: from here on {more}"));
                    }
                    Some(Role::Changeable)
                        if difference.key == EPOCHS && ours.train.epochs < theirs.train.epochs =>
                    {
                        findings.add_set(EPOCHS, theirs.train.epochs.to_string(), text);
                    }
                    Some(Role::Changeable) => match &difference.theirs {
                        Some(list) if difference.key == LIST => {
                            findings.add_list(LIST, list.trim_matches(['"', '\'']), text);
                        }
                        _ => findings.add(&difference.key, text),
                    },
                    Some(Role::Fixed) | None => findings.add_fixed(&difference.key, text),
                }
            }
        }
        let began = match (&self.init, &old.init) {
            (ours, theirs) if ours == theirs => None,
            (Some(_), Some(_)) => Some("another model"),
            (Some(_), None) => Some("random weights, not with a model"),
            (None, _) => Some("a model, not with random weights"),
        };
        if let Some(began) = began {
            findings.add_fixed(INIT, format!("{INIT}: the run began with {began}"));
        }
        let head = match findings.is_refused() {
            true => "belongs to another recipe",
            false => "was made otherwise",
        };
        if let (Some(ours), Some(theirs)) = (&self.backend, &old.backend)
            && ours != theirs
        {
            findings.add(BACKEND, format!("{BACKEND} = {ours}, in the checkpoint {theirs}"));
        }
        if let (Some(ours), Some(theirs)) = (self.devices, old.devices)
            && ours != theirs
        {
            findings.add(DEVICES, format!("{DEVICES} = {ours}, in the checkpoint {theirs}"));
        }
        let [ours, theirs] = [self.ranks, old.ranks].map(|ranks| ranks.unwrap_or(1));
        if ours != theirs {
            let text = format!("{RANKS} = {ours}, in the checkpoint {theirs}");
            let more = "from here on BatchNorm sees other parts of a batch, unless \
                        train.accumulate and --devices make up for it; its running statistics \
                        come from other parts in any case";
            findings.grant(RANKS, format!("{text}: {more}"));
        }
        let unknown: Vec<&str> = [
            (BACKEND, old.backend.is_none()),
            (DEVICES, old.devices.is_none()),
            ("data", old.data.is_empty()),
        ]
        .into_iter()
        .filter_map(|(name, is_unknown)| is_unknown.then_some(name))
        .collect();
        if !unknown.is_empty() {
            findings.notes.push(format!(
                "{} does not tell {}, since an earlier version wrote it: not compared",
                path.display(),
                unknown.join(", ")
            ));
        }
        findings.end(path, head)
    }

    /// Compares the data with that of a checkpoint at `path`. Returns remarks for people. Where
    /// this run did not read content, and lists and sizes are the same, it takes over the
    /// checkpoint's hash of the content.
    ///
    /// # Errors
    /// All differences that are not accepted, with [`Remedy::Accept`].
    pub fn check_data(&mut self, old: &Self, path: &Path, accept: &Accept) -> Result<Vec<String>> {
        let mut findings = Findings::new(accept);
        let (mut unknown, mut without_content) = (Vec::new(), false);
        for (name, ours) in &mut self.data {
            let Some(theirs) = old.data.get(name) else {
                unknown.push(name.as_str());
                without_content |= old.data.is_empty() && ours.bytes.is_some();
                continue;
            };
            without_content |= ours.bytes.is_some() && theirs.bytes.is_none();
            match ours.change_from(theirs) {
                data::Change::None => {}
                data::Change::Times => {
                    findings.notes.push(format!(
                        "{name}: times of files have changed, their content has not"
                    ));
                }
                data::Change::Other(what) => findings.add(name, format!("{name}: {what}")),
            }
            if ours.bytes.is_none() && ours.lists == theirs.lists && ours.sizes == theirs.sizes {
                ours.bytes = theirs.bytes.clone();
            }
        }
        // For a checkpoint without any data, the check of the settings has said so.
        if !old.data.is_empty() && !unknown.is_empty() {
            findings.notes.push(format!(
                "{} does not tell {}: not compared",
                path.display(),
                unknown.join(", ")
            ));
        }
        if without_content {
            let note = "the run began without reading the content of its data: nothing to compare \
                        with; from now on there is";
            findings.notes.push(note.to_owned());
        }
        findings.end(path, "the lists or audio files have changed since this checkpoint")
    }
}
