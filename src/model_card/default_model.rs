//! The model inside the program, which verbs use when none is named.

use std::path::Path;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::model_file::{Model, SHIPPED};

/// Its card.
const CARD: &str = include_str!("../../models/default/model.toml");

/// What is known of the model inside the program. Network, front-end, seed and thresholds stand in
/// the model's own header.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DefaultCard {
    /// What it is, in a few words.
    pub title: String,
    /// What it knows little of.
    pub limits: String,
    /// On whose speech its thresholds hold.
    pub thresholds: String,
    /// Its licence.
    pub licence: String,
    /// Bytes of its file.
    pub bytes: usize,
    /// SHA-256 of its file, in hex: what `sha256sum` says of it.
    pub sha256: String,
    /// How it was made.
    pub made: Provenance,
    /// The recordings that it was trained on.
    pub data: Vec<Origin>,
    /// How it does on speakers that it has not heard. The first list gave the threshold.
    pub tested: Vec<Tested>,
}

/// How a model was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The recipe.
    pub recipe: String,
    /// The command that makes the model.
    pub command: String,
    /// The commit of the sources whose program trained and packed it.
    pub commit: String,
    /// What programs of which sources did, and what later ones make.
    pub later: String,
    /// The seed.
    pub seed: u64,
    /// The program's version.
    pub version: String,
}

/// A corpus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Its name.
    pub name: String,
    /// What of it was used, and what for.
    pub used: String,
    /// Its licence.
    pub licence: String,
    /// Its address.
    pub at: String,
}

/// Error rates on a list of trials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tested {
    /// The list.
    pub list: String,
    /// How many speakers and trials it has.
    pub size: String,
    /// Equal error rate in percent of the model before it was packed.
    pub f32_eer_percent: f64,
    /// Equal error rate in percent of the model as it ships.
    pub eer_percent: f64,
    /// Score at that rate.
    pub threshold: f64,
}

impl DefaultCard {
    /// The card.
    pub fn get() -> Self {
        toml::from_str(CARD).expect("a test reads the card")
    }
}

/// The model inside the program.
///
/// # Errors
/// Those of [`Model::from_bytes`]: it would be a damaged program.
pub fn default_model(device: &Device) -> Result<Model> {
    Model::from_bytes(Path::new("the model inside the program"), SHIPPED.to_vec(), device)
}
