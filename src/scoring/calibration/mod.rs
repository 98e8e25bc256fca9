//! From scores to log-likelihood ratios, by a line through the score and the quality of both sides.

mod column;
mod columns;
mod cross;
mod files;
mod fitting;
mod kind;
mod line;
mod linear;
mod made;
mod newton;
mod table;

pub use column::{Column, Evidence, Fold, Quantity};
pub use columns::{COLUMN_SETS, parse_columns};
pub use cross::cross_validate;
pub use files::FittedFile;
pub use fitting::{Calibrated, Regression};
pub use kind::OtherScores;
pub use line::{Line, fit_line};
pub use made::{Made, SubtractedMean};
pub use table::TrialTable;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// `bias + sum of weights x columns`, the natural logarithm of how much likelier a trial's score is
/// of one speaker than of two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// What is weighed: the score, and measures of quality.
    pub columns: Vec<Column>,
    /// A weight for each column.
    pub weights: Vec<f64>,
    /// The ratio where all columns are zero.
    pub bias: f64,
    /// What it was fitted on.
    pub fitted: Fitted,
}

/// What a calibration was fitted on, and how well it fits there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fitted {
    /// The prior of targets that decisions are made for where nobody names another.
    pub prior: f64,
    /// The prior at which the fit weighed targets against nontargets, if it was another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fit_prior: Option<f64>,
    /// The files of the scores, and of the trials if they are others. Earlier versions did not keep
    /// them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FittedFile>,
    /// Target trials.
    pub targets: usize,
    /// Nontarget trials.
    pub nontargets: usize,
    /// Speakers of the trials.
    pub speakers: usize,
    /// Whether the scores were cosines, as `compare` has them.
    pub cosines: bool,
    /// What they were instead, if somebody said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others: Option<OtherScores>,
    /// The mean that was subtracted before the scores were made. Earlier versions did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<SubtractedMean>,
    /// The cohort of [`Quantity::Cohort`], if that is weighed, told as normalisation by it. Earlier
    /// versions did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<OtherScores>,
    /// Penalty on the squares of the weights in standard deviations ([`Line::penalty`]), where
    /// without one the optimum would be infinite; 0 for none.
    pub penalty: f64,
    /// Cost of the log-likelihood ratios in bits, of trials whose speakers were left out when it
    /// was fitted.
    pub cllr: f64,
    /// The least that any calibration of these scores could cost, in bits.
    pub min_cllr: f64,
    /// Shortest and longest speech of a side, seconds, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<[f64; 2]>,
}

impl Calibration {
    /// Whether a measure of both sides is weighed.
    pub fn weighs(&self, quantity: Quantity) -> bool {
        self.columns.iter().any(|column| column.quantity() == Some(quantity))
    }

    /// Whether the cosine of two recordings, of which nothing but the recordings is known, has a
    /// ratio. The model holds `mean`, if any, which is subtracted.
    pub fn takes_cosines(&self, mean: Option<&[f32]>) -> bool {
        let made = Made::cosines(mean);
        self.fitted.check_scores(&made).is_ok() && !self.weighs(Quantity::Cohort)
    }

    /// The log-likelihood ratio of a trial, natural logarithm. Speech that is longer than any that
    /// the calibration was fitted on counts as the longest: the line knows nothing beyond.
    ///
    /// # Errors
    /// A column that `enroll` or `test` does not know.
    pub fn llr(&self, score: f64, enroll: &Evidence, test: &Evidence) -> Result<f64> {
        let longest = self.fitted.seconds.map_or(f64::INFINITY, |[_, longest]| longest);
        let [enroll, test] = [enroll, test]
            .map(|side| Evidence { seconds: side.seconds.map(|s| s.min(longest)), ..*side });
        let mut llr = self.bias;
        for (column, weight) in self.columns.iter().zip(&self.weights) {
            llr += weight * column.of(score, &enroll, &test)?;
        }
        Ok(llr)
    }

    /// Refuses contents with which no ratio could be computed.
    ///
    /// # Errors
    /// Numbers of columns and weights that differ; values that are not finite; a prior outside
    /// 0 to 1; a first column that is not of the score, or one of cosines where they were none;
    /// seconds of speech in the wrong order.
    pub fn check(&self) -> Result<()> {
        let bad = |m: &str| Err(Error::invalid(format!("calibration: {m}")));
        if self.columns.len() != self.weights.len() {
            return bad("as many weights as columns are wanted");
        }
        let Fitted { prior, fit_prior, cosines, others, .. } = &self.fitted;
        match self.columns.first() {
            Some(Column::Score) => (),
            Some(Column::Atanh) if *cosines => (),
            Some(Column::Atanh) => return bad("it takes atanh of scores that are no cosines"),
            _ => return bad("the first column must be the score"),
        }
        if *cosines && others.is_some() {
            return bad("its scores are cosines and something else");
        }
        if !self.weights.iter().chain([&self.bias]).all(|x| x.is_finite()) {
            return bad("a weight is not finite");
        }
        let Fitted { penalty, cllr, min_cllr, seconds, .. } = &self.fitted;
        if ![penalty, cllr, min_cllr].into_iter().all(|x| x.is_finite() && *x >= 0.0) {
            return bad("a cost or its penalty is no number from 0 on");
        }
        let is_range = |[low, high]: [f64; 2]| low >= 0.0 && low <= high && high.is_finite();
        if !seconds.is_none_or(is_range) {
            return bad("its seconds of speech are no range");
        }
        if ![*prior, fit_prior.unwrap_or(0.5)].iter().all(|p| *p > 0.0 && *p < 1.0) {
            return bad("its prior is not between 0 and 1");
        }
        Ok(())
    }
}

/// The line: `13.0329 score + 0.0210 min-seconds - 1.9552`.
impl fmt::Display for Calibration {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for (place, (column, weight)) in self.columns.iter().zip(&self.weights).enumerate() {
            match place {
                0 => write!(f, "{weight:.4} {column}")?,
                _ => write!(f, " {} {:.4} {column}", sign(*weight), weight.abs())?,
            }
        }
        write!(f, " {} {:.4}", sign(self.bias), self.bias.abs())
    }
}

fn sign(x: f64) -> char {
    if x < 0.0 { '-' } else { '+' }
}

/// The probability of one speaker, by Bayes' rule: logit p = llr + logit prior.
pub fn probability(llr: f64, prior: f64) -> f64 {
    let logit = llr + (prior / (1.0 - prior)).ln();
    if logit >= 0.0 {
        1.0 / (1.0 + (-logit).exp())
    } else {
        let e = logit.exp();
        e / (1.0 + e)
    }
}

/// The log-likelihood ratio from which on accepting costs less than rejecting:
/// ln((1 - prior) false_accept / (prior miss)).
pub fn bayes_threshold(prior: f64, miss: f64, false_accept: f64) -> f64 {
    ((1.0 - prior) * false_accept / (prior * miss)).ln()
}

#[cfg(test)]
mod tests;
