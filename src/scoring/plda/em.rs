//! Training by expectation maximisation.

use super::{Plda, Steps};
use crate::error::{Error, Result};
use crate::scoring::Embeddings;
use crate::scoring::chain::{Chain, Link, no_direction};
use crate::scoring::lda::{Groups, Scatter};
use crate::scoring::linear::{
    self, Diagonal, Matrix, diagonalise, mean_column, scale_rows, symmetric, vectors,
};

/// How a model is trained.
#[derive(Debug, Clone, PartialEq)]
pub struct PldaTraining {
    /// Passes of expectation maximisation.
    pub iterations: usize,
    /// A mean `[dim]` that is subtracted from embeddings first; the model keeps it.
    pub mean: Option<Vec<f64>>,
    /// Number of values that an LDA leaves, if there is one.
    pub lda: Option<usize>,
    /// Whether lengths become equal: 1 before the LDA, the root of the dimension before the model
    /// and after its transform.
    pub length_norm: bool,
}

impl Default for PldaTraining {
    /// WeSpeaker's: five passes over embeddings as they are.
    fn default() -> Self {
        Self { iterations: 5, mean: None, lda: None, length_norm: false }
    }
}

impl Plda {
    /// Trains a model (WeSpeaker `two_cov_plda.py`): W and B begin as unit matrices, each speaker
    /// weighs the same in the mean and in B, each utterance in W. `done` is called after each pass.
    ///
    /// # Errors
    /// No utterances; speakers of a single utterance only, which tell nothing of W; no passes; a
    /// mean or an LDA that does not fit; an embedding without a direction where lengths become
    /// equal; covariances that cannot be computed.
    pub fn train(
        embeddings: &Embeddings,
        groups: &Groups,
        training: &PldaTraining,
        done: &mut dyn FnMut(),
    ) -> Result<Self> {
        if training.iterations == 0 {
            return Err(Error::invalid("PLDA: at least one pass is needed"));
        }
        if groups.speakers() < 2 {
            return Err(Error::Undefined(
                "one speaker: nothing tells how voices differ from each other".into(),
            ));
        }
        if groups.alone() == groups.speakers() {
            let count = groups.speakers();
            return Err(Error::Undefined(format!(
                "each of {count} speakers has one utterance: nothing tells how a voice varies"
            )));
        }
        let mut chain = Chain::new();
        if let Some(mean) = &training.mean {
            chain.push(Link::Mean(mean.clone()))?;
        }
        if let Some(dim) = training.lda {
            if training.length_norm {
                chain.push(Link::LengthNorm)?;
            }
            chain.push_lda(embeddings, groups, dim)?;
        }
        let steps = Steps { chain, length_norm: training.length_norm, lacks_mean: false };
        let dim = steps.chain.output_dim(embeddings.dim());
        let scatter = Scatter::of(groups, dim, &|places| steps.columns(embeddings, places))?;
        let mu = mean_column(&scatter.means);
        let negative: Vec<f64> = mu.iter().map(|x| -x).collect();
        let mut centred = scatter.means.clone();
        linear::add_to_columns(&mut centred, &negative);
        let mut covariances = [Matrix::identity(dim, dim), Matrix::identity(dim, dim)];
        for _ in 0..training.iterations {
            covariances = pass(&scatter, &centred, &covariances)?;
            done();
        }
        let [within, between] = covariances;
        Self::of_covariances(steps, mu, within, between)
    }
}

impl Steps {
    /// The vectors `[dim]` that a model is trained on, as columns.
    ///
    /// # Errors
    /// Embeddings of another dimension; one that has no direction, by its id.
    pub(super) fn columns(&self, embeddings: &Embeddings, places: &[usize]) -> Result<Matrix> {
        let mut columns = self.chain.columns(embeddings, places)?;
        if self.length_norm {
            let length = (columns.nrows() as f64).sqrt();
            linear::normalise(&mut columns, length)
                .map_err(|i| no_direction(&format!("embedding `{}`", embeddings.id(places[i]))))?;
        }
        Ok(columns)
    }
}

/// One pass: the covariances within and between speakers, in the light of those before.
///
/// Where W is the unit matrix and B is diagonal with `psi`, a voice of `n` utterances with mean `m`
/// has the variances `psi / (1 + n psi)` and the mean `m n psi / (1 + n psi)`. Vectors go there by
/// the transform, and sums come back by its inverse.
fn pass(
    scatter: &Scatter,
    centred: &Matrix,
    [within, between]: &[Matrix; 2],
) -> Result<[Matrix; 2]> {
    let Diagonal { psi, transform, inverse } = diagonalise(within, between)?;
    let means = transform * centred;
    let (mut of_voices, mut of_rests) = (vec![0.0; psi.len()], vec![0.0; psi.len()]);
    let mut voices = Vec::with_capacity(means.len());
    let mut rests = Vec::with_capacity(means.len());
    for (mean, count) in vectors(&means).zip(&scatter.counts) {
        for (k, (m, psi)) in mean.iter().zip(&psi).enumerate() {
            let share = 1.0 / (1.0 + count * psi);
            of_voices[k] += psi * share;
            of_rests[k] += count * psi * share;
            voices.push(m * count * psi * share);
            // Each of its utterances has this rest.
            rests.push(m * share * count.sqrt());
        }
    }
    let [voices, rests] =
        [voices, rests].map(|values| Matrix::from_vec(means.nrows(), means.ncols(), values));
    // What comes back from the space of the transform.
    let back = |products: Matrix, variances: &[f64]| {
        let mut diagonal = Matrix::identity(variances.len(), variances.len());
        scale_rows(&mut diagonal, variances);
        &inverse * (products + diagonal) * inverse.transpose()
    };
    let between = back(&voices * voices.transpose(), &of_voices) / scatter.counts.len() as f64;
    let about = back(&rests * rests.transpose(), &of_rests);
    let within = (&scatter.within + about) / scatter.utterances();
    Ok([symmetric(&within), symmetric(&between)])
}
