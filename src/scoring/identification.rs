//! Identification: which of the enrolled models a probe belongs to, if to any.
//!
//! The terms are those of ISO/IEC 19795-1 and NIST's FRTE: a probe is mated if its speaker is
//! enrolled. Closed set: the cumulative match characteristic (CMC). Open set: the false-negative
//! and the false-positive identification rate (FNIR, FPIR) at a threshold.

use rayon::prelude::*;

use super::Scored;
use crate::error::{Error, Result};

/// A probe whose speaker is enrolled.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Mated {
    /// The score with its own model.
    score: f64,
    /// 1 plus the number of models that score higher.
    rank: usize,
}

/// What the scores of probes with models say. A probe without a target trial is not mated.
#[derive(Debug, Clone, PartialEq)]
pub struct Identification {
    mated: Vec<Mated>,
    /// The best score of each probe that is not mated, ascending.
    strangers: Vec<f64>,
    /// Number of models.
    pub models: usize,
    /// Probes that have no score with some of the models.
    pub incomplete: usize,
}

/// The two rates of open-set identification at a threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OpenSet {
    /// The threshold; +inf where nothing is accepted.
    pub threshold: f64,
    /// Probes that are not mated and have a score of at least the threshold / all such probes.
    pub fpir: f64,
    /// Mated probes whose own model is not among the best, or scores below the threshold / all
    /// mated probes.
    pub fnir: f64,
}

impl Identification {
    /// From labelled trials of a model (the enrollment side) and a probe (the test side), which it
    /// sorts by probe in place. A trial may occur twice. Of several models of a mated probe's
    /// speaker, that with the highest score counts.
    ///
    /// # Errors
    /// No target trial, or a score that is not a number.
    pub fn of(trials: &mut [Scored]) -> Result<Self> {
        if trials.iter().any(|t| t.score.is_nan()) {
            return Err(Error::Undefined("a score is not a number".into()));
        }
        let mut models: Vec<u32> = trials.iter().map(|t| t.pair.enroll()).collect();
        models.par_sort_unstable();
        models.dedup();
        let models = models.len();
        trials.par_sort_unstable_by_key(|t| (t.pair.test(), t.pair.enroll()));
        let (mut mated, mut strangers, mut incomplete) = (Vec::new(), Vec::new(), 0);
        for probe in trials.chunk_by(|a, b| a.pair.test() == b.pair.test()) {
            let each = || {
                let models = probe.chunk_by(|a, b| a.pair.enroll() == b.pair.enroll());
                models.map(|same| same[0])
            };
            let own = each().filter(|t| t.pair.is_target()).map(|t| t.score);
            match own.reduce(f64::max) {
                Some(score) => {
                    let rank = 1 + each().filter(|t| t.score > score).count();
                    mated.push(Mated { score, rank });
                }
                None => {
                    strangers.push(each().map(|t| t.score).fold(f64::NEG_INFINITY, f64::max));
                }
            }
            incomplete += usize::from(each().count() < models);
        }
        if mated.is_empty() {
            return Err(Error::Undefined(
                "identification rates need target trials; here are none".into(),
            ));
        }
        strangers.sort_unstable_by(f64::total_cmp);
        Ok(Self { mated, strangers, models, incomplete })
    }

    /// Number of probes whose speaker is enrolled.
    pub fn mated(&self) -> usize {
        self.mated.len()
    }

    /// Number of probes without a target trial.
    pub fn non_mated(&self) -> usize {
        self.strangers.len()
    }

    /// The share of mated probes whose own model is among the `rank` best: the CMC at that rank.
    pub fn cmc(&self, rank: usize) -> f64 {
        self.share(|m| m.rank <= rank)
    }

    /// FPIR and FNIR at a threshold, where a mated probe is identified if its own model is among
    /// the `rank` best and scores at least the threshold. FPIR is not a number where every probe
    /// is mated.
    pub fn open_set(&self, threshold: f64, rank: usize) -> OpenSet {
        let below = self.strangers.partition_point(|s| *s < threshold);
        let accepted = self.strangers.len() - below;
        let found = self.share(|m| m.rank <= rank && m.score >= threshold);
        OpenSet {
            threshold,
            fpir: accepted as f64 / self.strangers.len() as f64,
            fnir: 1.0 - found,
        }
    }

    /// The rates at the lowest threshold whose FPIR is at most `fpir`. Thresholds are the scores of
    /// mated probes with their own models, and the best scores of the others; if none is high
    /// enough, nothing is accepted. None where every probe is mated.
    pub fn at_fpir(&self, fpir: f64, rank: usize) -> Option<OpenSet> {
        let all = self.strangers.len();
        if all == 0 {
            return None;
        }
        // Of descending scores, the first one that must not be accepted. The product alone could
        // be rounded to the wrong side.
        let is_allowed = |accepted: usize| accepted as f64 / all as f64 <= fpir;
        let mut allowed = ((fpir * all as f64) as usize).min(all);
        while allowed < all && is_allowed(allowed + 1) {
            allowed += 1;
        }
        while allowed > 0 && !is_allowed(allowed) {
            allowed -= 1;
        }
        let is_high_enough =
            |score: f64| allowed == all || score > self.strangers[all - 1 - allowed];
        let own = self.mated.iter().map(|m| m.score);
        let scores = own.chain(self.strangers.iter().copied());
        let lowest = scores.filter(|s| is_high_enough(*s)).reduce(f64::min);
        let nothing = OpenSet { threshold: f64::INFINITY, fpir: 0.0, fnir: 1.0 };
        Some(lowest.map_or(nothing, |threshold| self.open_set(threshold, rank)))
    }

