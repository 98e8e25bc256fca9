//! The rates that `eval` gives for a set of trials.

use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli::values::within;
use crate::error::Result;
use crate::scoring::{Cost, Curve};

/// Options of the applications whose costs are wanted.
#[derive(Debug, Clone, Args)]
pub(super) struct Applications {
    /// Prior of targets at which costs are given; may be given several times.
    #[arg(long, value_name = "P", value_parser = prior, default_values = ["0.01", "0.05"])]
    p_target: Vec<Prior>,
    /// What a miss costs.
    #[arg(long, value_name = "COST", value_parser = cost, default_value_t = 1.0)]
    c_miss: f64,
    /// What a false accept costs.
    #[arg(long, value_name = "COST", value_parser = cost, default_value_t = 1.0)]
    c_fa: f64,
    /// The scores are log-likelihood ratios (natural logarithm), as `score --calibration` makes
    /// them: Cllr and actual costs of deciding by them are given, too.
    #[arg(long)]
    llr: bool,
}

/// A prior, and how it was written.
#[derive(Debug, Clone)]
struct Prior {
    text: String,
    value: f64,
}

fn prior(text: &str) -> Result<Prior, String> {
    let value = within(text, 1e-9..=1.0 - 1e-9, "a prior is between 0 and 1")?;
    Ok(Prior { text: text.to_owned(), value })
}

fn cost(text: &str) -> Result<f64, String> {
    within(text, 1e-9..=1e9, "a cost is above 0, at most 1e9")
}

impl Applications {
    /// What is asked for.
    pub(super) fn asked(&self) -> Result<Asked> {
        let of = |prior: &Prior| Cost::new(prior.value, self.c_miss, self.c_fa);
        Ok(Asked {
            keys: self.p_target.iter().map(|prior| prior.text.clone()).collect(),
            costs: self.p_target.iter().map(of).collect::<Result<Vec<Cost>>>()?,
            llr: self.llr,
        })
    }
}

/// Which costs are asked for.
pub(super) struct Asked {
    /// The priors as they were given.
    keys: Vec<String>,
    /// The application of each prior.
    pub costs: Vec<Cost>,
    /// Whether the scores are log-likelihood ratios.
    pub llr: bool,
}

impl Asked {
    /// An object with a value for each prior.
    pub(super) fn object(&self, values: impl IntoIterator<Item = Value>) -> Value {
        Value::Object(self.keys.iter().cloned().zip(values).collect::<Map<String, Value>>())
    }
}

/// The rates of some trials.
pub(super) struct Rates {
    /// Equal error rate.
    pub eer: f64,
    /// Normalised minimum cost in each application.
    pub min_dcf: Vec<f64>,
    /// Bits.
    pub min_cllr: f64,
    /// Bits, and the actual cost in each application, where the scores are ratios.
    pub of_llr: Option<(f64, Vec<f64>)>,
}

impl Rates {
    /// The names of their values for programs.
    pub(super) const KEYS: [&str; 5] = ["eer", "min_dcf", "min_cllr", "cllr", "act_dcf"];

    /// The rates of a curve.
    pub(super) fn of(curve: &Curve, asked: &Asked) -> Self {
        let actual = |cost: &Cost| curve.actual_dcf(cost).cost;
        Self {
            eer: curve.eer().rate,
            min_dcf: asked.costs.iter().map(|cost| curve.min_cost(cost).cost).collect(),
            min_cllr: curve.min_cllr(),
            of_llr: asked.llr.then(|| (curve.cllr(), asked.costs.iter().map(actual).collect())),
        }
    }

    /// Their values for programs; those of log-likelihood ratios are null where there are none.
    pub(super) fn json(&self, asked: &Asked) -> Map<String, Value> {
        let each = |costs: &[f64]| asked.object(costs.iter().map(|cost| json!(cost)));
        let (cllr, actual) = self.of_llr.as_ref().map_or((Value::Null, Value::Null), |of_llr| {
            // A ratio that is infinite and wrong makes it infinite, which JSON lacks.
            (json!(Some(of_llr.0).filter(|cllr| cllr.is_finite())), each(&of_llr.1))
        });
        let (eer, min_dcf) = (json!(self.eer), each(&self.min_dcf));
        let values = [eer, min_dcf, json!(self.min_cllr), cllr, actual];
        Self::KEYS.map(str::to_owned).into_iter().zip(values).collect()
    }

    /// Heads of a table's columns.
    pub(super) fn heads(asked: &Asked) -> Vec<String> {
        let mut heads = vec!["EER %".to_owned()];
        heads.extend(asked.costs.iter().map(|cost| format!("minDCF({cost})")));
        heads.push("min Cllr".to_owned());
        if asked.llr {
            heads.push("Cllr".to_owned());
            heads.extend(asked.costs.iter().map(|cost| format!("actDCF({cost})")));
        }
        heads
    }

    /// The cells under these heads.
    pub(super) fn cells(&self) -> Vec<String> {
        let digits = |x: &f64| format!("{x:.4}");
        let mut cells = vec![format!("{:.3}", 100.0 * self.eer)];
        cells.extend(self.min_dcf.iter().map(digits));
        cells.push(digits(&self.min_cllr));
        if let Some((cllr, actual)) = &self.of_llr {
            cells.push(digits(cllr));
            cells.extend(actual.iter().map(digits));
        }
        cells
    }
}

/// Rows of cells as lines: the first column begins at the left, the others end at the right.
pub(super) fn table(rows: &[Vec<String>]) -> Vec<String> {
    let wide = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max().unwrap_or(0)
    };
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(wide).collect();
    let line = |row: &Vec<String>| {
        let mut line = String::new();
        for (i, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            line += &match i {
                0 => format!("{cell:<width$}"),
                _ => format!("  {cell:>width$}"),
            };
        }
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priors_and_costs_have_a_range() {
        let found = prior("1e-2").unwrap();
        assert_eq!((found.text.as_str(), found.value), ("1e-2", 0.01));
        for bad in ["0", "1", "-0.1", "nan", "x"] {
            assert!(prior(bad).is_err(), "{bad}");
        }
        assert_eq!(cost("10"), Ok(10.0));
        for bad in ["0", "-1", "inf", "nan", ""] {
            assert!(cost(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn columns_are_aligned() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let lines =
            table(&[row(["", "EER %", "x"]), row(["müller", "1.5", ""]), row(["a", "12.25", "3"])]);
        assert_eq!(lines, ["        EER %  x", "müller    1.5", "a       12.25  3"]);
        assert!(table(&[]).is_empty());
    }
}
