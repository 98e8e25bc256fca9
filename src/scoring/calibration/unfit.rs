//! What makes ratios of cosines of two recordings impossible, or doubtful.

use std::fmt;

use super::{Calibration, Evidence, Made, Quantity};

/// Why the cosine of two recordings, of which nothing but the recordings is known, has no ratio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// The calibration was fitted on other scores: in what they differ.
    Scores(String),
    /// It weighs a cohort.
    Cohort,
}

/// In a sentence about the calibration: `it was fitted on scores that are no cosines; ...`.
impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Scores(why) => f.write_str(why),
            Self::Cohort => f.write_str("it weighs the mean cosine with a cohort"),
        }
    }
}

impl Calibration {
    /// Why cosines that were `made` so have no ratios, if they have none.
    pub(crate) fn unfit(&self, made: &Made) -> Option<Unfit> {
        match self.fitted.check_scores(made) {
            Err(e) => Some(Unfit::Scores(e.to_string())),
            Ok(()) => self.weighs(Quantity::Cohort).then_some(Unfit::Cohort),
        }
    }

    /// Whether the cosine of two recordings, of which nothing but the recordings is known, has a
    /// ratio. The model holds `mean`, if any, which is subtracted.
    pub fn takes_cosines(&self, mean: Option<&[f32]>) -> bool {
        self.unfit(&Made::cosines(mean)).is_none()
    }

    /// A warning of a side with less speech than any that the calibration was fitted on, by the
    /// side's name.
    pub(crate) fn too_short(&self, name: &str, side: &Evidence) -> Option<String> {
        let [shortest, _] = self.fitted.seconds?;
        let seconds = side.seconds.filter(|seconds| *seconds < shortest)?;
        Some(format!(
            "{name} has {seconds:.2} s of speech; the calibration covers {shortest:.2} s and more"
        ))
    }
}
