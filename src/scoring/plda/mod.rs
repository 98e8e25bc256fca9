//! Two-covariance probabilistic linear discriminant analysis (PLDA), in f64.
//!
//! A speaker's voice is drawn from N(mu, B), each utterance from N(voice, W). The score of a trial
//! is the natural logarithm of how much likelier its embeddings are of one voice than of two.
//! Training, adaptation, scores and files agree with WeSpeaker's `two_cov_plda.py`, whose model is
//! that of Kaldi's `ivector-compute-plda`.

mod adapt;
mod em;
mod file;
mod ratio;
mod scorer;

pub use adapt::{Adapted, PldaAdaptation};
pub use em::PldaTraining;
pub use file::PldaForm;
pub use scorer::{PldaScorer, VoiceModel};

use super::chain::{Chain, Link};
use super::linear::{
    self, Diagonal, Matrix, add_to_columns, diagonalise, row_major, scale_columns, symmetric, times,
};
use crate::error::{Error, Result};

/// A trained model, with what is done to embeddings before.
#[derive(Debug, Clone, PartialEq)]
pub struct Plda {
    /// Before all else.
    chain: Chain,
    /// Whether lengths become the root of the dimension, before the transform and after it.
    length_norm: bool,
    /// Whether a mean that the model does not hold must be subtracted first.
    lacks_mean: bool,
    mu: Vec<f64>,
    psi: Vec<f64>,
    /// Makes W the unit matrix and B diagonal.
    transform: Matrix,
    /// What the transform makes of minus mu.
    offset: Vec<f64>,
    within: Matrix,
    between: Matrix,
}

/// What is done to embeddings around the transform.
#[derive(Debug, Clone, Default, PartialEq)]
struct Steps {
    chain: Chain,
    length_norm: bool,
    lacks_mean: bool,
}

impl Plda {
    /// From the covariances.
    ///
    /// # Errors
    /// A covariance within speakers that is singular; values that are not finite.
    fn of_covariances(steps: Steps, mu: Vec<f64>, within: Matrix, between: Matrix) -> Result<Self> {
        let Diagonal { psi, transform, .. } = diagonalise(&within, &between)?;
        let made = Self::assemble(steps, mu, psi, transform, [within, between]);
        let derived = made.within.iter().chain(made.between.iter()).chain(&made.offset);
        match derived.into_iter().all(|x| x.is_finite()) {
            true => Ok(made),
            false => Err(Error::invalid("its values are too large")),
        }
    }

    /// From the transform `[dim, dim]`, row by row, as files have it.
    ///
    /// # Errors
    /// Sizes that do not fit; values that are not finite; a negative variance; a transform that
    /// has no inverse.
    fn of_transform(steps: Steps, mu: Vec<f64>, psi: Vec<f64>, transform: &[f64]) -> Result<Self> {
        let dim = mu.len();
        if dim == 0 || psi.len() != dim || Some(transform.len()) != dim.checked_mul(dim) {
            let (n, m) = (psi.len(), transform.len());
            return Err(Error::invalid(format!(
                "a mean of {dim} values, {n} variances, and a transform of {m} values"
            )));
        }
        if !mu.iter().chain(&psi).chain(transform).all(|x| x.is_finite()) {
            return Err(Error::invalid("holds values that are not finite"));
        }
        if psi.iter().any(|&p| p < 0.0) {
            return Err(Error::invalid("a variance is negative"));
        }
        let input = steps.chain.output_dim(dim);
        if input != dim {
            let message = format!("the steps before give {input} values, the model wants {dim}");
            return Err(Error::invalid(message));
        }
        let transform = Matrix::from_row_slice(dim, dim, transform);
        let inverse = transform
            .clone()
            .try_inverse()
            .filter(|inverse| inverse.iter().all(|x| x.is_finite()))
            .ok_or_else(|| Error::invalid("the transform has no inverse"))?;
        let mut scaled = inverse.clone();
        scale_columns(&mut scaled, &psi);
        let within = symmetric(&(&inverse * inverse.transpose()));
        let between = symmetric(&(scaled * inverse.transpose()));
        Ok(Self::assemble(steps, mu, psi, transform, [within, between]))
    }

    fn assemble(
        steps: Steps,
        mu: Vec<f64>,
        psi: Vec<f64>,
        transform: Matrix,
        [within, between]: [Matrix; 2],
    ) -> Self {
        let Steps { chain, length_norm, lacks_mean } = steps;
        let offset = times(&transform, &mu).into_iter().map(|x| -x).collect();
        Self { chain, length_norm, lacks_mean, mu, psi, transform, offset, within, between }
    }

    /// Number of values of the vectors that are compared.
    pub fn dim(&self) -> usize {
        self.mu.len()
    }

    /// Number of values of an embedding.
    pub fn input_dim(&self) -> usize {
        self.chain.input_dim().unwrap_or(self.dim())
    }

    /// What is done to embeddings first: the mean of their domain is subtracted, an LDA.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Whether the chain subtracts a mean first.
    pub fn has_mean(&self) -> bool {
        matches!(self.chain.links(), [Link::Mean(_), ..])
    }

    /// Whether the mean of the training set was subtracted in training, and the file did not hold
    /// it: a score asks for one.
    pub fn lacks_mean(&self) -> bool {
        self.lacks_mean
    }

    /// Whether lengths become the root of [`dim`](Self::dim), behind the chain and again behind the
    /// transform.
    pub fn length_norm(&self) -> bool {
        self.length_norm
    }

    /// The mean of voices, `[dim]`.
    pub fn mu(&self) -> &[f64] {
        &self.mu
    }

    /// The covariance within speakers, `[dim, dim]`.
    pub fn within(&self) -> Vec<f64> {
        row_major(&self.within)
    }

    /// The covariance between speakers, `[dim, dim]`.
    pub fn between(&self) -> Vec<f64> {
        row_major(&self.between)
    }

    /// The variances between speakers after the transform, where those within are 1, `[dim]`.
    pub fn psi(&self) -> &[f64] {
        &self.psi
    }

    /// The transform `[dim, dim]`, row by row.
    pub fn transform(&self) -> Vec<f64> {
        row_major(&self.transform)
    }

    /// What is added after the transform, `[dim]`.
    pub fn offset(&self) -> &[f64] {
        &self.offset
    }

    /// Transforms columns `[dim]` that come out of the chain. The number of the first column that
    /// has no direction is the error.
    fn transformed(&self, mut columns: Matrix) -> Result<Matrix, usize> {
        let length = (self.dim() as f64).sqrt();
        if self.length_norm {
            linear::normalise(&mut columns, length)?;
        }
        let mut columns = &self.transform * columns;
        add_to_columns(&mut columns, &self.offset);
        if self.length_norm {
            linear::normalise(&mut columns, length)?;
        }
        Ok(columns)
    }
}

#[cfg(test)]
mod tests;
