//! How scores were made, which must be as those that a calibration was fitted on.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Fitted, OtherScores};
use crate::bytes::{from_f32, hex};
use crate::error::{Error, Result};

/// Means that differ by less than this part of their length are one: sums of other orders round
/// otherwise.
const NEAR: f64 = 1e-5;

/// The mean embedding that was subtracted before embeddings were compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SubtractedMean {
    /// None was.
    None,
    /// SHA-256 in hex of its values, f32 in little-endian order.
    Sha256(String),
}

impl SubtractedMean {
    /// The mean that a model holds.
    pub fn own(mean: Option<&[f32]>) -> Self {
        mean.map_or(Self::None, |mean| {
            let mut hash = Sha256::new();
            hash.update(from_f32(mean));
            Self::Sha256(hex(hash))
        })
    }

    /// A mean that was computed. Where it is the one that the model holds (`own`) but for rounding,
    /// it counts as that.
    pub fn of(mean: Option<&[f64]>, own: Option<&[f32]>) -> Self {
        let Some(mean) = mean else { return Self::None };
        match own.filter(|own| is_near(mean, own)) {
            Some(own) => Self::own(Some(own)),
            None => {
                let rounded: Vec<f32> = mean.iter().map(|&x| x as f32).collect();
                Self::own(Some(&rounded))
            }
        }
    }
}

fn is_near(mean: &[f64], own: &[f32]) -> bool {
    let apart: f64 = mean.iter().zip(own).map(|(a, &b)| (a - f64::from(b)).powi(2)).sum();
    let square: f64 = mean.iter().map(|x| x * x).sum();
    mean.len() == own.len() && apart <= NEAR * NEAR * square
}

/// In a sentence: `without a mean subtracted`, `less the mean ba7816bf8f01`.
impl fmt::Display for SubtractedMean {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::None => f.write_str("without a mean subtracted"),
            Self::Sha256(hash) => {
                let short: String = hash.chars().take(12).collect();
                write!(f, "less the mean embedding {short}")
            }
        }
    }
}

/// How scores were made.
#[derive(Debug, Clone)]
pub struct Made {
    /// What they are; nothing for cosines.
    pub others: Option<OtherScores>,
    /// The mean that was subtracted.
    pub mean: SubtractedMean,
    /// The cohort of a calibration that weighs mean cosines with one, told as normalisation by it.
    pub measured: Option<OtherScores>,
}

impl Made {
    /// Cosines, less the mean that a model holds, if it holds one.
    pub fn cosines(mean: Option<&[f32]>) -> Self {
        Self { others: None, mean: SubtractedMean::own(mean), measured: None }
    }
}

impl Fitted {
    /// What the scores were, in a sentence: `cosines`, `scores normalised by as1`.
    pub fn scores(&self) -> String {
        match &self.others {
            _ if self.cosines => "cosines".into(),
            Some(others) => others.to_string(),
            None => "scores that are no cosines".into(),
        }
    }

    /// What of the mean is known, behind [`scores`](Self::scores): `, less the mean embedding
    /// ba7816bf8f01`, or nothing.
    pub fn less(&self) -> String {
        match &self.mean {
            Some(mean @ SubtractedMean::Sha256(_)) => format!(", {mean}"),
            Some(SubtractedMean::None) | None => String::new(),
        }
    }

    /// Refuses scores that were made otherwise than those that the calibration was fitted on. What
    /// one side does not know is not compared.
    ///
    /// # Errors
    /// Scores of another kind, form, cohort, mean or PLDA model.
    pub fn check_scores(&self, given: &Made) -> Result<()> {
        let of_mean = || match &self.mean {
            Some(mean) if *mean != given.mean => {
                Some(format!("it was fitted on scores {mean}; these are {}", given.mean))
            }
            _ => None,
        };
        let of_measures = || match (&self.measured, &given.measured) {
            (Some(fitted), Some(given)) => fitted.difference(given),
            _ => None,
        };
        let difference = match (&self.others, &given.others) {
            (None, None) if self.cosines => None,
            // Nobody said what they were.
            (None, Some(_)) if !self.cosines => None,
            (Some(fitted), Some(given)) => fitted.difference(given),
            (_, given) => {
                let given = given.as_ref().map_or_else(|| "cosines".into(), OtherScores::to_string);
                Some(format!("it was fitted on {}; these are {given}", self.scores()))
            }
        };
        let difference = difference.or_else(of_mean).or_else(of_measures);
        difference.map_or(Ok(()), |text| Err(Error::Undefined(text)))
    }

