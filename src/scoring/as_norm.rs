//! Adaptive score normalisation (WeSpeaker `wespeaker/bin/score_norm.py`).

use rayon::prelude::*;

use super::Scorer;
use super::cosine::NOISE;
use crate::error::{Error, Result};

/// Mean and population standard deviation of an utterance's largest cosines with a cohort.
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
    /// Takes the unit vectors of `cohort`, which has subtracted its mean if it has one. The `top`
    /// largest cosines count, or all if there are fewer (see [`top`](Self::top)).
    ///
    /// # Errors
    /// A cohort or a `top` of fewer than two: one value has no spread.
    ///
    /// # Panics
    /// If an embedding of the cohort has no direction, as in [`Scorer::unit`].
    pub fn new(cohort: &Scorer, top: usize) -> Result<Self> {
        let n = cohort.embeddings().len();
        if top < 2 {
            return Err(Error::invalid(format!(
                "top-n = {top}: AS-norm needs two embeddings at least"
            )));
        }
        if n < 2 {
            return Err(Error::invalid(
                "the cohort holds one embedding: AS-norm needs two at least",
            ));
        }
        let units = (0..n).flat_map(|i| cohort.unit(i)).collect();
        Ok(Self { cohort: units, dim: cohort.embeddings().dim(), top: top.min(n) })
    }

    /// How many of the largest cosines count.
    pub fn top(&self) -> usize {
        self.top
    }

    /// Statistics of one unit vector, `[dim]`.
    pub fn statistics(&self, unit: &[f64]) -> TopStatistics {
        let mut cosines: Vec<f64> = self
            .cohort
            .chunks_exact(self.dim)
            .map(|c| c.iter().zip(unit).map(|(a, b)| a * b).sum())
            .collect();
        if self.top < cosines.len() {
            cosines.select_nth_unstable_by(self.top - 1, |a, b| b.total_cmp(a));
            cosines.truncate(self.top);
        }
        // The selection leaves values in any order. Sums in sorted order do not depend on it.
        cosines.sort_unstable_by(f64::total_cmp);
        let n = cosines.len() as f64;
        let mean = cosines.iter().sum::<f64>() / n;
        let var = cosines.iter().map(|c| (c - mean) * (c - mean)).sum::<f64>() / n;
        TopStatistics { mean, std: var.sqrt() }
    }

    /// Computes the statistics of the utterances at `places` of `scorer`, once for each utterance,
    /// on all cores. `done` is called after each.
    ///
    /// # Errors
    /// Another dimension than the cohort's; an utterance whose nearest cohort embeddings are
    /// equally far but for rounding. Dividing by so small a spread would give noise.
    pub fn normaliser(
        &self,
        scorer: &Scorer,
        places: impl IntoIterator<Item = usize>,
        done: &(dyn Fn() + Sync),
    ) -> Result<Normaliser> {
        if scorer.embeddings().dim() != self.dim {
            let message = format!(
                "the cohort has {} values, the embeddings {}",
                self.dim,
                scorer.embeddings().dim()
            );
            return Err(Error::invalid(message));
        }
        let mut used: Vec<usize> = places.into_iter().collect();
        used.sort_unstable();
        used.dedup();
        let found: Vec<TopStatistics> = used
            .par_iter()
            .map(|&place| {
                let statistics = self.statistics(&scorer.unit(place));
                done();
                statistics
            })
            .collect();
        let mut statistics = vec![None; scorer.embeddings().len()];
        for (place, found) in used.into_iter().zip(found) {
            if found.std < NOISE {
                let (id, top) = (&scorer.embeddings().ids()[place], self.top);
                return Err(Error::Undefined(format!(
                    "AS-norm: `{id}` is equally far from its {top} nearest of the cohort; these \
                     are copies of one embedding, or too few"
                )));
            }
            statistics[place] = Some(found);
        }
        Ok(Normaliser { statistics })
    }

    /// The [normalised scores](Normaliser::score) of `trials`, which are places in `scorer`. `done`
    /// is called after each utterance.
    ///
    /// # Errors
    /// As [`normaliser`](Self::normaliser).
    pub fn score(
        &self,
        scorer: &Scorer,
        trials: &[(usize, usize)],
        done: &(dyn Fn() + Sync),
    ) -> Result<Vec<f64>> {
        let normaliser = self.normaliser(scorer, trials.iter().flat_map(|&(a, b)| [a, b]), done)?;
        Ok(trials.iter().map(|&(a, b)| normaliser.score(scorer, a, b)).collect())
    }
}

