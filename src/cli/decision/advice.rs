//! What would help where a model cannot decide as it is asked to.

use std::path::Path;

use crate::scoring::{Made, SubtractedMean, Unfit};

/// Why a model's calibration has no ratio for the cosine of two recordings, and what helps.
pub(super) fn unusable(why: &Unfit, made: &Made) -> String {
    let helps = match (why, &made.mean) {
        (Unfit::Scores(_), SubtractedMean::None) => {
            ". Store one of scores that `revox score` makes without --mean, --cohort and --plda"
        }
        (Unfit::Scores(_), SubtractedMean::Sha256(_)) => {
            ". Store one of scores that `revox score` makes with the --mean that the model holds, \
             without --cohort and --plda"
        }
        (Unfit::Cohort, _) => {
            ", which only `revox score --calibration --cohort` computes. Store one without cohort \
             columns"
        }
    };
    format!("its calibration cannot be used: {why}{helps}, by `revox calibrate`")
}

/// What a model holds instead of a threshold, and how to store one.
pub(super) fn those(names: &[String], model: Option<&Path>) -> String {
    let (held, one) = match names {
        [] => ("nor any other".to_owned(), "one"),
        names => (format!("but {}", names.join(", ")), "another"),
    };
    format!("{held}; {}", stores(model, " --threshold NAME=RATE", one))
}

/// How to store `one` in a model. The model inside the program cannot be changed.
pub(super) fn stores(model: Option<&Path>, options: &str, one: &str) -> String {
    match model {
        Some(_) => format!("`revox calibrate{options}` stores {one}"),
        None => format!(
            "the model inside the program cannot be changed: `revox calibrate{options}` stores \
             {one} in the file of a model, such as a copy of models/default/model.safetensors from \
             the sources of this program; name that file then"
        ),
    }
}
