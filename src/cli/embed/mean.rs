//! The mean of embeddings in a model, for `--mean`.

use std::path::Path;

use crate::error::Result;
use crate::model_file::{Scoring, update_header};
use crate::terminal::note;

/// Writes the model `from` with a mean, `[dim]`, to `to`, which may be the same file. A note says
/// what that file has not any more of how the model's scores were read `before`.
///
/// # Errors
/// Those of [`update_header`].
pub(super) fn store(mean: &[f64], from: &Path, to: &Path, before: &Scoring) -> Result<()> {
    let mean: Vec<f32> = mean.iter().map(|&x| x as f32).collect();
    let scoring = Scoring { embedding_mean: Some(mean), ..Scoring::default() };
    update_header(from, to, |header| header.scoring = scoring)?;
    let lost = lost(before);
    if lost.is_empty() {
        return Ok(());
    }
    let fate = match to == from {
        true => "gone".to_owned(),
        false => format!("left in {} alone", from.display()),
    };
    note!(
        "of scores without this mean, and so {fate}: {}; `revox calibrate` and `revox eval \
         --save-threshold` make new ones",
        lost.join("; ")
    );
    Ok(())
}

/// What a model loses with a new mean, in words.
fn lost(before: &Scoring) -> Vec<String> {
    let Scoring { thresholds, threshold_eer, calibration, named_thresholds, .. } = before;
    let mut all = Vec::new();
    if threshold_eer.is_some() || !thresholds.is_empty() {
        all.push("the model's thresholds".to_owned());
    }
    if !named_thresholds.is_empty() {
        let names: Vec<String> = named_thresholds.keys().map(|name| format!("`{name}`")).collect();
        all.push(format!("its thresholds with names, {}", names.join(", ")));
    }
    if let Some(calibration) = calibration {
        let (scores, prior) = (calibration.fitted.scores(), calibration.fitted.prior);
        all.push(format!("its calibration, of {scores} and for prior {prior}"));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model_file::NamedThreshold;
    use crate::scoring::{Calibration, Fitted, parse_columns};

    #[test]
    fn what_is_lost_is_named_where_it_was_there() {
        assert!(lost(&Scoring::default()).is_empty());
        let mut scoring = Scoring { threshold_eer: Some(0.25), ..Scoring::default() };
        assert_eq!(lost(&scoring), ["the model's thresholds"]);
        let strict = NamedThreshold { false_accept_rate: 0.0001, threshold: 0.875 };
        scoring.named_thresholds.insert("strict".into(), strict);
        let fitted = Fitted { prior: 0.01, cosines: true, ..Fitted::default() };
        let (columns, weights) = (parse_columns("score").unwrap(), vec![10.0]);
        scoring.calibration = Some(Calibration { columns, weights, bias: -4.0, fitted });
        let wanted = [
            "the model's thresholds",
            "its thresholds with names, `strict`",
            "its calibration, of cosines and for prior 0.01",
        ];
        assert_eq!(lost(&scoring), wanted);
    }
}
