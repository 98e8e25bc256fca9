//! What a score says, as `revox compare` reads it.

use super::{Model, Utterance};
use crate::error::{Error, Result};
use crate::scoring::{Calibration, Embeddings, Evidence, Scorer, bayes_threshold, probability};

/// What a model says of two recordings.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The cosine of the embeddings, less the model's mean if it has one.
    pub score: f64,
    /// The log-likelihood ratio, natural logarithm, if the model is calibrated.
    pub llr: Option<f64>,
    /// The probability of one speaker at the calibration's prior, if there is a ratio.
    pub probability: Option<f64>,
    /// The score from which on it is the same speaker, where no ratio decides and the model has a
    /// threshold at its equal error rate.
    pub threshold: Option<f64>,
    /// Whether it is the same speaker, if anything decides.
    pub same: Option<bool>,
    /// Why it may mislead.
    pub warnings: Vec<String>,
}

impl Model {
    /// The cosine of two embeddings `[dim]`, less the model's mean if it has one.
    ///
    /// # Errors
    /// Embeddings of another dimension, without direction or with values that are not finite.
    pub fn score(&self, a: &[f32], b: &[f32]) -> Result<f64> {
        let mut pair = Embeddings::new(self.dim());
        pair.push("the first", a)?;
        pair.push("the second", b)?;
        let score = Scorer::new(&pair, self.mean())?.score(0, 1);
        match score.is_finite() {
            true => Ok(score),
            false => Err(Error::Undefined(format!(
                "the score is {score}: the embeddings are not finite"
            ))),
        }
    }

    /// The log-likelihood ratio of a score, natural logarithm. Nothing if the model has no
    /// calibration, or one of other scores than cosines of two recordings.
    ///
    /// # Errors
    /// A quality of a side that the calibration weighs and that has no value.
    pub fn llr(&self, score: f64, enroll: &Utterance, test: &Utterance) -> Result<Option<f64>> {
        let ratio = |calibration: &Calibration| {
            calibration.llr(score, &self.evidence(enroll), &self.evidence(test))
        };
        self.calibration().map(ratio).transpose()
    }

    /// The probability of one speaker that a log-likelihood ratio means, where one speaker is as
    /// probable as `prior`, 0 to 1, before anything is heard. Without it the calibration's prior
    /// counts, or 0.5.
    pub fn probability(&self, llr: f64, prior: Option<f64>) -> f64 {
        probability(llr, prior.unwrap_or_else(|| self.prior()))
    }

    /// The score from which on it is the same speaker, at a false-accept rate, 0 to 1, or at the
    /// equal error rate if none is given.
    ///
    /// # Errors
    /// No such threshold in the model.
    pub fn threshold(&self, false_accept_rate: Option<f64>) -> Result<f64> {
        let scoring = &self.header.scoring;
        let Some(rate) = false_accept_rate else {
            let missing = || Error::invalid("the model has no threshold at equal error rate");
            return scoring.threshold_eer.ok_or_else(missing);
        };
        scoring.threshold_at(rate).ok_or_else(|| {
            let rates: Vec<String> = scoring.rates().map(|rate| rate.to_string()).collect();
            let others = match rates.is_empty() {
                true => "nor any other".to_owned(),
                false => format!("but for {}", rates.join(", ")),
            };
            Error::invalid(format!(
                "the model has no threshold for the false-accept rate {rate}, {others}"
            ))
        })
    }

    /// Whether two recordings have the same speaker, as `revox compare` says it without options: by
    /// the model's calibration, or else by its threshold at equal error rate.
    ///
    /// # Errors
    /// A recording in which nobody speaks; those of [`Model::score`] and [`Model::llr`].
    pub fn compare(&self, enroll: &Utterance, test: &Utterance) -> Result<Verdict> {
        let mut warnings = Vec::new();
        for (name, side) in [("the first", enroll), ("the second", test)] {
            if let Some(why) = side.facts.nobody() {
                return Err(Error::Undefined(format!("{name} recording: {why}")));
            }
            let own = side.facts.warnings.iter();
            warnings.extend(own.map(|warning| format!("{name} recording: {warning}")));
        }
        let score = self.score(&enroll.embedding, &test.embedding)?;
        let llr = self.llr(score, enroll, test)?;
        let prior = self.prior();
        let threshold = self.header.scoring.threshold_eer.filter(|_| llr.is_none());
        let same = match llr {
            Some(llr) => Some(llr >= bayes_threshold(prior, 1.0, 1.0)),
            None => threshold.map(|threshold| score >= threshold),
        };
        let probability = llr.map(|llr| probability(llr, prior));
        Ok(Verdict { score, llr, probability, threshold, same, warnings })
    }

    /// The calibration, if cosines of two recordings have ratios by it.
    fn calibration(&self) -> Option<&Calibration> {
        let scoring = &self.header.scoring;
        let mean = scoring.embedding_mean.as_deref();
        scoring.calibration.as_ref().filter(|stored| stored.takes_cosines(mean))
    }

    /// How probable one speaker is before anything is heard.
    fn prior(&self) -> f64 {
        self.calibration().map_or(0.5, |calibration| calibration.fitted.prior)
    }

    fn mean(&self) -> Option<Vec<f64>> {
        let mean = self.header.scoring.embedding_mean.as_ref()?;
        Some(mean.iter().map(|&x| f64::from(x)).collect())
    }

    fn evidence(&self, side: &Utterance) -> Evidence {
        Evidence {
            seconds: Some(side.facts.quality.speech_seconds),
            norm: Some(Evidence::norm_of(&side.embedding, self.mean().as_deref())),
            cohort: None,
        }
    }
}
