//! The voices of a store in memory, and the search among them.
//!
//! Products of whole numbers bound each cosine from above (see `codes`), and only voices that can
//! be among the nearest are compared in f64. The result is that of comparing all, to the bit.

use super::codes::Codes;
use crate::error::{Error, Result};
use crate::lanes::Lanes;
use crate::scoring::cosine::NOISE;
use crate::scoring::select::nth_largest;

/// A voice that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// Its place in the index.
    pub place: usize,
    /// The cosine of its mean embedding with the recording's, less the model's mean, -1 to 1.
    pub score: f64,
}

/// Voices to be compared with recordings. A voice is the mean of its recordings' embeddings.
pub struct VoiceIndex {
    names: Vec<String>,
    seconds: Vec<f64>,
    /// `[voices, dim]`.
    rows: Vec<f32>,
    /// 1 over the length of each voice less the mean.
    inverse: Vec<f64>,
    codes: Codes,
    mean: Option<Vec<f64>>,
    /// What is not longer than this, less the mean, has no direction.
    shortest: f64,
    dim: usize,
}

/// A recording's embedding less the mean.
struct Query {
    values: Vec<f64>,
    /// 1 over its length.
    inverse: f64,
}

impl VoiceIndex {
    /// No voices yet.
    pub(super) fn new(dim: usize, mean: Option<&[f32]>) -> Result<Self> {
        if let Some(mean) = mean
            && mean.len() != dim
        {
            let message = format!("the mean has {} values, the embeddings {dim}", mean.len());
            return Err(Error::invalid(message));
        }
        let mean: Option<Vec<f64>> = mean.map(|m| m.iter().map(|&x| f64::from(x)).collect());
        let length = |m: &Vec<f64>| m.iter().map(|x| x * x).sum::<f64>().sqrt();
        let shortest = mean.as_ref().map_or(0.0, |m| NOISE * length(m));
        let (names, seconds, rows, inverse) = Default::default();
        Ok(Self { names, seconds, rows, inverse, codes: Codes::new(dim), mean, shortest, dim })
    }

    /// Adds a voice with seconds of speech and its mean embedding `[dim]`.
    ///
    /// # Errors
    /// An embedding without direction.
    pub(super) fn push(&mut self, name: &str, seconds: f64, row: &[f32]) -> Result<()> {
        let Query { values, inverse } = self.query(row).map_err(|e| {
            e.retold(|text| Error::Undefined(format!("the mean embedding of `{name}`: {text}")))
        })?;
        let unit: Vec<f64> = values.iter().map(|x| x * inverse).collect();
        self.codes.push(&unit);
        self.names.push(name.to_owned());
        self.seconds.push(seconds);
        self.rows.extend_from_slice(row);
        self.inverse.push(inverse);
        Ok(())
    }

    /// Number of voices.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The name of the voice at a place.
    ///
    /// # Panics
    /// If there is no such place, as the following.
    pub fn name(&self, place: usize) -> &str {
        &self.names[place]
    }

    /// Seconds of speech in the recordings of a voice.
    pub fn seconds(&self, place: usize) -> f64 {
        self.seconds[place]
    }

    /// The mean embedding of a voice, `[dim]`.
    pub fn embedding(&self, place: usize) -> &[f32] {
        &self.rows[place * self.dim..][..self.dim]
    }

    /// The voices most like a recording with this embedding `[dim]`: at most `top`, the most
    /// similar first; of equal ones the voice that was enrolled first.
    ///
    /// # Errors
    /// An embedding of another dimension, with values that are not finite, or without direction.
    pub fn search(&self, embedding: &[f32], top: usize) -> Result<Vec<Found>> {
        let query = self.query(embedding)?;
        let top = top.min(self.len());
        if top == 0 {
            return Ok(Vec::new());
        }
        let unit: Vec<f64> = query.values.iter().map(|x| x * query.inverse).collect();
        let bounds = self.codes.bounds(&unit);
        // As many voices as are wanted have a bound from here on. The least of their cosines is a
        // floor: nothing below it is among the nearest.
        let cut = nth_largest(&mut bounds.clone(), top - 1, f32::total_cmp);
        let of = |place: usize| Found { place, score: self.cosine(&query, place) };
        let places = |from: f32, below: f32| {
            let all = bounds.iter().enumerate();
            all.filter(move |(_, bound)| (from..below).contains(*bound)).map(|(place, _)| place)
        };
        let mut found: Vec<Found> = places(cut, f32::INFINITY).map(of).collect();
        let mut scores: Vec<f64> = found.iter().map(|found| found.score).collect();
        let floor = nth_largest(&mut scores, top - 1, f64::total_cmp);
        found.extend(places((floor as f32).next_down(), cut).map(of));
        found.sort_unstable_by(|a, b| {
            b.score.total_cmp(&a.score).then_with(|| a.place.cmp(&b.place))
        });
        found.truncate(top);
        Ok(found)
    }

    /// The embedding less the mean, with 1 over its length.
    fn query(&self, embedding: &[f32]) -> Result<Query> {
        if embedding.len() != self.dim {
            let (found, dim) = (embedding.len(), self.dim);
            let message = format!("an embedding of {found} values; those of the store have {dim}");
            return Err(Error::invalid(message));
        }
        if embedding.iter().any(|x| !x.is_finite()) {
            return Err(Error::Undefined("an embedding is not finite".to_owned()));
        }
        let values: Vec<f64> = match &self.mean {
            None => embedding.iter().map(|&x| f64::from(x)).collect(),
            Some(mean) => embedding.iter().zip(mean).map(|(&x, m)| f64::from(x) - m).collect(),
        };
        let length = Lanes::<8>::sum2(&values, &values, |x, y| x * y).sqrt();
        if length > self.shortest {
            return Ok(Query { values, inverse: 1.0 / length });
        }
        let what = if self.mean.is_some() { "the mean itself" } else { "zero" };
        Err(Error::Undefined(format!("an embedding is {what}: it has no direction to compare")))
    }

    /// The cosine with the voice at a place, as [`Scorer::score`](crate::scoring::Scorer::score)
    /// computes it.
    fn cosine(&self, query: &Query, place: usize) -> f64 {
        let (x, row) = (&query.values[..], self.embedding(place));
        let dot = match &self.mean {
            None => Lanes::<8>::sum2(x, row, |x, y| x * f64::from(y)),
            Some(mean) => Lanes::<8>::sum3(x, row, mean, |x, y, m| x * (f64::from(y) - m)),
        };
        // Rounding can lead beyond -1 and 1.
        (dot * query.inverse * self.inverse[place]).clamp(-1.0, 1.0)
    }
}
