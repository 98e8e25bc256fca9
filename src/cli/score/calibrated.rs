//! Log-likelihood ratios in place of scores.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::sides::Sides;
use crate::corpus::TrialList;
use crate::corpus::read_utt2dur;
use crate::error::{Error, Result};
use crate::model_file::read_header;
use crate::scoring::{
    Calibration, Compared, Embeddings, Evidence, Made, Normalised, OtherScores, Quantity,
    SubtractedMean,
};
use crate::terminal::{errln, note};

/// Calibration of the scores.
#[derive(Debug, clap::Args)]
pub(super) struct Calibrated {
    /// Write log-likelihood ratios (natural logarithm) in place of scores, by this model's
    /// calibration.
    #[arg(long, value_name = "MODEL")]
    pub calibration: Option<PathBuf>,
    /// Seconds of speech, for a calibration that weighs them: `utterance seconds` a line (Kaldi's
    /// utt2dur). A model has those of all its utterances.
    #[arg(long, value_name = "LIST", requires = "calibration")]
    pub durations: Option<PathBuf>,
}

/// A calibration of a model, which these scores may use.
pub(super) struct Loaded<'a> {
    model: &'a Path,
    durations: Option<&'a Path>,
    calibration: Calibration,
}

impl Calibrated {
    /// Reads the calibration of a model, which must be of such scores. Warns of what an earlier
    /// version did not keep.
    ///
    /// # Errors
    /// A model without a calibration, or with one of other scores; a measure that it weighs and
    /// nobody gives; one that is given and that it does not weigh.
    pub fn load<'a>(&'a self, model: &'a Path, given: Given) -> Result<Loaded<'a>> {
        let bad = |message: String| Err(Error::file(model, message));
        let scoring = read_header(model)?.scoring;
        let Some(calibration) = scoring.calibration else {
            return bad("holds no calibration; `revox calibrate` stores one".into());
        };
        let loaded = Loaded { model, durations: self.durations.as_deref(), calibration };
        let fitted = &loaded.calibration.fitted;
        let own = scoring.embedding_mean.as_deref();
        let has_cohort = given.measured.is_some();
        let made = Made {
            others: given.others,
            mean: SubtractedMean::of(given.mean, own),
            measured: given.measured.filter(|_| loaded.weighs(Quantity::Cohort)),
        };
        if let Err(error) = fitted.check_scores(&made) {
            return bad(format!("its calibration does not fit: {error}"));
        }
        let unused = |option: &str, what: &str| {
            let model = model.display();
            Err(Error::invalid(format!("{option}: the calibration of {model} weighs no {what}")))
        };
        match (loaded.weighs(Quantity::Cohort), loaded.weighs(Quantity::Seconds)) {
            (true, _) if !has_cohort => {
                bad("its calibration weighs the cohort mean: give --cohort".into())
            }
            (false, _) if given.only_measures => unused("--keep-cosines", "cohort mean"),
            (_, true) if self.durations.is_none() => {
                bad("its calibration weighs the seconds of speech: give --durations".into())
            }
            (_, false) if self.durations.is_some() => unused("--durations", "seconds"),
            _ => {
                let model = model.display();
                if let Some(doubt) = fitted.doubt(&made) {
                    errln!(
                        "warning: {model}: an earlier version made its calibration: {doubt}; \
                         `revox calibrate` keeps it now"
                    );
                }
                if fitted.mean.is_none() && own.is_some() && given.mean.is_none() {
                    note!(
                        "{model} holds a mean, which `compare` subtracts; these scores are without \
                         (--mean)"
                    );
                }
                Ok(loaded)
            }
        }
    }
}

/// What scores are made with.
pub(super) struct Given<'a> {
    /// What they are, where they are no cosines.
    pub others: Option<OtherScores>,
    /// The cohort as one for measures, if there is one.
    pub measured: Option<OtherScores>,
    /// Whether it is there for a calibration alone.
    pub only_measures: bool,
    /// The mean that is subtracted, `[dim]`.
    pub mean: Option<&'a [f64]>,
}

impl Loaded<'_> {
    /// Whether a measure is weighed.
    pub fn weighs(&self, quantity: Quantity) -> bool {
        self.calibration.weighs(quantity)
    }

    /// The ratios of trials. `measures` has the cohort's statistics of both sides.
    ///
    /// # Errors
    /// An utterance without seconds, where they are weighed; a trial without a ratio, at its line.
    pub fn ratios<'s>(
        &'s self,
        compared: Compared<'s>,
        embeddings: &Embeddings,
        sides: &Sides,
        list: &TrialList,
        measures: Option<&'s Normalised<'s>>,
    ) -> Result<Ratios<'s>> {
        let calibration = &self.calibration;
        let seconds = self.seconds(embeddings, sides)?;
        let ratios = Ratios { calibration, compared, measures, seconds };
        for (i, pair) in list.trials().iter().enumerate() {
            let (enroll, test) = sides.of(*pair);
            let [e, t] = ratios.evidence(enroll, test);
            if let Err(error) = calibration.llr(0.0, &e, &t) {
                let message = format!("{error} (calibration of {})", self.model.display());
                return Err(Error::line(list.text().path(), list.line_of(i)?, message));
            }
        }
        Ok(ratios)
    }

    /// The seconds of both sides by their places, if they are weighed.
    fn seconds(&self, embeddings: &Embeddings, sides: &Sides) -> Result<Option<[Vec<f64>; 2]>> {
        let Some(path) = self.durations else { return Ok(None) };
        let known = read_utt2dur(path)?.into_iter().collect::<HashMap<String, f64>>();
        let mut seconds = vec![0.0; embeddings.len()];
        for place in sides.utterances() {
            let id = embeddings.id(place);
            seconds[place] = *known
                .get(id)
                .ok_or_else(|| Error::file(path, format!("has no seconds of utterance `{id}`")))?;
        }
        let enroll = match &sides.enrolled {
            None => seconds.clone(),
            Some(models) => {
                let of =
                    |places: &Vec<usize>| places.iter().map(|&place| seconds[place]).sum::<f64>();
                models.places.iter().map(of).collect()
            }
        };
        Ok(Some([enroll, seconds]))
    }
}

/// Log-likelihood ratios of trials.
pub(super) struct Ratios<'s> {
    calibration: &'s Calibration,
    compared: Compared<'s>,
    measures: Option<&'s Normalised<'s>>,
    seconds: Option<[Vec<f64>; 2]>,
}

impl Ratios<'_> {
    /// What is known of both sides of a trial.
    fn evidence(&self, enroll: usize, test: usize) -> [Evidence; 2] {
        let cohort = self.measures.and_then(|by| by.statistics(enroll, test));
        let seconds = self.seconds.as_ref();
        [
            Evidence {
                seconds: seconds.map(|s| s[0][enroll]),
                norm: Some(self.compared.enroll_length(enroll)),
                cohort: cohort.map(|c| c[0].mean),
            },
            Evidence {
                seconds: seconds.map(|s| s[1][test]),
                norm: Some(self.compared.test_length(test)),
                cohort: cohort.map(|c| c[1].mean),
            },
        ]
    }

    /// The ratio of a trial by its score.
    pub fn llr(&self, score: f64, enroll: usize, test: usize) -> f64 {
        let [e, t] = self.evidence(enroll, test);
        self.calibration.llr(score, &e, &t).expect("each trial was tried when this was made")
    }
}
