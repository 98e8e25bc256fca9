//! What would help where a model cannot decide as it is asked to.

use std::path::Path;

use crate::scoring::{Calibration, Made, Quantity, SubtractedMean};

/// Why a calibration has no ratio for the cosine of two recordings, if it has none, and what helps.
pub(super) fn unfit(calibration: &Calibration, made: &Made) -> Option<String> {
    if let Err(e) = calibration.fitted.check_scores(made) {
        let how = match made.mean {
            SubtractedMean::None => "without --mean, --cohort and --plda",
            SubtractedMean::Sha256(_) => {
                "with the --mean that the model holds, without --cohort and --plda"
            }
        };
        return Some(format!(
            "its calibration cannot be used: {e}. Store one of scores that `revox score` makes \
             {how}, by `revox calibrate`"
        ));
    }
    calibration.weighs(Quantity::Cohort).then(|| {
        "its calibration cannot be used: it weighs the mean cosine with a cohort, which only \
         `revox score --calibration --cohort` computes. Store one without cohort columns, by \
         `revox calibrate`"
            .into()
    })
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
