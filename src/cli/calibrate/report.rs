//! What `revox calibrate` prints.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::shown;
use crate::model_file::NamedThreshold;
use crate::scoring::{Calibrated, Calibration, Column, Fitted, Made, Quantity};
use crate::terminal::{errln, note};

/// A calibration and the thresholds that were stored with it.
pub(super) struct Report<'a> {
    /// The calibration.
    pub found: &'a Calibrated,
    /// The named thresholds.
    pub thresholds: &'a [(String, NamedThreshold)],
    /// The model that holds them.
    pub output: &'a Path,
    /// The model that was calibrated.
    pub model: &'a Path,
    /// The calibration that it held.
    pub replaced: Option<&'a Calibration>,
    /// How `compare` makes this model's scores.
    pub made: Made,
}

impl Report<'_> {
    /// Says what a user should know before trusting the calibration.
    pub(super) fn warn(&self) {
        let Calibrated { calibration, left_out, score_cllr, .. } = self.found;
        let fitted = &calibration.fitted;
        if calibration.weights.first().is_some_and(|weight| *weight < 0.0) {
            errln!(
                "warning: trials of one speaker have the lower scores: are these distances, or \
                 are the labels swapped?"
            );
        }
        if fitted.penalty > 0.0 {
            errln!(
                "warning: some threshold or weighing makes no error on these trials, so the best \
                 line is infinitely steep. A penalty of {:.2e} on its squared weights bounds it. \
                 Ratios far from 0 mean little; more trials would help",
                fitted.penalty
            );
        }
        if !left_out.is_empty() {
            let names: Vec<String> = left_out.iter().map(Column::to_string).collect();
            note!(
                "left out: {}, constant on these trials or combined of other columns",
                names.join(", ")
            );
        }
        if let Some(alone) = score_cllr.filter(|alone| fitted.cllr > *alone) {
            errln!(
                "warning: --quality makes the calibration worse: on speakers left out, Cllr is \
                 {:.4} bits with it and {alone:.4} with the score alone",
                fitted.cllr
            );
        }
        if let Some(old) = self.replaced {
            let (scores, prior) = (old.fitted.scores(), old.fitted.prior);
            let fate = match self.output == self.model {
                true => "is gone".to_owned(),
                false => format!("is in {} alone", self.model.display()),
            };
            note!("the model's earlier calibration, of {scores} and for prior {prior}, {fate}");
        }
        let why = if !fitted.cosines {
            format!("was fitted on {}", fitted.scores())
        } else if calibration.weighs(Quantity::Cohort) {
            "weighs a cohort".into()
        } else if let Some(mean) = fitted.mean.as_ref().filter(|mean| **mean != self.made.mean) {
            format!("is of scores {mean}, and the model's own are {}", self.made.mean)
        } else {
            return;
        };
        note!(
            "the calibration {why}: only `revox score --calibration` can use it. `compare`, \
             `verify` and `identify` decide by the model's thresholds; -o keeps the calibration in \
             a model of its own"
        );
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let Calibrated { calibration, left_out, act_dcf, min_dcf, score_cllr } = self.found;
        let fitted = &calibration.fitted;
        let threshold = |(name, t): &(String, NamedThreshold)| {
            let NamedThreshold { false_accept_rate: far, threshold } = t;
            json!({"name": name, "far": far, "threshold": threshold})
        };
        json!({
            "cllr": fitted.cllr,
            "min_cllr": fitted.min_cllr,
            "score_cllr": score_cllr,
            "act_dcf": act_dcf,
            "min_dcf": min_dcf,
            "weights": calibration.weights,
            "bias": calibration.bias,
            "columns": calibration.columns,
            "left_out": left_out,
            "prior": fitted.prior,
            "fit_prior": fitted.fit_prior.unwrap_or(fitted.prior),
            "files": fitted.files,
            "targets": fitted.targets,
            "nontargets": fitted.nontargets,
            "speakers": fitted.speakers,
            "cosines": fitted.cosines,
            "scores_of": self.scores_of(),
            "others": fitted.others,
            "mean": fitted.mean,
            "measured": fitted.measured,
            "seconds": fitted.seconds,
            "penalty": fitted.penalty,
            "thresholds": self.thresholds.iter().map(threshold).collect::<Vec<_>>(),
            "output": shown(self.output),
        })
    }

    /// What the scores are, in the words of `--scores-of`.
    fn scores_of(&self) -> &'static str {
        let Fitted { cosines, others, .. } = &self.found.calibration.fitted;
        match others {
            _ if *cosines => "cosine",
            Some(others) => others.name(),
            None => "other",
        }
    }

    /// For people, in lines.
    pub(super) fn text(&self) -> String {
        let Calibrated { calibration, act_dcf, min_dcf, .. } = self.found;
        let fitted = &calibration.fitted;
        let prior = fitted.prior;
        let mut lines = vec![
            format!(
                "trials        {} targets, {} nontargets of {} speakers",
                fitted.targets, fitted.nontargets, fitted.speakers
            ),
            format!("scores        {}{}", fitted.scores(), fitted.less()),
            format!("LLR           {calibration}"),
            format!(
                "Cllr          {:.4} bits on speakers left out ({:.4} at best)",
                fitted.cllr, fitted.min_cllr
            ),
            format!("DCF({prior})     {act_dcf:.4} on speakers left out ({min_dcf:.4} at best)"),
        ];
        for (name, t) in self.thresholds {
            lines.push(format!(
                "threshold     {:.4} named {name}, at false-accept rate {}",
                t.threshold, t.false_accept_rate
            ));
        }
        lines.push(format!("stored in {}", self.output.display()));
        lines.join("\n")
    }
}
