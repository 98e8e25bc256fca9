//! The card of a network.

use serde::{Deserialize, Serialize};

use super::Bytes;
use super::list::CARDS;
use crate::model_file::Frontend;
use crate::zoo::Architecture;

/// What is published and measured of a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// What a reader of the figures must know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Its trained values.
    pub parameters: usize,
    /// The network that the figures belong to.
    pub arch: Architecture,
    /// What the network hears.
    pub frontend: Input,
    /// Where the network was published.
    pub paper: Paper,
    /// Trained weights that others offer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<Weights>,
    /// Error rates that others have published.
    pub published: Vec<Published>,
    /// Figures of sources that tested on Vox1-O alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub published_on_o: Vec<Published<[f64; 1]>>,
    /// Our own figures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measured: Vec<Measured>,
    /// Sizes of the model's file.
    pub bytes: Bytes,
}

/// The front-end of the published weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// Kaldi's filter banks, which revox computes.
    Kaldi(Frontend),
    /// Another one, in words.
    Own(String),
}

/// A paper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paper {
    /// Its title.
    pub title: String,
    /// Its address.
    pub at: String,
}

/// Trained weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// The corpora that they were trained on.
    pub trained_on: String,
    /// Their licence, or `unknown`.
    pub licence: String,
    /// Their address.
    pub at: String,
}

/// Error rates from one source, on as many lists of trials as `N` has values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published<N = [f64; 3]> {
    /// The address of the table.
    pub source: String,
    /// The corpora that the network was trained on.
    pub trained_on: String,
    /// Values of an embedding, if the source tested the network with others than the card's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding_dim: Option<usize>,
    /// The parameters that the source counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Count>,
    /// The rates, by how they were reached.
    pub rates: Vec<Rates<N>>,
}

/// A number of parameters in a source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// Millions, with the digits of the source.
    pub millions: f64,
    /// Why the card's network has another number. Without it the numbers agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub differs: Option<String>,
}

/// Error rates on the cleaned trials Vox1-O, Vox1-E and Vox1-H, or on Vox1-O, with cosine scores. A
/// condition is false unless the source names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates<N = [f64; 3]> {
    /// After fine-tuning with a large margin on long crops.
    #[serde(default)]
    pub lm: bool,
    /// With AS-norm.
    #[serde(default)]
    pub as_norm: bool,
    /// Calibrated by quality measures.
    #[serde(default)]
    pub qmf: bool,
    /// Equal error rates in percent.
    pub eer_percent: N,
    /// Minimum detection costs at a prior of 0.01.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_dcf: Option<N>,
}

impl<N> Rates<N> {
    /// The conditions in words.
    pub fn conditions(&self) -> String {
        let named = [(self.lm, "LM"), (self.as_norm, "AS-norm"), (self.qmf, "QMF")];
        let named: Vec<&str> = named.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
        if named.is_empty() { "cosine".to_owned() } else { named.join(", ") }
    }
}

/// A figure of our own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// What was measured.
    pub what: String,
    /// The figure.
    pub value: f64,
    /// Its unit.
    pub unit: String,
    /// The command that measures it.
    pub command: String,
}

impl Card {
    /// The card of a network; nothing if there is none.
    pub fn of(name: &str) -> Option<Self> {
        let (_, text) = CARDS.iter().find(|(named, _)| *named == name)?;
        Some(toml::from_str(text).expect("a test reads every card"))
    }
}
