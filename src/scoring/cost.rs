//! What wrong decisions cost.

use std::fmt;

use crate::error::{Error, Result};

/// An application: how often targets come there, and what each kind of wrong decision costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    prior: f64,
    miss: f64,
    false_accept: f64,
}

impl Cost {
    /// The application where trials are targets with probability `prior`, a miss costs `miss`, and
    /// a false accept `false_accept`.
    ///
    /// # Errors
    /// A prior that is not between 0 and 1, or a cost that is not above 0 and finite.
    pub fn new(prior: f64, miss: f64, false_accept: f64) -> Result<Self> {
        if !(prior > 0.0 && prior < 1.0) {
            return Err(Error::invalid(format!("prior {prior}: between 0 and 1 is wanted")));
        }
        if let Some(cost) = [miss, false_accept].into_iter().find(|c| !(*c > 0.0 && c.is_finite()))
        {
            return Err(Error::invalid(format!("cost {cost}: a finite one above 0 is wanted")));
        }
        Ok(Self { prior, miss, false_accept })
    }

    /// The application with this prior of targets, between 0 and 1, and both costs 1.
    pub const fn at_prior(prior: f64) -> Self {
        Self { prior, miss: 1.0, false_accept: 1.0 }
    }

    /// The log-likelihood ratio from which on accepting costs less than rejecting.
    pub fn threshold(&self) -> f64 {
        super::bayes_threshold(self.prior, self.miss, self.false_accept)
    }

    /// The mean cost of a trial at these rates of misses and false accepts.
    pub(super) fn mean(&self, fnr: f64, fpr: f64) -> f64 {
        self.prior * self.miss * fnr + (1.0 - self.prior) * self.false_accept * fpr
    }

    /// The mean cost of the better of "accept all" and "reject all", by which costs are divided.
    pub(super) fn without_scores(&self) -> f64 {
        (self.prior * self.miss).min((1.0 - self.prior) * self.false_accept)
    }
}

/// `0.01`, or with costs other than 1, `0.01, 10:1` (miss, false accept).
impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { prior, miss, false_accept } = self;
        match (*miss, *false_accept) == (1.0, 1.0) {
            true => write!(f, "{prior}"),
            false => write!(f, "{prior}, {miss}:{false_accept}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_applications_are_errors() {
        for (prior, miss, false_accept, wanted) in [
            (0.0, 1.0, 1.0, "prior 0: between"),
            (1.0, 1.0, 1.0, "prior 1: between"),
            (f64::NAN, 1.0, 1.0, "prior NaN"),
            (0.5, 0.0, 1.0, "cost 0: a finite"),
            (0.5, 1.0, f64::INFINITY, "cost inf"),
        ] {
            let error = Cost::new(prior, miss, false_accept).unwrap_err().to_string();
            assert!(error.starts_with(wanted), "{error}");
        }
        let cost = Cost::new(0.01, 10.0, 1.0).unwrap();
        assert_eq!(cost.to_string(), "0.01, 10:1");
        assert_eq!(Cost::new(0.01, 1.0, 1.0).unwrap(), Cost::at_prior(0.01));
        assert_eq!(Cost::at_prior(0.01).to_string(), "0.01");
    }

    /// At the threshold's odds, accepting and rejecting cost the same.
    #[test]
    fn the_threshold_is_where_both_decisions_cost_the_same() {
        for (prior, miss, false_accept) in [(0.5, 1.0, 1.0), (0.01, 10.0, 1.0), (0.2, 0.5, 3.0)] {
            let cost = Cost::new(prior, miss, false_accept).unwrap();
            let ratio = cost.threshold().exp();
            let (accept, reject) = ((1.0 - prior) * false_accept, prior * ratio * miss);
            assert!((accept / reject - 1.0).abs() < 1e-12, "{cost}");
            assert_eq!(cost.without_scores(), cost.mean(1.0, 0.0).min(cost.mean(0.0, 1.0)));
        }
    }
}
