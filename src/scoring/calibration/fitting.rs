//! From labelled trials to a calibration, and how well it does on speakers that it has not seen.

use super::cross::speakers;
use super::{Calibration, Column, Fitted, TrialTable, cross_validate, fit_line};
use crate::error::Result;
use crate::scoring::{Curve, actual_dcf, cllr, min_cllr};

/// How a calibration is fitted.
#[derive(Debug, Clone, Copy)]
pub struct Regression {
    /// The prior of targets that decisions are made for, between 0 and 1.
    pub prior: f64,
    /// The prior at which the fit weighs targets against nontargets, between 0 and 1. Where the
    /// columns follow the ratios well everywhere, 0.5 makes the most of the trials; where they do
    /// not, the same as `prior` fits best where decisions are made.
    pub fit_prior: f64,
    /// Folds of the cross-validation, three or more.
    pub folds: usize,
    /// Seed of the folds.
    pub seed: u64,
}

/// A calibration and its costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibrated {
    /// The calibration, fitted to all trials. The caller adds what scores and speech these were
    /// ([`Fitted::files`], [`Fitted::cosines`], [`Fitted::others`], [`Fitted::mean`],
    /// [`Fitted::measured`], [`Fitted::seconds`]).
    pub calibration: Calibration,
    /// Columns that were left out, as combinations of others.
    pub left_out: Vec<Column>,
    /// Normalised detection cost at the prior, both errors costing 1, where ratios decide by Bayes'
    /// threshold. The ratios are those of [`cross_validate`].
    pub act_dcf: f64,
    /// The least that any threshold on the calibration's own ratios would cost.
    pub min_dcf: f64,
    /// As [`Fitted::cllr`], with the first column alone; nothing where there is no other.
    pub score_cllr: Option<f64>,
}

impl Regression {
    /// Fits a calibration to the trials of `table`, whose columns are `columns`. `sides` has the
    /// speakers of each trial.
    ///
    /// # Errors
    /// Those of [`fit_line`] and [`cross_validate`].
    ///
    /// # Panics
    /// If there are other numbers of columns or of sides than the table's.
    pub fn fit(
        &self,
        columns: &[Column],
        table: &TrialTable,
        sides: &[(u32, u32)],
    ) -> Result<Calibrated> {
        assert_eq!(columns.len(), table.columns, "a name for each column");
        let line = fit_line(table, self.fit_prior)?;
        let left_out: Vec<Column> = line.dependent.iter().map(|&i| columns[i]).collect();
        let kept = |i: &usize| !line.dependent.contains(i);
        let unseen = |table: &TrialTable| {
            cross_validate(table, sides, self.fit_prior, self.folds, self.seed)
        };
        let labelled = |ratios: Vec<f64>| -> Vec<(f64, bool)> {
            ratios.into_iter().zip(table.targets.iter().copied()).collect()
        };
        let own = labelled(table.rows().map(|row| line.llr(row)).collect());
        let score_cllr = match table.columns {
            1 => None,
            _ => {
                let scores: Vec<f64> = table.rows().map(|row| row[0]).collect();
                let scores = TrialTable::new(1, &scores, table.targets)?;
                Some(cllr(&labelled(unseen(&scores)?))?)
            }
        };
        let unseen = labelled(unseen(table)?);
        let targets = table.targets.iter().filter(|t| **t).count();
        let fitted = Fitted {
            prior: self.prior,
            fit_prior: (self.fit_prior != self.prior).then_some(self.fit_prior),
            files: Vec::new(),
            targets,
            nontargets: table.targets.len() - targets,
            speakers: speakers(sides).len(),
            cosines: false,
            others: None,
            mean: None,
            measured: None,
            penalty: line.penalty,
            cllr: cllr(&unseen)?,
            min_cllr: min_cllr(&own)?,
            seconds: None,
        };
        let all = 0..columns.len();
        let calibration = Calibration {
            columns: all.clone().filter(kept).map(|i| columns[i]).collect(),
            weights: all.filter(kept).map(|i| line.weights[i]).collect(),
            bias: line.bias,
            fitted,
        };
        Ok(Calibrated {
            calibration,
            left_out,
            act_dcf: actual_dcf(&unseen, self.prior, 1.0, 1.0)?,
            min_dcf: Curve::new(own)?.min_dcf(self.prior).cost,
            score_cllr,
        })
    }
}
