//! Adaptation to another domain without labels.

use super::{Plda, Steps};
use crate::error::{Error, Result};
use crate::scoring::Embeddings;
use crate::scoring::lda::{Groups, Scatter};
use crate::scoring::linear::{
    Matrix, eigen, lower_factor, lower_inverse, mean_column, scale_columns, symmetric,
};

/// What WeSpeaker adds to the variances within speakers before it inverts them. It changes a ratio
/// by some 1e-7 and is here so that ratios agree with WeSpeaker's to 1e-10.
const EPSILON: f64 = 1e-9;

/// How much of the variance that a new domain has in excess goes where: each 0 to 1, and 1 together
/// at most. With 1 the adapted model expects just the variance that was seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PldaAdaptation {
    /// To the covariance within speakers.
    pub within: f64,
    /// To the covariance between speakers.
    pub between: f64,
}

impl Default for PldaAdaptation {
    fn default() -> Self {
        Self { within: 0.5, between: 0.5 }
    }
}

/// An adapted model.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapted {
    /// The model. It subtracts the mean of the new domain itself.
    pub plda: Plda,
    /// In how many directions the new domain varies more than the model expects.
    pub directions: usize,
}

impl Plda {
    /// Adapts the model to the domain of `embeddings` (WeSpeaker `two_cov_plda.py`, `adapt`). In
    /// the directions in which they vary more than W + B, shares of the excess go to W and B.
    ///
    /// The adapted model subtracts the mean of `embeddings` first, so its own mean is about zero.
    /// As WeSpeaker's, it leaves lengths as they are, whatever the original did: where lengths were
    /// made equal, they are so while it is adapted, not when it scores.
    ///
    /// # Errors
    /// Fewer than two embeddings, or of another dimension; shares outside 0 to 1, or of more than 1
    /// together; where lengths become equal, an embedding without a direction; covariances that
    /// cannot be computed.
    pub fn adapt(&self, embeddings: &Embeddings, adaptation: &PldaAdaptation) -> Result<Adapted> {
        let PldaAdaptation { within: to_within, between: to_between } = *adaptation;
        if ![to_within, to_between].iter().all(|share| (0.0..=1.0).contains(share)) {
            return Err(Error::invalid("shares of the excess variance are 0 to 1"));
        }
        // 0.7 and 0.3 are 1, however they are rounded.
        if to_within + to_between > 1.0 + 1e-9 {
            return Err(Error::invalid(format!(
                "the shares {to_within} and {to_between} are more than the whole excess variance: \
                 1 together at most"
            )));
        }
        if embeddings.len() < 2 {
            return Err(Error::Undefined("adaptation needs two embeddings at least".into()));
        }
        if embeddings.dim() != self.input_dim() {
            let (wanted, dim) = (self.input_dim(), embeddings.dim());
            let message = format!("the PLDA wants {wanted} values, the embeddings have {dim}");
            return Err(Error::invalid(message));
        }
        let chain = self.chain.with_mean(embeddings.mean())?;
        let mut steps = Steps { chain, length_norm: self.length_norm, lacks_mean: false };
        let all = Groups::together(embeddings);
        let scatter = Scatter::of(&all, self.dim(), &|places| steps.columns(embeddings, places))?;
        let mu = mean_column(&scatter.means);
        let covariance = scatter.within / (embeddings.len() - 1) as f64;
        let singular = || Error::Undefined("the covariance of the PLDA is singular".into());
        let lower = lower_factor(&(&self.within + &self.between)).ok_or_else(singular)?;
        let whiten = lower_inverse(&lower).ok_or_else(singular)?;
        let seen = eigen(symmetric(&(&whiten * covariance * whiten.transpose())))?;
        // Where the model expects a variance of 1.
        let more: Vec<f64> = seen.values.iter().map(|v| (v - 1.0).max(0.0)).collect();
        let directions = more.iter().filter(|&&m| m > 0.0).count();
        let mut excess = lower * seen.vectors;
        let roots: Vec<f64> = more.iter().map(|m| m.sqrt()).collect();
        scale_columns(&mut excess, &roots);
        let excess = &excess * excess.transpose();
        let dim = self.dim();
        let within = &self.within + &excess * to_within + Matrix::identity(dim, dim) * EPSILON;
        let between = &self.between + &excess * to_between;
        steps.length_norm = false;
        let plda = Self::of_covariances(steps, mu, symmetric(&within), symmetric(&between))?;
        Ok(Adapted { plda, directions })
    }
}
