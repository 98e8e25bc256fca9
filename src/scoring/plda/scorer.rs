//! Scores of trials.

use std::borrow::Cow;

use rayon::prelude::*;

use super::Plda;
use super::ratio::Ratio;
use crate::error::{Error, Result};
use crate::scoring::Embeddings;
use crate::scoring::chain::{Chain, no_direction};
use crate::scoring::linear::{Matrix, mean_column};

/// Embeddings that are transformed together.
const TOGETHER: usize = 256;
/// The slot of an embedding that was not prepared.
const NONE: u32 = u32::MAX;

/// Scores trials of a set of embeddings. Each embedding is transformed once.
pub struct PldaScorer<'a> {
    plda: &'a Plda,
    embeddings: &'a Embeddings,
    chain: Cow<'a, Chain>,
    /// Where the vector of an embedding is.
    slots: Vec<u32>,
    /// `[dim]` each.
    vectors: Vec<f64>,
    /// For one utterance of enrolment.
    single: Ratio,
}

/// A speaker that is enrolled with some utterances.
#[derive(Debug, Clone, PartialEq)]
pub struct VoiceModel {
    /// The transform of the utterances' mean.
    vector: Vec<f64>,
    /// Number of the utterances.
    count: usize,
}

impl Plda {
    /// Prepares the embeddings at `places`. `mean` takes the place of the one that the model
    /// subtracts first; `[input dim]`.
    ///
    /// # Errors
    /// Embeddings or a mean of another dimension; no mean at all where the model
    /// [lacks](Self::lacks_mean) its own; where lengths become equal, an embedding that has no
    /// direction, by its id.
    ///
    /// # Panics
    /// If there is no such place.
    pub fn scorer<'a>(
        &'a self,
        embeddings: &'a Embeddings,
        mean: Option<&[f64]>,
        places: impl IntoIterator<Item = usize>,
    ) -> Result<PldaScorer<'a>> {
        if embeddings.dim() != self.input_dim() {
            let (wanted, dim) = (self.input_dim(), embeddings.dim());
            let message = format!("the PLDA wants {wanted} values, the embeddings have {dim}");
            return Err(Error::invalid(message));
        }
        let chain = match mean {
            Some(mean) => Cow::Owned(self.chain.with_mean(mean.to_vec())?),
            None if self.lacks_mean => {
                return Err(Error::invalid(
                    "the PLDA was trained on embeddings less their mean, which its file does not \
                     hold: a mean is needed",
                ));
            }
            None => Cow::Borrowed(&self.chain),
        };
        if let Some(input) = chain.input_dim().filter(|&input| input != embeddings.dim()) {
            let dim = embeddings.dim();
            let message = format!("the mean has {input} values, the embeddings {dim}");
            return Err(Error::invalid(message));
        }
        let mut slots = vec![NONE; embeddings.len()];
        let mut wanted: Vec<usize> = Vec::new();
        for place in places {
            if slots[place] == NONE {
                // A set of embeddings has fewer than 2^31.
                slots[place] = wanted.len() as u32;
                wanted.push(place);
            }
        }
        let single = Ratio::new(&self.psi, 1);
        let mut vectors = vec![0.0; self.dim() * wanted.len()];
        let mut scorer =
            PldaScorer { plda: self, embeddings, chain, slots, vectors: Vec::new(), single };
        vectors
            .par_chunks_mut(TOGETHER * self.dim())
            .zip(wanted.par_chunks(TOGETHER))
            .try_for_each(|(room, places)| scorer.transform(places, room))?;
        scorer.vectors = vectors;
        Ok(scorer)
    }
}

impl PldaScorer<'_> {
    /// Transforms the embeddings at `places` into `room`, one after the other.
    fn transform(&self, places: &[usize], room: &mut [f64]) -> Result<()> {
        let columns = self.chain.columns(self.embeddings, places)?;
        let done = self
            .plda
            .transformed(columns)
            .map_err(|i| no_direction(&format!("embedding `{}`", self.embeddings.id(places[i]))))?;
        room.copy_from_slice(done.as_slice());
        Ok(())
    }

    /// The transformed embedding at a place, `[dim]`.
    ///
    /// # Panics
    /// If the place was not prepared.
    pub fn vector(&self, place: usize) -> &[f64] {
        let (slot, dim) = (self.slots[place], self.plda.dim());
        assert!(slot != NONE, "embedding `{}` was not prepared", self.embeddings.id(place));
        &self.vectors[slot as usize * dim..][..dim]
    }

    /// The log-likelihood ratio of two utterances, natural logarithm.
    ///
    /// # Panics
    /// If a place was not prepared.
    pub fn llr(&self, a: usize, b: usize) -> f64 {
        self.single.of(self.vector(a), self.vector(b))
    }

    /// Enrols the utterances at `places`, which need not be prepared: the mean of what the chain
    /// makes of them, transformed.
    ///
    /// # Errors
    /// No utterances; where lengths become equal, an embedding or a mean that has no direction.
    pub fn model(&self, places: &[usize]) -> Result<VoiceModel> {
        if places.is_empty() {
            return Err(Error::invalid("no utterances to enrol"));
        }
        let mean = mean_column(&self.chain.columns(self.embeddings, places)?);
        let column = Matrix::from_vec(mean.len(), 1, mean);
        let done = self
            .plda
            .transformed(column)
            .map_err(|_| no_direction("the mean of the utterances of an enrolment"))?;
        Ok(VoiceModel { vector: done.as_slice().to_vec(), count: places.len() })
    }

    /// The log-likelihood ratio of an enrolled speaker and an utterance, natural logarithm.
    ///
    /// `by_the_book` counts the utterances of the enrolment: many of them leave less doubt about a
    /// voice. Otherwise their mean counts as one utterance, as WeSpeaker's `--multisession_avg` has
    /// it.
    ///
    /// # Panics
    /// If the place was not prepared.
    pub fn llr_model(&self, model: &VoiceModel, test: usize, by_the_book: bool) -> f64 {
        let test = self.vector(test);
        match by_the_book && model.count > 1 {
            true => Ratio::new(&self.plda.psi, model.count).of(&model.vector, test),
            false => self.single.of(&model.vector, test),
        }
    }

    /// [`llr_model`](Self::llr_model) of the utterances at `enroll`. It is not a number where
    /// [`model`](Self::model) fails; a caller with many trials enrols each speaker once.
    ///
    /// # Panics
    /// If the place of the test was not prepared.
    pub fn llr_multi(&self, enroll: &[usize], test: usize, by_the_book: bool) -> f64 {
        let model = self.model(enroll);
        model.map_or(f64::NAN, |model| self.llr_model(&model, test, by_the_book))
    }
}
