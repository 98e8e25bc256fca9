//! What `revox calibrate` prints.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::shown;
use crate::model_file::NamedThreshold;
use crate::scoring::{Calibrated, Column, Quantity};
use crate::terminal::{errln, note};

/// A calibration and the thresholds that were stored with it.
pub(super) struct Report<'a> {
    /// The calibration.
    pub found: &'a Calibrated,
    /// The named thresholds.
    pub thresholds: &'a [(String, NamedThreshold)],
    /// The model that holds them.
    pub output: &'a Path,
}

impl Report<'_> {
    /// Says what a user should know before trusting the calibration.
    pub(super) fn warn(&self) {
        let Calibrated { calibration, left_out, .. } = self.found;
        if calibration.weights.first().is_some_and(|weight| *weight < 0.0) {
            errln!(
                "warning: higher scores are less alike: are these distances, or labels swapped?"
            );
        }
        let penalty = calibration.fitted.penalty;
        if penalty > 0.0 {
            errln!(
                "warning: these trials can be told apart without an error, so the best line is \
                 infinitely steep; a penalty of {penalty:.2e} on its squared weights bounds it. \
                 Give more trials"
            );
        }
        if !left_out.is_empty() {
            let names: Vec<String> = left_out.iter().map(Column::to_string).collect();
            note!("{} left out: constant, or combinations of other columns", names.join(", "));
        }
        if !calibration.fitted.cosines {
            note!(
                "these scores are normalised: `compare`, which has cosines, cannot use the \
                 calibration"
            );
        }
        let is_cohort = |column: &Column| column.quantity() == Some(Quantity::Cohort);
        if calibration.columns.iter().any(is_cohort) {
            note!("the calibration weighs a cohort, which `compare` has not");
        }
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let Calibrated { calibration, left_out, act_dcf, min_dcf } = self.found;
        let fitted = &calibration.fitted;
        let threshold = |(name, t): &(String, NamedThreshold)| {
            let NamedThreshold { false_accept_rate: far, threshold } = t;
            json!({"name": name, "far": far, "threshold": threshold})
        };
        json!({
            "cllr": fitted.cllr,
            "min_cllr": fitted.min_cllr,
            "act_dcf": act_dcf,
            "min_dcf": min_dcf,
            "weights": calibration.weights,
            "bias": calibration.bias,
            "columns": calibration.columns,
            "left_out": left_out,
            "prior": fitted.prior,
            "targets": fitted.targets,
            "nontargets": fitted.nontargets,
            "speakers": fitted.speakers,
            "cosines": fitted.cosines,
            "seconds": fitted.seconds,
            "penalty": fitted.penalty,
            "thresholds": self.thresholds.iter().map(threshold).collect::<Vec<_>>(),
            "output": shown(self.output),
        })
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
            format!("LLR           {calibration}"),
            format!(
                "Cllr          {:.4} bits of speakers left out; least {:.4}",
                fitted.cllr, fitted.min_cllr
            ),
            format!(
                "DCF({prior})     {act_dcf:.4} at Bayes' threshold, of speakers left out; least \
                 {min_dcf:.4}"
            ),
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
