//! Labelled trials with their columns.

use crate::error::{Error, Result};

/// Labelled trials, each with a row of columns. The first column is the score.
#[derive(Debug, Clone, Copy)]
pub struct TrialTable<'a> {
    pub(super) columns: usize,
    pub(super) values: &'a [f64],
    pub(super) targets: &'a [bool],
}

impl<'a> TrialTable<'a> {
    /// Of `values`, `[trials, columns]` row-major, and whether each trial is a target.
    ///
    /// # Errors
    /// No targets or no nontargets; a value that is not finite.
    ///
    /// # Panics
    /// If `values` are not so many rows of one column or more.
    pub fn new(columns: usize, values: &'a [f64], targets: &'a [bool]) -> Result<Self> {
        assert!(columns > 0 && values.len() == columns * targets.len(), "not a row a trial");
        let count = targets.iter().filter(|t| **t).count();
        let others = targets.len() - count;
        if count == 0 || others == 0 {
            return Err(Error::Undefined(format!(
                "a calibration needs both kinds of trials; here are {count} targets and {others} \
                 nontargets"
            )));
        }
        if let Some(place) = values.iter().position(|x| !x.is_finite()) {
            let (trial, column) = (place / columns + 1, place % columns + 1);
            return Err(Error::Undefined(format!(
                "column {column} of trial {trial} is {}, not a finite number",
                values[place]
            )));
        }
        Ok(Self { columns, values, targets })
    }

    /// The rows, in the order of the trials.
    pub(super) fn rows(&self) -> impl Iterator<Item = &'a [f64]> {
        self.values.chunks_exact(self.columns)
    }

    /// The trials that are wanted by their places: their values and their labels.
    pub(super) fn only(&self, wanted: impl Fn(usize) -> bool) -> (Vec<f64>, Vec<bool>) {
        let (mut values, mut targets) = (Vec::new(), Vec::new());
        for (place, (row, &target)) in self.rows().zip(self.targets).enumerate() {
            if wanted(place) {
                values.extend_from_slice(row);
                targets.push(target);
            }
        }
        (values, targets)
    }
}