    fn share(&self, is_found: impl Fn(&Mated) -> bool) -> f64 {
        self.mated.iter().filter(|m| is_found(m)).count() as f64 / self.mated.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::Pair;
    use crate::shared::{Tensors, json, shared};

    /// Trials of model, probe, score and label.
    fn trials(all: &[(u32, u32, f64, bool)]) -> Vec<Scored> {
        let trial = |&(model, probe, score, target): &(u32, u32, f64, bool)| Scored {
            score,
            pair: Pair::new(model, probe, Some(target)),
        };
        all.iter().map(trial).collect()
    }

    #[test]
    fn rates_by_hand() {
        // Probes 0 and 1 are mated, with ranks 1 and 2; probes 2 and 3 are not.
        let all = [
            (0, 0, 0.9, true),
            (1, 0, 0.2, false),
            (0, 1, 0.6, false),
            (1, 1, 0.5, true),
            (1, 1, 0.5, true),
            (0, 2, 0.7, false),
            (1, 2, 0.1, false),
            (1, 3, 0.3, false),
        ];
        let found = Identification::of(&mut trials(&all)).unwrap();
        assert_eq!((found.mated(), found.non_mated(), found.models), (2, 2, 2));
        assert_eq!(found.incomplete, 1, "probe 3 lacks model 0");
        assert_eq!([1, 2].map(|rank| found.cmc(rank)), [0.5, 1.0]);
        let at = |threshold, rank| {
            let OpenSet { fpir, fnir, .. } = found.open_set(threshold, rank);
            (fpir, fnir)
        };
        assert_eq!(at(0.5, 2), (0.5, 0.0));
        assert_eq!(at(0.5, 1), (0.5, 0.5));
        assert_eq!(at(0.95, 2), (0.0, 1.0));
        let at = |fpir| found.at_fpir(fpir, 1).map(|o| (o.threshold, o.fpir, o.fnir));
        assert_eq!(at(0.0), Some((0.9, 0.0, 0.5)));
        assert_eq!(at(0.5), Some((0.5, 0.5, 0.5)));
        assert_eq!(at(1.0), Some((0.3, 1.0, 0.5)));
    }

    #[test]
    fn special_scores() {
        let inf = f64::INFINITY;
        // The stranger scores infinitely much: nothing may be accepted.
        let mut all = trials(&[(0, 0, 0.5, true), (0, 1, inf, false)]);
        let found = Identification::of(&mut all).unwrap().at_fpir(0.5, 1).unwrap();
        assert_eq!((found.threshold, found.fpir, found.fnir), (inf, 0.0, 1.0));
        // Constant scores: everyone has rank 1.
        let mut all = trials(&[(0, 0, 0.5, true), (1, 0, 0.5, false), (0, 1, 0.5, false)]);
        let found = Identification::of(&mut all).unwrap();
        assert_eq!((found.cmc(1), found.at_fpir(0.1, 1).unwrap().fnir), (1.0, 1.0));
        // Everyone is mated: there is no open set.
        let found = Identification::of(&mut trials(&[(0, 0, 0.5, true)])).unwrap();
        assert!(found.at_fpir(0.1, 1).is_none());
        for wrong in [vec![], vec![(0, 0, 0.5, false)], vec![(0, 0, f64::NAN, true)]] {
            assert!(Identification::of(&mut trials(&wrong)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn rates_equal_the_reference() {
        let Some(folder) = shared("fixtures/f10_backend") else { return };
        let t = Tensors::open(folder.join("backend.safetensors"));
        let reference = json(folder.join("backend.json"));
        let wanted = &reference["identification"];
        let mates = t.i64("ident/true_gallery_index_or_minus1");
        let mut all = Vec::new();
        for (probe, (scores, mate)) in t.f64("ident/scores").chunks(30).zip(&mates).enumerate() {
            for (model, score) in scores.iter().enumerate() {
                all.push((model as u32, probe as u32, *score, model as i64 == *mate));
            }
        }
        let found = Identification::of(&mut trials(&all)).unwrap();
        assert_eq!((found.mated(), found.non_mated(), found.models), (150, 50, 30));
        assert_eq!(found.incomplete, 0);
        let ranks: Vec<usize> = t
            .i64("ident/rank_of_mate")
            .into_iter()
            .filter(|r| *r > 0)
            .map(|r| r as usize)
            .collect();
        assert_eq!(found.mated.iter().map(|m| m.rank).collect::<Vec<usize>>(), ranks);
        let near = |ours: f64, theirs: f64, what: &str| {
            assert!((ours - theirs).abs() < 1e-10, "{what}: {ours} {theirs}");
        };
        for (k, cmc) in wanted["cmc_1_to_10"].as_array().unwrap().iter().enumerate() {
            near(found.cmc(k + 1), cmc.as_f64().unwrap(), "CMC");
        }
        for rank in [1, 5, 30] {
            let rates =
                t.f64("ident/fpir").into_iter().zip(t.f64(&format!("ident/fnir_rank{rank}")));
            for (threshold, (fpir, fnir)) in t.f64("ident/det_thresholds").into_iter().zip(rates) {
                let ours = found.open_set(threshold, rank);
                near(ours.fpir, fpir, "FPIR");
                near(ours.fnir, fnir, "FNIR");
            }
            for fpir in ["0.5", "0.2", "0.1", "0.05", "0.02"] {
                let wanted = &wanted["fnir_at_fpir"][format!("rank{rank}_fpir_le_{fpir}")];
                let ours = found.at_fpir(fpir.parse().unwrap(), rank).unwrap();
                near(ours.threshold, wanted["threshold"].as_f64().unwrap(), "threshold");
                near(ours.fpir, wanted["fpir"].as_f64().unwrap(), "FPIR");
                near(ours.fnir, wanted["fnir"].as_f64().unwrap(), "FNIR");
            }
        }
    }
}
