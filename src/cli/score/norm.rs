//! A cohort by which scores are normalised.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::sides::Sides;
use crate::cli::cohort;
use crate::cli::values::{at_least, counted};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::scoring::{Cohort, Compared, Norm, Normalised, OtherScores, Scorer};
use crate::terminal::note;

/// How many of the nearest count where nobody says it.
const TOP: usize = 300;

/// Normalisation by a cohort.
#[derive(Debug, clap::Args)]
pub(super) struct Normalising {
    /// Normalise scores with these embeddings (AS-norm, unless --norm says otherwise).
    #[arg(long)]
    pub cohort: Option<PathBuf>,
    /// Speakers of the cohort's utterances: the cohort is then one mean embedding a speaker.
    #[arg(long, requires = "cohort")]
    pub utt2spk: Option<PathBuf>,
    /// The form of normalisation [default: as1].
    #[arg(long, value_enum, value_name = "NORM", requires = "cohort")]
    norm: Option<Norm>,
    /// How many of the nearest cohort members count, at most [default: 300].
    #[arg(long, requires = "cohort", value_parser = at_least::<2>)]
    top_n: Option<usize>,
    /// Leave scores as cosines: the cohort is for the measures of --calibration alone.
    #[arg(long, requires = "cohort", requires = "calibration", conflicts_with = "norm")]
    pub keep_cosines: bool,
}

impl Normalising {
    /// The form in which scores are normalised, if they are.
    pub fn norm(&self) -> Option<Norm> {
        let is_wanted = self.cohort.is_some() && !self.keep_cosines;
        is_wanted.then(|| self.norm.unwrap_or_default())
    }

    /// Refuses a number of nearest that nothing looks at. `measures` says whether a calibration
    /// does.
    ///
    /// # Errors
    /// `--top-n` with a form that counts the whole cohort.
    pub fn check(&self, measures: bool) -> Result<()> {
        match self.norm() {
            Some(norm) if self.top_n.is_some() && !norm.is_adaptive() && !measures => Err(
                Error::invalid(format!("--top-n: --norm {} counts the whole cohort", norm.name())),
            ),
            _ => Ok(()),
        }
    }

    /// What scores are under this normalisation.
    ///
    /// # Errors
    /// A file of the cohort that cannot be read.
    pub fn made(&self, norm: Norm) -> Result<OtherScores> {
        let (top_n, averaged) = (self.top_n.unwrap_or(TOP), self.utt2spk.is_some());
        OtherScores::normalised(norm, Some(top_n), self.cohort.as_deref(), averaged)
    }

    /// The cohort for scores, and the one for measures of a calibration if it wants them. Both are
    /// one where they would be equal.
    ///
    /// # Errors
    /// A file that cannot be read; a cohort without a spread.
    pub fn cohorts(&self, mean: Option<&[f64]>, measures: bool) -> Result<Option<Cohorts<'_>>> {
        let (Some(path), norm) = (&self.cohort, self.norm()) else { return Ok(None) };
        let embeddings = cohort::load(path, self.utt2spk.as_deref())?;
        let at_fault = |e: Error| Error::file(path, e.to_string());
        let top_n = self.top_n.unwrap_or(TOP);
        let scorer = Scorer::new(&embeddings, mean.map(<[f64]>::to_vec)).map_err(at_fault)?;
        let cohort = |norm| Cohort::new(norm, &scorer, top_n).map_err(at_fault);
        let scores = norm.map(cohort).transpose()?;
        let is_other = measures && norm != Some(Norm::As1);
        let measures = is_other.then(|| cohort(Norm::As1)).transpose()?;
        let top = [&scores, &measures].into_iter().flatten().find_map(Cohort::top);
        if let Some(top) = top.filter(|top| *top < top_n) {
            let what = if self.utt2spk.is_some() { "speaker" } else { "embedding" };
            note!("{} has {}, so --top-n is {top}", path.display(), counted(top, what));
        }
        Ok(Some(Cohorts { path, scores, measures }))
    }
}

/// What a cohort is for.
pub(super) struct Cohorts<'a> {
    path: &'a Path,
    /// Normalises scores.
    scores: Option<Cohort>,
    /// Measures both sides, if `scores` does not do it.
    measures: Option<Cohort>,
}

impl Cohorts<'_> {
    /// Computes what the trials need of the cohort for scores, and of that for measures. `count`
    /// is the number of utterances and models, for the progress.
    ///
    /// # Errors
    /// Utterances of another dimension, or equally far from the cohort.
    pub fn normalise<'c>(
        &'c self,
        compared: Compared<'c>,
        sides: &Sides,
        count: usize,
        quiet: bool,
    ) -> Result<[Option<Normalised<'c>>; 2]> {
        let one = |cohort: &'c Cohort| -> Result<Normalised<'c>> {
            let what = if cohort.top().is_some() { "AS-norm" } else { "normalising" };
            let progress = Mutex::new(Progress::new(what, count, quiet));
            let done = || progress.lock().expect("no holder panics").add(1);
            let normalised = cohort.normalise(compared, sides.enrolled(), sides.tested(), &done);
            normalised.map_err(|e| Error::file(self.path, e.to_string()))
        };
        let scores = self.scores.as_ref().map(one).transpose()?;
        Ok([scores, self.measures.as_ref().map(one).transpose()?])
    }
}
