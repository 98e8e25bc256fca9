//! What scores are normalised with.

use crate::lanes::Lanes;
use crate::scoring::Scorer;

/// Mean and population standard deviation of an utterance's cosines with a cohort, or of the
/// largest of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TopStatistics {
    /// Mean.
    pub mean: f64,
    /// Standard deviation, dividing by n.
    pub std: f64,
}

impl TopStatistics {
    /// Those of some values.
    pub(super) fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = Lanes::<8>::sum2(values, values, |x, _| x) / n;
        let var = Lanes::<8>::sum2(values, values, |x, _| (x - mean).powi(2)) / n;
        Self { mean, std: var.sqrt() }
    }

    /// A score in deviations from the mean.
    pub(in crate::scoring) fn normalised(&self, score: f64) -> f64 {
        (score - self.mean) / self.std
    }
}

/// The statistics of utterances, with which their scores are normalised.
pub struct Normaliser {
    /// By the utterance's place. None for utterances in no trial.
    pub(in crate::scoring) statistics: Vec<Option<TopStatistics>>,
}

impl Normaliser {
    /// The statistics of the utterance at a place.
    ///
    /// # Panics
    /// If they were not asked for.
    pub fn statistics(&self, place: usize) -> TopStatistics {
        self.statistics[place].expect("the statistics of every utterance in a trial")
    }

    /// The normalised score of two utterances at their places in `scorer`. Of their cosine s it is
    /// 0.5 ((s - mean_e) / std_e + (s - mean_t) / std_t).
    ///
    /// # Panics
    /// If the statistics of either utterance were not asked for.
    pub fn score(&self, scorer: &Scorer, a: usize, b: usize) -> f64 {
        let s = scorer.score(a, b);
        both_sides(s, self.statistics(a), self.statistics(b))
    }
}

/// The mean of a score's two normalisations.
pub(in crate::scoring) fn both_sides(s: f64, e: TopStatistics, t: TopStatistics) -> f64 {
    0.5 * (e.normalised(s) + t.normalised(s))
}