/// The statistics of utterances, with which their scores are normalised.
pub struct Normaliser {
    /// By the utterance's place. None for utterances in no trial.
    statistics: Vec<Option<TopStatistics>>,
}

impl Normaliser {
    /// The normalised score of two utterances at their places in `scorer`. Of their cosine s it is
    /// 0.5 ((s - mean_e) / std_e + (s - mean_t) / std_t).
    ///
    /// # Panics
    /// If the statistics of either utterance were not asked for.
    pub fn score(&self, scorer: &Scorer, a: usize, b: usize) -> f64 {
        let s = scorer.score(a, b);
        let [e, t] = [a, b].map(|place| {
            self.statistics[place].expect("the statistics of every utterance in a trial")
        });
        0.5 * ((s - e.mean) / e.std + (s - t.mean) / t.std)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Embeddings;
    use super::*;

    /// Each number has a vector in another direction.
    fn row(number: usize) -> Vec<f32> {
        (1..17).map(|j| (((number + 1) * j) as f32 * 0.737).sin()).collect()
    }

    fn set(rows: impl IntoIterator<Item = Vec<f32>>) -> Embeddings {
        let mut all = Embeddings::new(16);
        rows.into_iter().enumerate().for_each(|(i, row)| all.push(&format!("u{i}"), &row).unwrap());
        all
    }

    fn normalised(cohort: &Embeddings, top: usize) -> Result<Vec<f64>> {
        let embeddings = set((0..4).map(row));
        let scorer = Scorer::new(&embeddings, None)?;
        let cohort = Scorer::new(cohort, None)?;
        AsNorm::new(&cohort, top)?.score(&scorer, &[(0, 1), (2, 3)], &|| ())
    }

    #[test]
    fn a_cohort_without_spread_is_an_error() {
        let scaled =
            |i: usize| row(9).iter().map(|x| x * (1.0 + 0.37 * i as f32)).collect::<Vec<f32>>();
        let noisy =
            |i: usize| row(9).iter().zip(row(i)).map(|(x, n)| x + 3e-7 * n).collect::<Vec<f32>>();
        for cohort in
            [set((0..10).map(|_| row(9))), set((0..10).map(scaled)), set((0..10).map(noisy))]
        {
            for top in [2, 5, 10, 300] {
                let error = normalised(&cohort, top).unwrap_err().to_string();
                assert!(error.contains("`u0` is equally far from its"), "{error}");
            }
        }
    }

    #[test]
    fn copies_among_others_are_an_error_only_where_they_are_all() {
        // Five copies of `u0`, which are its nearest.
        let cohort = set((10..40).map(row).chain((0..5).map(|_| row(0))));
        assert!(normalised(&cohort, 5).unwrap_err().to_string().contains("its 5 nearest"));
        let scores = normalised(&cohort, 20).unwrap();
        assert!(scores.iter().all(|s| s.abs() < 100.0), "{scores:?}");
    }

    #[test]
    fn more_than_the_cohort_holds_is_all_of_it() {
        let cohort = set((10..30).map(row));
        assert_eq!(normalised(&cohort, 300).unwrap(), normalised(&cohort, 20).unwrap());
        assert_ne!(normalised(&cohort, 20).unwrap(), normalised(&cohort, 10).unwrap());
        assert_eq!(AsNorm::new(&Scorer::new(&cohort, None).unwrap(), 300).unwrap().top(), 20);
        assert!(normalised(&cohort, 1).unwrap_err().to_string().contains("top-n = 1"));
        assert!(
            normalised(&set([row(1)]), 300)
                .unwrap_err()
                .to_string()
                .contains("holds one embedding")
        );
    }
}
