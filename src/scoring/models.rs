//! Models of speakers, made of several utterances each.

use super::Scorer;
use super::cosine::NOISE;
use crate::error::{Error, Result};
use crate::lanes::Lanes;

/// How several utterances become one model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Average {
    /// The mean of their embeddings, from which the scorer's mean is subtracted (WeSpeaker
    /// `wespeaker/bin/score.py`). Long embeddings count more.
    #[default]
    Embeddings,
    /// The mean of their unit vectors.
    Unit,
    /// The mean of their scores: each utterance is compared by itself.
    Scores,
}

impl Average {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Embeddings, Self::Unit, Self::Scores];

    /// The name, as options have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embeddings => "embeddings",
            Self::Unit => "unit",
            Self::Scores => "scores",
        }
    }
}

/// Models of speakers, for scores with the utterances of a [`Scorer`]. Each takes the memory of two
/// embeddings, however many utterances it has.
///
/// The mean of an utterance's cosines with others is its product with the mean of their unit
/// vectors. So a score costs one product, whatever the average.
pub struct Models {
    names: Vec<String>,
    /// `[models, dim]`: means of embeddings less the scorer's mean, or of unit vectors.
    values: Vec<f64>,
    /// 1 over the length of each. 1 where scores are averaged.
    factors: Vec<f64>,
    /// Lengths of the mean embeddings less the scorer's mean.
    lengths: Vec<f64>,
    dim: usize,
}

impl Models {
    /// Makes a model of each name and the places of its utterances in `scorer`.
    ///
    /// # Errors
    /// A model without utterances, or whose mean has no direction, by its name.
    ///
    /// # Panics
    /// If an utterance has no direction, as in [`Scorer::score`].
    pub fn new<'n>(
        scorer: &Scorer,
        models: impl IntoIterator<Item = (&'n str, &'n [usize])>,
        average: Average,
    ) -> Result<Self> {
        let dim = scorer.embeddings().dim();
        let mut all = Self {
            names: Vec::new(),
            values: Vec::new(),
            factors: Vec::new(),
            lengths: Vec::new(),
            dim,
        };
        let size = scorer.mean().map_or(0.0, length);
        for (name, places) in models {
            if places.is_empty() {
                return Err(Error::invalid(format!("model `{name}` has no utterances")));
            }
            let centre = centre(scorer, places);
            let centre_length = length(&centre);
            let (values, shortest) = match average {
                Average::Embeddings => (centre, NOISE * size),
                Average::Unit | Average::Scores => (mean_unit(scorer, places), NOISE),
            };
            let factor = match average {
                Average::Embeddings | Average::Unit if length(&values) <= shortest => {
                    return Err(Error::Undefined(format!(
                        "model `{name}` has no direction to compare: its utterances cancel each \
                         other"
                    )));
                }
                Average::Embeddings | Average::Unit => 1.0 / length(&values),
                Average::Scores => 1.0,
            };
            all.names.push(name.to_owned());
            all.values.extend(values);
            all.factors.push(factor);
            all.lengths.push(centre_length);
        }
        Ok(all)
    }

    /// Number of models.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Values of a model.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The name of a model.
    ///
    /// # Panics
    /// If there is no such model, here and below.
    pub fn name(&self, model: usize) -> &str {
        &self.names[model]
    }

    /// The length of the mean of its embeddings, less the scorer's mean.
    pub fn length(&self, model: usize) -> f64 {
        self.lengths[model]
    }

    /// A model's values, `[dim]`, which its factor scales.
    pub(super) fn values(&self, model: usize) -> &[f64] {
        &self.values[model * self.dim..][..self.dim]
    }

    /// What a model's products are multiplied by.
    pub(super) fn factor(&self, model: usize) -> f64 {
        self.factors[model]
    }

    /// The score of a model and the utterance at a place of `scorer`, which must be the one that
    /// the models were made with: a cosine, or the mean of cosines, -1 to 1. Of a model with one
    /// utterance it is [`Scorer::score`], for the average of embeddings to the bit.
    ///
    /// # Panics
    /// If the utterance has no direction.
    pub fn score(&self, scorer: &Scorer, model: usize, test: usize) -> f64 {
        let (x, y) = (self.values(model), scorer.embeddings().row(test));
        let dot = match scorer.mean() {
            None => Lanes::<8>::sum2(x, y, |x, y| x * f64::from(y)),
            Some(mean) => Lanes::<8>::sum3(x, y, mean, |x, y, m| x * (f64::from(y) - m)),
        };
        (dot * self.factor(model) * scorer.inverse(test)).clamp(-1.0, 1.0)
    }
}

/// The mean of the embeddings at `places`, less the scorer's mean.
fn centre(scorer: &Scorer, places: &[usize]) -> Vec<f64> {
    let mut centre = vec![0.0; scorer.embeddings().dim()];
    for &place in places {
        centre
            .iter_mut()
            .zip(scorer.embeddings().row(place))
            .for_each(|(c, &x)| *c += f64::from(x));
    }
    let count = places.len() as f64;
    centre.iter_mut().for_each(|c| *c /= count);
    if let Some(mean) = scorer.mean() {
        centre.iter_mut().zip(mean).for_each(|(c, m)| *c -= m);
    }
    centre
}

/// The mean of the unit vectors at `places`.
fn mean_unit(scorer: &Scorer, places: &[usize]) -> Vec<f64> {
    let mut sum = vec![0.0; scorer.embeddings().dim()];
    for &place in places {
        sum.iter_mut().zip(scorer.unit(place)).for_each(|(s, x)| *s += x);
    }
    sum.iter_mut().for_each(|s| *s /= places.len() as f64);
    sum
}

fn length(values: &[f64]) -> f64 {
    Lanes::<8>::sum2(values, values, |x, y| x * y).sqrt()
}

/// The two sides of trials: utterances of a scorer on the test side, and models or utterances of
/// the same scorer on the other.
#[derive(Clone, Copy)]
pub struct Compared<'a> {
    pub(super) scorer: &'a Scorer<'a>,
    pub(super) models: Option<&'a Models>,
}

impl<'a> Compared<'a> {
    /// Both sides are places of `scorer`, unless there are models: then the enrolment side are
    /// their numbers. They must have been made with this scorer.
    pub fn new(scorer: &'a Scorer<'a>, models: Option<&'a Models>) -> Self {
        Self { scorer, models }
    }

    /// The score of a trial.
    ///
    /// # Panics
    /// As [`Scorer::score`] and [`Models::score`].
    pub fn score(&self, enroll: usize, test: usize) -> f64 {
        match self.models {
            None => self.scorer.score(enroll, test),
            Some(models) => models.score(self.scorer, enroll, test),
        }
    }

    /// The length of the embedding of the enrolment side less the mean, by
    /// [`Models::length`] for models.
    ///
    /// # Panics
    /// As [`score`](Self::score).
    pub fn enroll_length(&self, enroll: usize) -> f64 {
        match self.models {
            None => self.test_length(enroll),
            Some(models) => models.length(enroll),
        }
    }

    /// The length of a test embedding less the mean.
    ///
    /// # Panics
    /// As [`score`](Self::score).
    pub fn test_length(&self, test: usize) -> f64 {
        1.0 / self.scorer.inverse(test)
    }
}

#[cfg(test)]
mod tests;
