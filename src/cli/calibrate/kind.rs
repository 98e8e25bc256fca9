//! What the scores of a calibration are.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::cli::values::misuse;
use crate::corpus::Words;
use crate::error::{Error, Result};
use crate::scoring::{Norm, OtherScores, ScoreList};
use crate::terminal::{errln, note};

/// What the user says that scores are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Cosine,
    Norm(Norm),
    Plda,
    Llr,
    Other,
}

fn said(text: &str) -> Result<Said, String> {
    let norm = |text: &str| Norm::ALL.into_iter().find(|norm| norm.name() == text);
    match text {
        "cosine" => Ok(Said::Cosine),
        "plda" => Ok(Said::Plda),
        "llr" => Ok(Said::Llr),
        "other" => Ok(Said::Other),
        _ => norm(text).map(Said::Norm).ok_or_else(|| {
            let norms = Norm::ALL.map(Norm::name).join(", ");
            format!("there are cosine, {norms}, plda, llr and other")
        }),
    }
}

/// What the scores are. Their file does not say it.
#[derive(Debug, clap::Args)]
pub(super) struct Kind {
    /// What the scores are: `cosine`; a form of `revox score --norm` (`as1` is AS-norm); `plda`;
    /// `llr`, of a cascade; `other`. Verbs refuse the calibration for other scores. Without this
    /// option, scores that all lie in -1 to 1 are taken as cosines.
    #[arg(long, value_name = "KIND", value_parser = said)]
    scores_of: Option<Said>,
    /// The PLDA model that made the scores. The calibration keeps its hash.
    #[arg(long, value_name = "FILE")]
    plda: Option<PathBuf>,
}

impl Kind {
    fn said(&self) -> Option<Said> {
        self.scores_of.or(self.plda.as_ref().map(|_| Said::Plda))
    }

    /// Refuses options that contradict each other. `thresholds` says whether thresholds are stored.
    pub(super) fn check(&self, thresholds: bool) -> Result<()> {
        if self.plda.is_some() && self.said() != Some(Said::Plda) {
            return Err(misuse("--plda: --scores-of says that PLDA did not make them"));
        }
        if thresholds && self.said().is_some_and(|said| said != Said::Cosine) {
            return Err(misuse(
                "--threshold stores thresholds of cosines, which `compare` has; --scores-of says \
                 that these scores are none",
            ));
        }
        Ok(())
    }

    /// Whether a cohort made the scores.
    pub(super) fn is_normalised(&self) -> bool {
        matches!(self.scores_of, Some(Said::Norm(_)))
    }

    /// Whether it is said how the scores were made, so that not naming a mean says that none was
    /// subtracted. `cosines` says whether they are that.
    pub(super) fn is_named(&self, cosines: bool) -> bool {
        cosines || matches!(self.said(), Some(Said::Norm(_) | Said::Plda))
    }

    /// The file that is read.
    pub(super) fn input(&self) -> Option<&PathBuf> {
        self.plda.as_ref()
    }

    /// Whether the scores are cosines, which have nine decimals. Says so where nobody else did.
    /// Refuses scores that are not finite, and others than cosines where they were said to be that
    /// or `thresholds` are wanted.
    pub(super) fn are_cosines(
        &self,
        scores: &ScoreList,
        words: &mut Words,
        thresholds: bool,
    ) -> Result<bool> {
        let (said, path) = (self.said(), scores.text().path());
        let is_cosine = |score: f64| score.abs() <= 1.0 + 1e-9;
        let mut refused = |fits: &dyn Fn(f64) -> bool, why: &str| -> Result<bool> {
            let found = scores.find(words, &mut |_, t| !fits(t.score))?;
            let (line, t) = found.ok_or_else(|| scores.text().changed())?;
            Err(Error::line(path, line, format!("score {} {why}", t.score)))
        };
        if !scores.trials.par_iter().all(|t| t.score.is_finite()) {
            return refused(&f64::is_finite, "is no number that a line could go through");
        }
        let all = scores.trials.par_iter().all(|t| is_cosine(t.score));
        match said {
            Some(Said::Cosine) if !all => {
                refused(&is_cosine, "is no cosine, as --scores-of has it: as1, plda, llr or other?")
            }
            Some(said) => Ok(said == Said::Cosine),
            None if all => {
                note!(
                    "all scores lie in -1 to 1 and are taken as cosines; --scores-of says otherwise"
                );
                Ok(true)
            }
            None if thresholds => refused(
                &is_cosine,
                "is no cosine: `compare`, which has cosines, cannot use a threshold of it",
            ),
            None => {
                errln!(
                    "warning: {}: the scores leave -1 to 1, so they are no cosines; say what they \
                     are with --scores-of (as1, plda, llr, other), and verbs can refuse the \
                     calibration for other scores",
                    path.display()
                );
                Ok(false)
            }
        }
    }

    /// What the scores are if they are no cosines, as far as the user has told it: a cohort, how
    /// many of its nearest count, and whether it is averaged by speaker.
    pub(super) fn others(
        &self,
        cohort: Option<&Path>,
        top_n: usize,
        averaged: bool,
    ) -> Result<Option<OtherScores>> {
        match self.said() {
            // How many of its nearest count is told only with a cohort.
            Some(Said::Norm(norm)) => {
                OtherScores::normalised(norm, cohort.map(|_| top_n), cohort, averaged).map(Some)
            }
            Some(Said::Plda) => OtherScores::plda(self.plda.as_deref()).map(Some),
            Some(Said::Llr) => Ok(Some(OtherScores::Llr)),
            Some(Said::Cosine | Said::Other) | None => Ok(None),
        }
    }
}
