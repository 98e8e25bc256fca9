//! What a calibration weighs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The quality of one side of a trial, as far as it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Evidence {
    /// Seconds of speech.
    pub seconds: Option<f64>,
    /// Length of the embedding, less the mean if one is subtracted before embeddings are compared
    /// ([`Evidence::norm_of`]).
    pub norm: Option<f64>,
    /// Mean of its largest cosines with a cohort.
    pub cohort: Option<f64>,
}

impl Evidence {
    /// The length of an embedding `[dim]` less a mean `[dim]`, as WeSpeaker's magnitude is.
    pub fn norm_of(embedding: &[f32], mean: Option<&[f64]>) -> f64 {
        let less = |i: usize| mean.map_or(0.0, |m| m[i]);
        let square = |(i, &x): (usize, &f32)| (f64::from(x) - less(i)).powi(2);
        embedding.iter().enumerate().map(square).sum::<f64>().sqrt()
    }
}

/// What messages call the two sides of a trial.
const ENROLMENT: &str = "the enrolment";
const TEST: &str = "the test recording";

/// A measure of one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Seconds of speech.
    Seconds,
    /// Length of the embedding.
    Norm,
    /// Mean of its largest cosines with a cohort.
    Cohort,
}

/// How the measures of two sides become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    /// The smaller.
    Min,
    /// The larger.
    Max,
    /// The larger less the smaller.
    Difference,
    /// The larger over the smaller.
    Ratio,
}

/// The largest cosine of [`Column::Atanh`], from 0 or from below: its value is finite.
const LARGEST: f64 = 1.0 - 1e-6;

/// A number that a calibration weighs. As text: `score`, `atanh-score`, `min-seconds`,
/// `ratio-norm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Column {
    /// The score.
    Score,
    /// Fisher's z of a score that is a cosine, atanh s = ln((1 + s) / (1 - s)) / 2, whose variance
    /// depends less on its mean (Fisher 1921, "On the probable error of a coefficient of
    /// correlation deduced from a small sample"). Cosines near 1 or -1 count as 1e-6 less.
    Atanh,
    /// A measure of both sides.
    Sides(Fold, Quantity),
}

impl Column {
    /// The measure that it needs of both sides.
    pub fn quantity(self) -> Option<Quantity> {
        match self {
            Self::Score | Self::Atanh => None,
            Self::Sides(_, quantity) => Some(quantity),
        }
    }

    /// The column's value.
    ///
    /// # Errors
    /// A measure that a side does not know; a ratio of a measure that is zero.
    pub fn of(self, score: f64, enroll: &Evidence, test: &Evidence) -> Result<f64> {
        let (fold, quantity) = match self {
            Self::Score => return Ok(score),
            Self::Atanh => return Ok(score.clamp(-LARGEST, LARGEST).atanh()),
            Self::Sides(fold, quantity) => (fold, quantity),
        };
        let bad = |whose: &str, what: &str| {
            let (measure, verb) = quantity.in_words();
            Error::Undefined(format!("{measure} of {whose} {verb} {what}"))
        };
        let known =
            |side: &Evidence, whose: &str| quantity.of(side).ok_or_else(|| bad(whose, "not known"));
        let (a, b) = (known(enroll, ENROLMENT)?, known(test, TEST)?);
        let (low, high) = (a.min(b), a.max(b));
        match fold {
            Fold::Min => Ok(low),
            Fold::Max => Ok(high),
            Fold::Difference => Ok(high - low),
            Fold::Ratio if low == 0.0 => {
                let whose = if a == 0.0 { ENROLMENT } else { TEST };
                Err(bad(whose, &format!("zero, so `{self}` has no value")))
            }
            Fold::Ratio => Ok(high / low),
        }
    }
}

impl Quantity {
    pub(super) const ALL: [Self; 3] = [Self::Seconds, Self::Norm, Self::Cohort];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Norm => "norm",
            Self::Cohort => "cohort",
        }
    }

    /// What it measures, with its verb.
    fn in_words(self) -> (&'static str, &'static str) {
        match self {
            Self::Seconds => ("the seconds of speech", "are"),
            Self::Norm => ("the length of the embedding", "is"),
            Self::Cohort => ("the mean cosine with the cohort", "is"),
        }
    }

    fn of(self, side: &Evidence) -> Option<f64> {
        match self {
            Self::Seconds => side.seconds,
            Self::Norm => side.norm,
            Self::Cohort => side.cohort,
        }
    }
}

impl Fold {
    pub(super) const ALL: [Self; 4] = [Self::Min, Self::Max, Self::Difference, Self::Ratio];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Min => "min",
            Self::Max => "max",
            Self::Difference => "difference",
            Self::Ratio => "ratio",
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Score => f.write_str("score"),
            Self::Atanh => f.write_str("atanh-score"),
            Self::Sides(fold, quantity) => write!(f, "{}-{}", fold.name(), quantity.name()),
        }
    }
}

impl FromStr for Column {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let all = Fold::ALL.into_iter().flat_map(|f| Quantity::ALL.map(|q| Self::Sides(f, q)));
        let mut all = [Self::Score, Self::Atanh].into_iter().chain(all);
        all.find(|column| column.to_string() == text)
            .ok_or_else(|| Error::invalid(format!("`{text}` is no column of a calibration")))
    }
}

impl From<Column> for String {
    fn from(column: Column) -> Self {
        column.to_string()
    }
}

impl TryFrom<String> for Column {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}