    /// What is not known to be as when the calibration was fitted, because an earlier version,
    /// which did not keep it, made the calibration. Such a calibration counts as one of scores
    /// without a mean, with a cohort as it is in its file.
    pub fn doubt(&self, given: &Made) -> Option<String> {
        if self.mean.is_none() && given.mean != SubtractedMean::None {
            return Some(format!(
                "it does not say whether a mean was subtracted; these scores are {}",
                given.mean
            ));
        }
        let normalised = self.others.as_ref().zip(given.others.as_ref());
        let measured = self.measured.as_ref().zip(given.measured.as_ref());
        let is_doubtful = |(fitted, given): (&OtherScores, &OtherScores)| {
            fitted.averages().is_none() && given.averages() == Some(true)
        };
        [normalised, measured].into_iter().flatten().any(is_doubtful).then(|| {
            "it does not say whether its cohort was averaged by speaker; that of these scores is"
                .into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::Norm;

    fn as1(averaged: Option<bool>) -> OtherScores {
        let cohort = Some("a".to_owned());
        OtherScores::Normalised { norm: Norm::As1, top_n: Some(9), cohort, averaged }
    }

    fn made(others: Option<OtherScores>, mean: Option<&[f32]>) -> Made {
        Made { others, ..Made::cosines(mean) }
    }

    #[test]
    fn a_mean_is_known_by_its_values() {
        let own = [0.1f32, -0.2, 0.3];
        let wide: Vec<f64> = own.iter().map(|&x| f64::from(x) + 1e-7).collect();
        let of = |mean: Option<&[f64]>| SubtractedMean::of(mean, Some(&own));
        assert_eq!(of(Some(&wide)), SubtractedMean::own(Some(&own)));
        assert_eq!(of(None), SubtractedMean::None);
        for other in [&wide[..2], &[0.1, -0.2, 0.301]] {
            assert_ne!(of(Some(other)), of(Some(&wide)));
        }
        assert_ne!(SubtractedMean::of(Some(&[0.0; 3]), Some(&own)), of(Some(&wide)));
        let mean = SubtractedMean::own(Some(&own));
        let text = serde_json::to_string(&mean).unwrap();
        assert!(text.starts_with("{\"sha256\":\""), "{text}");
        assert_eq!(serde_json::from_str::<SubtractedMean>(&text).unwrap(), mean);
        assert_eq!(serde_json::to_string(&SubtractedMean::None).unwrap(), "\"none\"");
    }

    #[test]
    fn scores_less_another_mean_are_refused() {
        let mean = [1.0f32, 2.0];
        let less = |mean: Option<&[f32]>| Fitted {
            cosines: true,
            mean: Some(SubtractedMean::own(mean)),
            ..Fitted::default()
        };
        let says = |fitted: &Fitted, given: Option<&[f32]>, wanted: &str| {
            let error = fitted.check_scores(&made(None, given)).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        };
        assert!(less(None).check_scores(&made(None, None)).is_ok());
        assert!(less(Some(&mean)).check_scores(&made(None, Some(&mean))).is_ok());
        says(&less(None), Some(&mean), "without a mean subtracted; these are less the mean");
        says(&less(Some(&mean)), None, "; these are without a mean subtracted");
        says(&less(Some(&mean)), Some(&[1.0, 2.5]), "; these are less the mean embedding");
        // An earlier version kept nothing of it.
        let old = Fitted { cosines: true, ..Fitted::default() };
        assert!(old.check_scores(&made(None, Some(&mean))).is_ok());
        let doubt = old.doubt(&made(None, Some(&mean))).unwrap();
        assert!(doubt.contains("does not say whether a mean was subtracted"), "{doubt}");
        assert_eq!(old.doubt(&made(None, None)), None);
        assert_eq!(less(None).doubt(&made(None, Some(&mean))), None);
    }

    #[test]
    fn cohorts_are_averaged_alike() {
        let of = |averaged| Fitted { others: Some(as1(averaged)), ..Fitted::default() };
        let given = |averaged| made(Some(as1(averaged)), None);
        for alike in [(None, Some(true)), (Some(true), Some(true)), (Some(false), None)] {
            assert!(of(alike.0).check_scores(&given(alike.1)).is_ok(), "{alike:?}");
        }
        let error = |fitted, scores| of(fitted).check_scores(&given(scores)).unwrap_err();
        let text = error(Some(false), Some(true)).to_string();
        let wanted = "a cohort of single embeddings; these scores have one averaged by speaker";
        assert!(text.contains(wanted), "{text}");
        let text = error(Some(true), Some(false)).to_string();
        assert!(text.contains("averaged by speaker; these scores have one of single"), "{text}");
        assert!(of(None).doubt(&given(Some(true))).unwrap().contains("cohort was averaged"));
        assert_eq!(of(None).doubt(&given(Some(false))), None);
        // The same of a cohort for measures.
        let weighs =
            |averaged| Fitted { cosines: true, measured: Some(as1(averaged)), ..Fitted::default() };
        let given = Made { measured: Some(as1(Some(true))), ..made(None, None) };
        assert!(weighs(Some(true)).check_scores(&given).is_ok());
        assert!(weighs(Some(false)).check_scores(&given).is_err());
        assert!(weighs(None).doubt(&given).is_some());
    }
}
