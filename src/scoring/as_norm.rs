//! Adaptive score normalisation (WeSpeaker `wespeaker/bin/score_norm.py`).

use std::collections::HashMap;

use rayon::prelude::*;

use super::Scorer;
use crate::error::{Error, Result};

/// Mean and population standard deviation of the largest cosines with a cohort.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TopStatistics {
    /// Mean.
    pub mean: f64,
    /// Standard deviation, dividing by n.
    pub std: f64,
}

/// A cohort of unit vectors.
pub struct AsNorm {
    cohort: Vec<f64>,
    dim: usize,
    top: usize,
}

impl AsNorm {
    /// Uses the embeddings of `cohort` (its mean already subtracted, if any is) and the `top` largest cosines.
    pub fn new(cohort: &Scorer, top: usize) -> Result<Self> {
        let n = cohort.embeddings().len();
        if top < 2 || top > n {
            return Err(Error::invalid(format!(
                "top-n = {top}: the cohort holds {n} embeddings; 2 to {n} are possible"
            )));
        }
        let units = (0..n).flat_map(|i| cohort.unit(i)).collect();
        Ok(Self { cohort: units, dim: cohort.embeddings().dim(), top })
    }

    /// Statistics of one unit vector.
    pub fn statistics(&self, unit: &[f64]) -> TopStatistics {
        let mut cosines: Vec<f64> =
            self.cohort.chunks_exact(self.dim).map(|c| c.iter().zip(unit).map(|(a, b)| a * b).sum()).collect();
        if self.top < cosines.len() {
            cosines.select_nth_unstable_by(self.top - 1, |a, b| b.total_cmp(a));
            cosines.truncate(self.top);
        }
        // Summing in sorted order makes the result independent of how the selection left the values.
        cosines.sort_unstable_by(f64::total_cmp);
        let n = cosines.len() as f64;
        let mean = cosines.iter().sum::<f64>() / n;
        let var = cosines.iter().map(|c| (c - mean) * (c - mean)).sum::<f64>() / n;
        TopStatistics { mean, std: var.sqrt() }
    }

    /// Normalised scores of `trials` (places in `scorer`): 0.5 ((s - mean_e) / std_e + (s - mean_t) / std_t). Statistics are
    /// computed once an utterance, on all cores; `done` is called after each.
    pub fn score(&self, scorer: &Scorer, trials: &[(usize, usize)], done: &(dyn Fn() + Sync)) -> Result<Vec<f64>> {
        if scorer.embeddings().dim() != self.dim {
            let message = format!("the cohort has {} values, the embeddings {}", self.dim, scorer.embeddings().dim());
            return Err(Error::invalid(message));
        }
        let mut used: Vec<usize> = trials.iter().flat_map(|&(a, b)| [a, b]).collect();
        used.sort_unstable();
        used.dedup();
        let statistics: HashMap<usize, TopStatistics> = used
            .par_iter()
            .map(|&i| {
                let s = self.statistics(&scorer.unit(i));
                done();
                (i, s)
            })
            .collect();
        if let Some(i) = used.iter().find(|i| statistics[i].std == 0.0) {
            let id = &scorer.embeddings().ids()[*i];
            return Err(Error::Undefined(format!("AS-norm: `{id}` is equally far from all of the cohort's nearest")));
        }
        Ok(trials
            .iter()
            .map(|&(a, b)| {
                let s = scorer.score(a, b);
                let (e, t) = (statistics[&a], statistics[&b]);
                0.5 * ((s - e.mean) / e.std + (s - t.mean) / t.std)
            })
            .collect())
    }
}
