//! The line through the columns of trials that tells targets from nontargets best.

use super::TrialTable;
use super::linear::independent;
use super::newton::{Problem, ratio};
use crate::error::{Error, Result};

/// A column is a linear combination of others where they leave less than this of its variance.
const LEAST: f64 = 1e-8;
/// A column is constant where its values spread less than this, relative to the largest of them.
const CONSTANT: f64 = 1e-10;

/// Log-likelihood ratios as a line through the columns of trials: `bias + weights . columns`.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// A weight for each column, 0 for the dependent ones.
    pub weights: Vec<f64>,
    /// The ratio where all columns are zero.
    pub bias: f64,
    /// What the squares of the weights, each in standard deviations of its column, cost; 0 for
    /// nothing.
    pub penalty: f64,
    /// Places of columns that are constant or linear combinations of earlier ones. With them, the
    /// best line would not be unique.
    pub dependent: Vec<usize>,
}

impl Line {
    /// The log-likelihood ratio of a row of columns, natural logarithm.
    ///
    /// # Panics
    /// If the row has another number of columns.
    pub fn llr(&self, row: &[f64]) -> f64 {
        assert_eq!(row.len(), self.weights.len(), "a row of other columns");
        self.weights.iter().zip(row).map(|(w, x)| w * x).sum::<f64>() + self.bias
    }
}

/// Fits a line by logistic regression, with the prior of targets in place of their share: it
/// minimises `prior mean log(1 + exp(-(l + tau)))` over targets plus
/// `(1 - prior) mean log(1 + exp(l + tau))` over nontargets, with tau = logit prior. The minimum is
/// unique; Newton's method finds it from anywhere.
///
/// Where a line separates the kinds of trials, the best one is infinitely steep. Then the squares
/// of the weights, in standard deviations, cost `min(prior, 1 - prior) / trials` each
/// ([`Line::penalty`]), which bounds ratios near the logarithm of the number of trials.
///
/// # Errors
/// A prior outside 0 to 1; scores that are all equal.
pub fn fit_line(table: &TrialTable, prior: f64) -> Result<Line> {
    if !(prior > 0.0 && prior < 1.0) {
        return Err(Error::invalid(format!("prior {prior} is not between 0 and 1")));
    }
    let standard = Standard::of(table)?;
    let rows = standard.rows(table);
    let trials = table.targets.len();
    let columns = standard.kept.len();
    let mut problem = Problem { rows: &rows, columns, targets: table.targets, prior, penalty: 0.0 };
    let mut minimum = problem.minimum();
    if minimum.is_none() {
        problem.penalty = prior.min(1.0 - prior) / trials as f64;
        minimum = problem.minimum();
    }
    let minimum = minimum
        .ok_or_else(|| Error::Undefined("the line of the calibration was not found".into()))?;
    Ok(standard.line(table.columns, &minimum, problem.penalty))
}

/// The independent columns, each less its mean and over its standard deviation.
struct Standard {
    kept: Vec<usize>,
    mean: Vec<f64>,
    deviation: Vec<f64>,
    dependent: Vec<usize>,
}

impl Standard {
    fn of(table: &TrialTable) -> Result<Self> {
        let (n, trials) = (table.columns, table.targets.len() as f64);
        let (mut mean, mut most) = (vec![0.0; n], vec![0.0f64; n]);
        for row in table.rows() {
            mean.iter_mut().zip(row).for_each(|(m, x)| *m += x / trials);
            most.iter_mut().zip(row).for_each(|(m, x)| *m = m.max(x.abs()));
        }
        // Covariances: half of them, row by row.
        let mut covariance = vec![0.0; n * n];
        let mut less = vec![0.0; n];
        for row in table.rows() {
            less.iter_mut().zip(row).zip(&mean).for_each(|((d, x), m)| *d = x - m);
            for (i, cells) in covariance.chunks_exact_mut(n).enumerate() {
                let scaled = less[i] / trials;
                cells[..=i].iter_mut().zip(&less).for_each(|(cell, d)| *cell += scaled * d);
            }
        }
        let deviation: Vec<f64> = (0..n).map(|i| covariance[i * n + i].sqrt()).collect();
        let varies: Vec<usize> = (0..n).filter(|&i| deviation[i] > CONSTANT * most[i]).collect();
        if varies.first() != Some(&0) {
            return Err(Error::Undefined(
                "all scores are equal: nothing tells targets from nontargets".into(),
            ));
        }
        let correlation: Vec<f64> = varies
            .iter()
            .flat_map(|&i| varies.iter().map(move |&j| (i.max(j), i.min(j))))
            .map(|(i, j)| covariance[i * n + j] / (deviation[i] * deviation[j]))
            .collect();
        let (places, _) = independent(&correlation, varies.len(), LEAST);
        let kept: Vec<usize> = places.into_iter().map(|place| varies[place]).collect();
        let dependent = (0..n).filter(|i| !kept.contains(i)).collect();
        let only = |of: &[f64]| -> Vec<f64> { kept.iter().map(|&i| of[i]).collect() };
        let (mean, deviation) = (only(&mean), only(&deviation));
        Ok(Self { kept, mean, deviation, dependent })
    }

    /// `[trials, kept columns]`.
    fn rows(&self, table: &TrialTable) -> Vec<f64> {
        let mut rows = Vec::with_capacity(self.kept.len() * table.targets.len());
        for row in table.rows() {
            let scales = self.mean.iter().zip(&self.deviation);
            rows.extend(self.kept.iter().zip(scales).map(|(&i, (mean, d))| (row[i] - mean) / d));
        }
        rows
    }

    /// The line in the columns' own units.
    fn line(self, columns: usize, minimum: &[f64], penalty: f64) -> Line {
        // The ratio where all columns are zero.
        let origin: Vec<f64> = self.mean.iter().zip(&self.deviation).map(|(m, d)| -m / d).collect();
        let bias = ratio(minimum, &origin);
        let mut weights = vec![0.0; columns];
        for ((&i, weight), deviation) in self.kept.iter().zip(minimum).zip(&self.deviation) {
            weights[i] = weight / deviation;
        }
        Line { weights, bias, penalty, dependent: self.dependent }
    }
}
